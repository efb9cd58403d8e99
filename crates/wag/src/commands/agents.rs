//! `wag agents`.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep};
use waggoner_proto::v1::{
    AddAgentRequest, Agent, AgentRole, CreateJoinTokenRequest, CreateJoinTokenResponse,
    DrainAgentRequest, GetAgentRequest, ListAgentsRequest, RemoveAgentRequest, UndrainAgentRequest,
};

use super::Context;
use crate::{
    Error,
    cli::{Agents, JoinTokens, Role},
    client::{ClientError, Manager, all, ask, ask_once, request_id},
    record,
};

/// How often it is looked whether an agent is idle.
const GLANCE: Duration = Duration::from_millis(500);

pub(super) async fn run(context: &mut Context<'_>, command: Agents) -> Result<(), Error> {
    let manager = context.manager().await?;
    let tenant = manager.tenant();
    match command {
        Agents::List => {
            let agents = list(&manager).await?;
            context.ui.list(&agents)
        }
        Agents::Get { agent: name } => {
            let request = GetAgentRequest { tenant, name };
            let call = async |request| manager.fleet().get_agent(request).await;
            let agent = ask(request, call).await?.agent.ok_or(ClientError::Hollow("agent"))?;
            context.ui.one(&agent)
        }
        Agents::Add { agent: name, address, role } => {
            let role = AgentRole::from(role).into();
            let request = AddAgentRequest { tenant, name, address, role, request_id: request_id() };
            let call = async |request| manager.fleet().add_agent(request).await;
            let agent = ask(request, call).await?.agent.ok_or(ClientError::Hollow("agent"))?;
            context.ui.one(&agent)
        }
        Agents::Drain { agent: name, wait, timeout } => {
            let request = DrainAgentRequest { tenant, name, request_id: request_id() };
            let call = async |request| manager.fleet().drain_agent(request).await;
            let agent = ask(request, call).await?.agent.ok_or(ClientError::Hollow("agent"))?;
            let agent = if wait { idle(&manager, agent, timeout).await? } else { agent };
            context.ui.one(&agent)
        }
        Agents::Undrain { agent: name } => {
            let request = UndrainAgentRequest { tenant, name, request_id: request_id() };
            let call = async |request| manager.fleet().undrain_agent(request).await;
            let agent = ask(request, call).await?.agent.ok_or(ClientError::Hollow("agent"))?;
            context.ui.one(&agent)
        }
        Agents::Remove { agent } => {
            let request =
                RemoveAgentRequest { tenant, name: agent.clone(), request_id: request_id() };
            ask(request, async |request| manager.fleet().remove_agent(request).await).await?;
            context.ui.step("Removed", format!("agent {agent}"));
            Ok(())
        }
        Agents::Token(JoinTokens::Create { name, role, ttl }) => {
            let answer = join_token(&manager, name, role, ttl).await?;
            if context.ui.is_json() {
                return context.ui.json(&record::join_token(&answer));
            }
            let until = context.ui.clock().day(answer.expires_at.as_ref());
            context
                .ui
                .say(format!("The token, good for one agent until {until}, shown this once:"));
            context.ui.data(&format!("{}\n", answer.token))
        }
    }
}

/// Waits until nothing runs on an agent any more.
async fn idle(
    manager: &Manager,
    mut agent: Agent,
    limit: Option<SignedDuration>,
) -> Result<Agent, Error> {
    let limit = limit.and_then(|limit| Duration::try_from(limit).ok());
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    while agent.running > 0 {
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Error::NotIdle { agent: agent.name, running: agent.running });
        }
        sleep(GLANCE).await;
        let request = GetAgentRequest { tenant: manager.tenant(), name: agent.name };
        let call = async |request| manager.fleet().get_agent(request).await;
        agent = ask(request, call).await?.agent.ok_or(ClientError::Hollow("agent"))?;
    }
    Ok(agent)
}

/// The agents of the tenant.
pub(crate) async fn list(manager: &Manager) -> Result<Vec<Agent>, ClientError> {
    all(async |page_token| {
        let request = ListAgentsRequest { tenant: manager.tenant(), page_size: 0, page_token };
        let call = async |request| manager.fleet().list_agents(request).await;
        let page = ask(request, call).await?;
        Ok((page.agents, page.next_page_token))
    })
    .await
}

/// Makes a token with which one agent may join.
pub(crate) async fn join_token(
    manager: &Manager,
    name: Option<String>,
    role: Role,
    ttl: SignedDuration,
) -> Result<CreateJoinTokenResponse, ClientError> {
    let request = CreateJoinTokenRequest {
        tenant: manager.tenant(),
        agent_name: name.unwrap_or_default(),
        role: AgentRole::from(role).into(),
        ttl: Some(prost_types::Duration { seconds: ttl.as_secs(), nanos: ttl.subsec_nanos() }),
    };
    ask_once(request, async |request| manager.fleet().create_join_token(request).await).await
}

impl From<Role> for AgentRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Host => Self::Host,
            Role::Central => Self::Central,
        }
    }
}

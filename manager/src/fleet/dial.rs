//! Dials the agents that listen, and keeps their links up.

use std::sync::Arc;

use tracing::info;
use waggoner_identity::{Who, tls};
use waggoner_link::{Dialler, client_over, redial, settings};
use waggoner_proto::agent::v1::{
    InstallCertificateRequest, RequestCertificateRequest,
    identity_service_client::IdentityServiceClient,
};
use waggoner_task::Backoff;
use waggoner_types::Chain;

use crate::{
    doors,
    fleet::{AgentKey, enrol},
    home::Home,
};

/// Why a dialled agent has no link.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct DialFailure(String);

/// Begins to dial every agent that has an address.
pub(crate) async fn start(home: &Arc<Home>) -> Result<(), waggoner_store::Error> {
    for agent in home.store.listening_agents().await? {
        if let Some(address) = agent.address {
            keep(home, AgentKey { tenant: agent.tenant, name: agent.name }, address);
        }
    }
    Ok(())
}

/// Keeps the link to an agent that listens, until the agent is removed or the manager stops.
pub(crate) fn keep(home: &Arc<Home>, key: AgentKey, address: String) {
    let stop = home.fleet.dialling(&key, &home.tasks.token());
    let at_home = Arc::clone(home);
    home.tasks.spawn("dial", async move {
        let backoff = Backoff::new(settings::REDIAL_BASE, settings::REDIAL_CAP);
        let what = format!("the link to agent `{key}` at `{address}`");
        let once = async || {
            let dialled = dial(&at_home, &key, &address).await;
            if let Err(DialFailure(why)) = &dialled {
                at_home.fleet.note_problem(&key, why);
            }
            dialled
        };
        tokio::select! {
            never = redial(&what, backoff, once) => match never {},
            () = stop.cancelled() => {}
        }
    });
}

/// Dials once, and holds the link until it ends.
async fn dial(home: &Arc<Home>, key: &AgentKey, address: &str) -> Result<String, DialFailure> {
    let agent = home.store.agent(key.tenant.clone(), key.name.clone()).await;
    let agent = agent.map_err(|error| DialFailure(Chain(&error).to_string()))?;
    if agent.certificate.is_none() {
        enrol(home, key, address).await?;
    }
    let who = Who::Agent { tenant: key.tenant.clone(), name: key.name.clone() };
    let dialler = Dialler::new(tls::manager_dialling(&home.credentials, home.ca.certificate()));
    let io = dialler.dial_for(address, &who).await;
    let io = io.map_err(|error| DialFailure(Chain(&error).to_string()))?;
    let held = doors::hold(home, io, key.clone()).await;
    held.map(|()| "the link ended".to_owned()).map_err(DialFailure)
}

/// Gives an agent that listens its first certificate, for the join token it was started with.
async fn enrol(home: &Arc<Home>, key: &AgentKey, address: &str) -> Result<(), DialFailure> {
    let dialler = Dialler::new(tls::manager_enrolling_any_server(&home.credentials));
    let io = dialler.dial(address).await.map_err(|error| DialFailure(Chain(&error).to_string()))?;
    let (channel, life) =
        client_over(io).await.map_err(|error| DialFailure(Chain(&error).to_string()))?;
    let refused = |status: tonic::Status| {
        let why = life.why().map(|why| format!(": {why}")).unwrap_or_default();
        DialFailure(format!("failed to enrol agent `{key}`: {}{why}", status.message()))
    };
    let mut client = IdentityServiceClient::new(channel);
    let asked = client.request_certificate(RequestCertificateRequest {}).await.map_err(refused)?;
    let asked = asked.into_inner();
    // The name is the one under which the address was added; the token has to agree with it.
    let granted =
        enrol::enrol(home, &asked.join_token, &asked.csr_der, Some(key.name.clone())).await;
    let granted = granted.map_err(|refusal| DialFailure(refusal.message))?;
    let install = InstallCertificateRequest {
        certificate_chain_pem: granted.certificate,
        ca_pem: home.ca.certificate().to_pem(),
    };
    client.install_certificate(install).await.map_err(refused)?;
    info!(agent = %key, address, "gave the listening agent its certificate");
    Ok(())
}

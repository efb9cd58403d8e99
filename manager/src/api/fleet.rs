//! `FleetService`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status};
use waggoner_identity::JoinToken;
use waggoner_proto::v1::{
    AddAgentRequest, AddAgentResponse, Agent, AgentRole as Role, CreateJoinTokenRequest,
    CreateJoinTokenResponse, DrainAgentRequest, DrainAgentResponse, GetAgentRequest,
    GetAgentResponse, ListAgentsRequest, ListAgentsResponse, RemoveAgentRequest,
    RemoveAgentResponse, UndrainAgentRequest, UndrainAgentResponse,
    fleet_service_server::FleetService,
};
use waggoner_store::{PageRequest, agent, join};
use waggoner_types::{AgentName, AgentRole, Digest, Host, TenantName};
use waggoner_wire::{At as _, Refused, from_duration, timestamp};

use crate::{
    api::{Api, refused},
    fleet::{AgentKey, dial},
};

/// How long a join token lives where nothing else is asked for.
const TTL: Duration = Duration::from_mins(15);

/// The longest life of a join token.
const LONGEST_TTL: Duration = Duration::from_hours(24);

#[tonic::async_trait]
impl FleetService for Api {
    async fn list_agents(
        &self,
        request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let ListAgentsRequest { tenant: _, page_size, page_token } = request.into_inner();
        let page = PageRequest::new(page_size, page_token);
        let page = self.home.store.agents(tenant, &page).await.map_err(refused)?;
        Ok(Response::new(ListAgentsResponse {
            agents: page.items.into_iter().map(|agent| self.shown(agent)).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn get_agent(
        &self,
        request: Request<GetAgentRequest>,
    ) -> Result<Response<GetAgentResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let name = request.into_inner().name.parse().at("name")?;
        let agent = self.home.store.agent(tenant, name).await.map_err(refused)?;
        Ok(Response::new(GetAgentResponse { agent: Some(self.shown(agent)) }))
    }

    async fn add_agent(
        &self,
        request: Request<AddAgentRequest>,
    ) -> Result<Response<AddAgentResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        let name: AgentName = request.name.parse().at("name")?;
        let address = address(&request.address)?;
        let role = role(request.role)?;
        self.once(&tenant, "AddAgent", &request.request_id, &request, async {
            let agent = agent::Agent {
                tenant: tenant.clone(),
                name: name.clone(),
                role,
                address: Some(address.clone()),
                created_at: Timestamp::now(),
                last_seen_at: None,
                version: String::new(),
                host: Host::default(),
                certificate: None,
                drained_at: None,
                running: 0,
            };
            self.home.store.create_agent(agent.clone()).await.map_err(refused)?;
            dial::keep(&self.home, AgentKey { tenant: tenant.clone(), name }, address);
            Ok(AddAgentResponse { agent: Some(self.shown(agent)) })
        })
        .await
    }

    async fn remove_agent(
        &self,
        request: Request<RemoveAgentRequest>,
    ) -> Result<Response<RemoveAgentResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        let name: AgentName = request.name.parse().at("name")?;
        self.once(&tenant, "RemoveAgent", &request.request_id, &request, async {
            let removed = self
                .home
                .store
                .remove_agent(tenant.clone(), name.clone(), Timestamp::now())
                .await
                .map_err(refused)?;
            if let Some(certificate) = removed.certificate {
                self.home.deny(certificate.serial);
            }
            self.home.fleet.drop_agent(&AgentKey { tenant: tenant.clone(), name });
            Ok(RemoveAgentResponse {})
        })
        .await
    }

    async fn drain_agent(
        &self,
        request: Request<DrainAgentRequest>,
    ) -> Result<Response<DrainAgentResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        let name: AgentName = request.name.parse().at("name")?;
        self.once(&tenant, "DrainAgent", &request.request_id, &request, async {
            let agent = self.drain(tenant.clone(), name, Some(Timestamp::now())).await?;
            Ok(DrainAgentResponse { agent: Some(agent) })
        })
        .await
    }

    async fn undrain_agent(
        &self,
        request: Request<UndrainAgentRequest>,
    ) -> Result<Response<UndrainAgentResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        let name: AgentName = request.name.parse().at("name")?;
        self.once(&tenant, "UndrainAgent", &request.request_id, &request, async {
            let agent = self.drain(tenant.clone(), name, None).await?;
            Ok(UndrainAgentResponse { agent: Some(agent) })
        })
        .await
    }

    async fn create_join_token(
        &self,
        request: Request<CreateJoinTokenRequest>,
    ) -> Result<Response<CreateJoinTokenResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let CreateJoinTokenRequest { tenant: _, agent_name, role: asked, ttl } =
            request.into_inner();
        let agent = match agent_name.as_str() {
            "" => None,
            name => Some(name.parse().at("agent_name")?),
        };
        let ttl = ttl.map(from_duration).transpose()?.unwrap_or(TTL);
        if ttl > LONGEST_TTL {
            return Err(Refused::field("ttl", "a join token lives for a day at the most").into());
        }
        let now = Timestamp::now();
        let ttl = SignedDuration::try_from(ttl).at("ttl")?;
        let expires_at = now.checked_add(ttl).at("ttl")?;
        let token = JoinToken::mint(self.home.ca.certificate().pin());
        let row = join::JoinToken {
            hash: Digest(*token.hash().as_bytes()),
            tenant,
            agent,
            role: role(asked)?,
            created_at: now,
            expires_at,
            used: None,
        };
        self.home.store.create_join_token(row).await.map_err(refused)?;
        Ok(Response::new(CreateJoinTokenResponse {
            token: token.reveal().expose_secret().to_owned(),
            expires_at: Some(timestamp(expires_at)),
        }))
    }
}

impl Api {
    async fn drain(
        &self,
        tenant: TenantName,
        name: AgentName,
        since: Option<Timestamp>,
    ) -> Result<Agent, Refused> {
        let drained = self.home.store.drain_agent(tenant, name, since).await.map_err(refused)?;
        self.home.fleet.note_drained(&drained);
        Ok(self.shown(drained))
    }

    fn shown(&self, agent: agent::Agent) -> Agent {
        let agent::Agent {
            tenant,
            name,
            role,
            address,
            created_at,
            last_seen_at,
            version,
            host,
            certificate,
            drained_at,
            running,
        } = agent;
        let key = AgentKey { tenant, name };
        let link = self.home.fleet.link(&key);
        let problem = match &link {
            Some(_) => String::new(),
            None => self.home.fleet.problem(&key).unwrap_or_default(),
        };
        let clock_offset = link.as_ref().map(|link| prost_types::Duration {
            seconds: link.clock_offset.as_secs(),
            nanos: link.clock_offset.subsec_nanos(),
        });
        let seen = link.as_ref().map(|link| link.last_seen()).or(last_seen_at);
        let AgentKey { tenant, name } = key;
        let Host { hostname, machine, system, distribution, distribution_version, .. } = host;
        let platform = [distribution, distribution_version, system, machine];
        let known: Vec<_> = platform.into_iter().filter(|part| !part.is_empty()).collect();
        Agent {
            name: name.into(),
            tenant: tenant.into(),
            role: match role {
                AgentRole::Host => Role::Host,
                AgentRole::Central => Role::Central,
            }
            .into(),
            connected: link.is_some(),
            created_at: Some(timestamp(created_at)),
            last_seen_at: seen.map(timestamp),
            certificate_expires_at: certificate.map(|held| timestamp(held.expires_at)),
            version,
            hostname,
            platform: known.join(" "),
            address: address.unwrap_or_default(),
            running,
            python_tags: host.python_tags,
            problem,
            clock_offset,
            drained_at: drained_at.map(timestamp),
        }
    }
}

fn role(message: i32) -> Result<AgentRole, Refused> {
    match Role::try_from(message) {
        Ok(Role::Unspecified | Role::Host) => Ok(AgentRole::Host),
        Ok(Role::Central) => Ok(AgentRole::Central),
        Err(_) => Err(Refused::field("role", "there is no such role")),
    }
}

fn address(text: &str) -> Result<String, Refused> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match port.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(1..)) => Ok(text.to_owned()),
        _ => Err(Refused::field("address", format!("`{text}` is not of the form host:port"))),
    }
}

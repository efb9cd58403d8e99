//! The public API: one thin file per service. Parse, hand over, answer.

use std::{convert::Infallible, sync::Arc};

use prost::Message;
use sha2::{Digest as _, Sha256};
use tokio_stream::Stream;
use tonic::{Response, Status, metadata::MetadataMap, service::Routes};
use tracing::{error, warn};
use uuid::Uuid;
use waggoner_identity::ApiToken;
use waggoner_link::{Io, settings};
use waggoner_proto::v1::{
    blueprint_service_server::BlueprintServiceServer,
    deployment_service_server::DeploymentServiceServer,
    enrolment_service_server::EnrolmentServiceServer, event_service_server::EventServiceServer,
    execution_service_server::ExecutionServiceServer, fleet_service_server::FleetServiceServer,
    manager_service_server::ManagerServiceServer,
    node_instance_service_server::NodeInstanceServiceServer,
    plugin_service_server::PluginServiceServer, secret_service_server::SecretServiceServer,
    tenant_service_server::TenantServiceServer, token_service_server::TokenServiceServer,
};
use waggoner_store::request::{Claimed, Request as KnownRequest};
use waggoner_task::CancellationToken;
use waggoner_types::{Chain, Digest, TenantName};
use waggoner_wire::{Reason, Refused};

use crate::{doors::pages, home::Home};

pub(crate) use refusals::{not_taken, refused};

use health::Health;

mod blueprints;
mod deployments;
mod enrolment;
mod events;
mod executions;
mod fleet;
mod health;
mod looks;
mod node_instances;
mod plugins;
mod refusals;
mod secrets;
mod status;
mod tenants;
mod tokens;
mod uploads;

/// A service that takes and gives messages up to our limit.
macro_rules! limited {
    ($server:ident, $api:ident) => {
        $server::new($api.clone())
            .max_decoding_message_size(settings::MAX_MESSAGE)
            .max_encoding_message_size(settings::MAX_MESSAGE)
    };
}
/// All services: each is a thin face of the home.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    home: Arc<Home>,
    /// Cancelled when the manager stops: streams without an end of their own watch it.
    stop: CancellationToken,
}

/// Who calls, by the API token that was shown.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) tenant: TenantName,
    pub(crate) admin: bool,
}

/// Serves the connections of people's tools until `stop` and the last call's end.
pub(crate) async fn serve(
    home: &Arc<Home>,
    connections: impl Stream<Item = Result<Io, Infallible>>,
    stop: CancellationToken,
) {
    let api = Api { home: Arc::clone(home), stop: stop.clone() };
    let (health, health_service) = Health::new(&SERVICES).await;
    let reflection = || {
        let descriptors = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(waggoner_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        // Only what is served here: the descriptors hold the agents' and plugins' services too.
        SERVICES
            .into_iter()
            .chain([HEALTH])
            .fold(descriptors, tonic_reflection::server::Builder::with_service_name)
    };
    let served = waggoner_link::server()
        .add_routes(with_pages(home))
        .add_service(health_service)
        .add_service(reflection().build_v1().expect("protox made the descriptors"))
        .add_service(reflection().build_v1alpha().expect("protox made the descriptors"))
        .add_service(limited!(BlueprintServiceServer, api))
        .add_service(limited!(DeploymentServiceServer, api))
        .add_service(limited!(EnrolmentServiceServer, api))
        .add_service(limited!(EventServiceServer, api))
        .add_service(limited!(ExecutionServiceServer, api))
        .add_service(limited!(FleetServiceServer, api))
        .add_service(limited!(ManagerServiceServer, api))
        .add_service(limited!(NodeInstanceServiceServer, api))
        .add_service(limited!(PluginServiceServer, api))
        .add_service(limited!(SecretServiceServer, api))
        .add_service(limited!(TenantServiceServer, api))
        .add_service(limited!(TokenServiceServer, api))
        .serve_with_incoming_shutdown(connections, health.leave(&stop));
    let served = tokio::select! {
        served = served => served,
        () = health.let_go(&stop) => return,
    };
    if let Err(error) = served {
        warn!(error = %Chain(&error), "the API ended badly");
    }
}

/// The pages, which are got over HTTP/2 as well. What is neither they nor a service is answered as
/// gRPC does.
fn with_pages(home: &Arc<Home>) -> Routes {
    let mut routes = Routes::default();
    let services = std::mem::take(routes.axum_router_mut());
    *routes.axum_router_mut() = services.merge(pages::router(Arc::clone(home)));
    routes
}

/// The health service itself.
const HEALTH: &str = "grpc.health.v1.Health";

/// The services of the public API, for reflection and for health checks by name.
const SERVICES: [&str; 12] = [
    "waggoner.v1.BlueprintService",
    "waggoner.v1.DeploymentService",
    "waggoner.v1.EnrolmentService",
    "waggoner.v1.EventService",
    "waggoner.v1.ExecutionService",
    "waggoner.v1.FleetService",
    "waggoner.v1.ManagerService",
    "waggoner.v1.NodeInstanceService",
    "waggoner.v1.PluginService",
    "waggoner.v1.SecretService",
    "waggoner.v1.TenantService",
    "waggoner.v1.TokenService",
];

// === impl Api ===

impl Api {
    /// Finds out who calls.
    async fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Refused> {
        let refuse = |why: &str| Refused::new(Reason::Unauthenticated, why);
        let header = metadata
            .get("authorization")
            .ok_or_else(|| refuse("no API token was shown: send `authorization: Bearer wgt_…`"))?;
        let token = header.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.ok_or_else(|| {
            refuse("the `authorization` header is not of the form `Bearer wgt_…`")
        })?;
        let token: ApiToken = token.parse().map_err(|why| refuse(&format!("{why}")))?;
        let hash = Digest(*token.hash().as_bytes());
        let known = self.home.store.find_api_token(hash).await.map_err(refused)?;
        let known = known.ok_or_else(|| {
            refuse("the API token is not known to this manager: it was deleted, or is another's")
        })?;
        Ok(Caller { tenant: known.tenant, admin: known.admin })
    }

    /// Finds out who calls and which tenant is meant.
    async fn tenant(&self, metadata: &MetadataMap, asked: &str) -> Result<TenantName, Refused> {
        let caller = self.caller(metadata).await?;
        self.meant(caller, asked).await
    }

    /// Returns the tenant that a caller means, which has to be there.
    async fn meant(&self, caller: Caller, asked: &str) -> Result<TenantName, Refused> {
        let own = caller.tenant.clone();
        let tenant = caller.tenant(asked)?;
        if tenant != own {
            self.home.store.tenant(tenant.clone()).await.map_err(refused)?;
        }
        Ok(tenant)
    }

    /// Does the work of a request once: one with the id of an earlier one gets its answer.
    async fn once<Q: Message, A: Message + Default>(
        &self,
        tenant: &TenantName,
        method: &str,
        request_id: &str,
        request: &Q,
        work: impl Future<Output = Result<A, Refused>>,
    ) -> Result<Response<A>, Status> {
        if request_id.is_empty() {
            return Ok(Response::new(work.await?));
        }
        let id = Uuid::try_parse(request_id)
            .map_err(|_| Refused::field("request_id", "it is not a UUID"))?;
        let digest = Digest(Sha256::digest(request.encode_to_vec()).into());
        let known = KnownRequest { tenant: tenant.clone(), id, method: method.to_owned(), digest };
        let store = &self.home.store;
        match store.claim_request(known, jiff::Timestamp::now()).await.map_err(refused)? {
            Claimed::Answered(answer) => {
                let answer = A::decode(answer.as_slice()).map_err(|error| {
                    Refused::new(Reason::Internal, format!("failed to repeat the answer: {error}"))
                })?;
                return Ok(Response::new(answer));
            }
            Claimed::Running => {
                let why = "the same request is being worked on: ask again in a moment";
                return Err(Refused::new(Reason::Unavailable, why).into());
            }
            Claimed::Fresh => {}
        }
        let done = work.await;
        let remembered = match &done {
            Ok(answer) => store.answer_request(tenant.clone(), id, answer.encode_to_vec()).await,
            Err(_) => store.forget_request(tenant.clone(), id).await,
        };
        if let Err(error) = remembered {
            error!(error = %Chain(&error), "failed to remember a request's answer");
        }
        Ok(Response::new(done?))
    }
}

// === impl Caller ===

impl Caller {
    /// Returns the tenant that is meant: the caller's own where none is named.
    pub(crate) fn tenant(self, asked: &str) -> Result<TenantName, Refused> {
        if asked.is_empty() {
            return Ok(self.tenant);
        }
        let asked: TenantName = asked.parse().map_err(|why| Refused::field("tenant", why))?;
        if asked == self.tenant || self.admin {
            return Ok(asked);
        }
        let why = format!("the API token stands for the tenant `{}`, not `{asked}`", self.tenant);
        Err(Refused::new(Reason::Forbidden, why))
    }

    /// Insists on an administrator.
    pub(crate) fn admin(self) -> Result<Self, Refused> {
        if self.admin {
            return Ok(self);
        }
        let why = "only an administrator's API token may do this";
        Err(Refused::new(Reason::Forbidden, why))
    }
}

//! The manager, as the commands see it: calls with a deadline, lists to their end, uploads, events.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{sleep, timeout};
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use waggoner_proto::v1::{
    blueprint_service_client::BlueprintServiceClient,
    deployment_service_client::DeploymentServiceClient, event_service_client::EventServiceClient,
    execution_service_client::ExecutionServiceClient, fleet_service_client::FleetServiceClient,
    manager_service_client::ManagerServiceClient,
    node_instance_service_client::NodeInstanceServiceClient,
    plugin_service_client::PluginServiceClient, secret_service_client::SecretServiceClient,
    tenant_service_client::TenantServiceClient, token_service_client::TokenServiceClient,
};
use waggoner_task::Backoff;

use crate::profile::Profile;

mod connect;
mod error;
mod follow;
mod pages;
mod upload;

pub(crate) use self::{
    connect::DialError,
    error::{ClientError, Refusal},
    follow::Follow,
    pages::all,
    upload::{Parcel, pieces},
};

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// How often a call is made while the manager is unavailable, the first time included.
const TRIES: u32 = 4;

/// The largest message taken: a plan is one value, and may be large.
const MESSAGE_BYTES: usize = 64 << 20;

/// A connection to a manager, in the name of one token and for one tenant.
#[derive(Clone, Debug)]
pub(crate) struct Manager {
    wire: Wire,
    tenant: String,
    address: String,
}

type Wire = InterceptedService<Channel, Bearer>;

/// Adds the token to each call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

// === impl Manager ===

/// Declares how to get at a service.
macro_rules! services {
    ($($name:ident: $client:ident,)*) => {
        $(
            pub(crate) fn $name(&self) -> $client<Wire> {
                $client::new(self.wire.clone()).max_decoding_message_size(MESSAGE_BYTES)
            }
        )*
    };
}

impl Manager {
    /// Connects to the manager of a profile; `tenant` instead of the profile's where given.
    pub(crate) async fn connect(
        profile: Profile,
        tenant: Option<String>,
    ) -> Result<Self, ClientError> {
        let channel = connect::channel(&profile).await?;
        let tenant = tenant.unwrap_or(profile.tenant);
        Self::over(channel, &profile.token, tenant, profile.address)
    }

    /// Uses a connection that stands.
    pub(crate) fn over(
        channel: Channel,
        token: &SecretString,
        tenant: String,
        address: String,
    ) -> Result<Self, ClientError> {
        let wire = InterceptedService::new(channel, Bearer::new(token)?);
        Ok(Self { wire, tenant, address })
    }

    /// The tenant to act in; empty for the token's own.
    pub(crate) fn tenant(&self) -> String {
        self.tenant.clone()
    }

    /// The same connection, to act in another tenant.
    pub(crate) fn for_tenant(&self, tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..self.clone() }
    }

    /// Where the manager is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    services! {
        blueprints: BlueprintServiceClient,
        deployments: DeploymentServiceClient,
        events: EventServiceClient,
        executions: ExecutionServiceClient,
        fleet: FleetServiceClient,
        status: ManagerServiceClient,
        node_instances: NodeInstanceServiceClient,
        plugins: PluginServiceClient,
        secrets: SecretServiceClient,
        tenants: TenantServiceClient,
        tokens: TokenServiceClient,
    }
}

// === impl Bearer ===

impl Bearer {
    fn new(token: &SecretString) -> Result<Self, ClientError> {
        let value = format!("Bearer {}", token.expose_secret());
        let mut value = MetadataValue::try_from(value).map_err(|_| ClientError::Token)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(…)")
    }
}

/// Asks what may be asked again: a question, or a change under a request id. Asks again, with
/// backoff, while the manager is unavailable.
pub(crate) async fn ask<Q: Clone, A>(
    question: Q,
    call: impl AsyncFn(Request<Q>) -> Result<Response<A>, Status>,
) -> Result<A, ClientError> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    loop {
        match ask_once(question.clone(), &call).await {
            Err(ClientError::Unavailable(_)) if backoff.tries() + 1 < TRIES => {
                sleep(backoff.next()).await;
            }
            answer => return answer,
        }
    }
}

/// Asks what must not be asked again.
pub(crate) async fn ask_once<Q, A>(
    question: Q,
    call: impl AsyncFn(Request<Q>) -> Result<Response<A>, Status>,
) -> Result<A, ClientError> {
    let mut request = Request::new(question);
    request.set_timeout(DEADLINE);
    match timeout(DEADLINE, call(request)).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(status.into()),
        Err(_) => Err(Status::new(Code::DeadlineExceeded, "").into()),
    }
}

/// A new name under which a change may be asked for again.
pub(crate) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests;

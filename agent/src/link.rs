//! The one link to the manager, whoever dials.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc};

use tokio::time::{Instant, sleep_until};
use tonic::service::Routes;
use tracing::{info, warn};
use waggoner_identity::tls;
use waggoner_link::{AgentListener, DialError, Dialler, Io, redial, serve_over, settings};
use waggoner_proto::agent::v1::{
    agent_service_server::AgentServiceServer, identity_service_server::IdentityServiceServer,
};
use waggoner_task::{Backoff, CancellationToken};

use crate::{
    api::{AgentApi, IdentityApi},
    identity::{Joined, Keeper},
};

/// What is served on a link.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub(crate) agent: AgentApi,
    pub(crate) identity: IdentityApi,
    /// No new call is taken once it is cancelled.
    pub(crate) stop: CancellationToken,
}

/// How long a second connection waits for the first to be proved dead.
const PROOF: std::time::Duration =
    settings::KEEP_ALIVE_INTERVAL.saturating_add(settings::KEEP_ALIVE_TIMEOUT);

// === impl Services ===

impl Services {
    /// Serves one connection to its end, and says why it ended.
    async fn serve(&self, io: Io) -> String {
        let (health, service) = tonic_health::server::health_reporter();
        health.set_serving::<AgentServiceServer<AgentApi>>().await;
        let routes = Routes::new(service)
            .add_service(AgentServiceServer::new(self.agent.clone()))
            .add_service(IdentityServiceServer::new(self.identity.clone()));
        info!(peer = %io.caller().address, "the link to the manager is up");
        self.agent.linked(true).await;
        let why = serve_over(io, routes, self.stop.clone().cancelled_owned()).await;
        self.agent.linked(false).await;
        why
    }
}

/// Dials the manager for ever.
pub(crate) async fn dial(services: Services, address: String, joined: Joined) -> Infallible {
    let dialler = Dialler::new(tls::agent_dialling(&joined.credentials, &joined.ca));
    let backoff = Backoff::new(settings::REDIAL_BASE, settings::REDIAL_CAP);
    redial("the manager", backoff, || async {
        let io = dialler.dial(&address).await?;
        Ok::<_, DialError>(Box::pin(services.serve(io)).await)
    })
    .await
}

/// Waits for the manager to dial, for ever: to give this agent its certificate, if it has none, and
/// then to work with it.
///
/// One connection is served at a time. Another that comes meanwhile waits until the first is proved
/// dead, and is closed if it lives.
pub(crate) async fn listen(
    services: Services,
    mut listener: AgentListener,
    keeper: Arc<Keeper>,
) -> Infallible {
    if keeper.joined().is_none() {
        Box::pin(join(&services, &mut listener, &keeper)).await;
    }
    let mut next = None;
    loop {
        let io = match next.take() {
            Some(io) => io,
            None => listener.next().await,
        };
        next = Box::pin(occupied(&services, io, &mut listener)).await;
    }
}

/// Takes the port: with the settings of who the agent is now.
pub(crate) async fn bind(address: SocketAddr, keeper: &Keeper) -> std::io::Result<AgentListener> {
    let tls = match keeper.joined() {
        Some(joined) => tls::agent_listening(&joined.credentials, &joined.ca),
        None => tls::unenrolled_listening(keeper.ca()).map_err(std::io::Error::other)?,
    };
    AgentListener::bind(address, tls).await
}

/// Serves nothing but the identity until there is one.
async fn join(services: &Services, listener: &mut AgentListener, keeper: &Keeper) {
    loop {
        let io = listener.next().await;
        let mut installed = services.identity.watch();
        let routes = Routes::new(IdentityServiceServer::new(services.identity.clone()));
        let is_installed = async {
            // The sender lives as long as the services.
            drop(installed.wait_for(|count| *count > 0).await);
        };
        let why = Box::pin(serve_over(io, routes, is_installed)).await;
        if let Some(joined) = keeper.joined() {
            listener.set_tls(tls::agent_listening(&joined.credentials, &joined.ca));
            return;
        }
        info!(why, "a connection to join has ended without a certificate");
    }
}

/// Serves a connection, and returns the one that waited for its end, if one did.
async fn occupied(services: &Services, io: Io, listener: &mut AgentListener) -> Option<Io> {
    let mut serving = pin!(services.serve(io));
    let mut waiting: Option<(Io, Instant)> = None;
    loop {
        let until = waiting.as_ref().map_or_else(Instant::now, |(_, until)| *until);
        tokio::select! {
            why = &mut serving => {
                info!(why, "the link to the manager has ended");
                return waiting.map(|(io, _)| io);
            }
            io = listener.next() => {
                warn!(peer = %io.caller().address, "a second link waits for the end of the first");
                waiting = Some((io, Instant::now() + PROOF));
            }
            () = sleep_until(until), if waiting.is_some() => {
                warn!("the second link was refused: the first lives");
                waiting = None;
            }
        }
    }
}

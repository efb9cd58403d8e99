//! Whether the manager serves, for whoever watches that (`grpc.health.v1`).

use std::{future::pending, time::Duration};

use tokio::time::sleep;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health as HealthService, HealthServer},
    server::{HealthReporter, health_reporter},
};
use waggoner_task::CancellationToken;

/// Tells of the services, and of the manager as a whole, whether they serve.
#[derive(Clone, Debug)]
pub(super) struct Health {
    reporter: HealthReporter,
    services: &'static [&'static str],
}

/// How long it is told that nothing serves any more, before those who watch are let go: who watches
/// would hold up the end.
const FAREWELL: Duration = Duration::from_secs(1);

// === impl Health ===

impl Health {
    /// Begins with services that serve.
    pub(super) async fn new(
        services: &'static [&'static str],
    ) -> (Self, HealthServer<impl HealthService>) {
        let (reporter, server) = health_reporter();
        let health = Self { reporter, services };
        health.set(ServingStatus::Serving).await;
        (health, server)
    }

    /// Waits for the order to stop, and tells of it: nobody is to come any more.
    pub(super) async fn leave(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        self.set(ServingStatus::NotServing).await;
    }

    /// Lets go those who watch, a while after the order to stop. Does not end.
    pub(super) async fn let_go(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        sleep(FAREWELL).await;
        let mut reporter = self.reporter.clone();
        for service in self.all() {
            reporter.clear_service_status(service).await;
        }
        pending::<()>().await;
    }

    async fn set(&self, status: ServingStatus) {
        for service in self.all() {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// The manager as a whole has no name.
    fn all(&self) -> impl Iterator<Item = &'static str> {
        [""].into_iter().chain(self.services.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio_stream::StreamExt as _;
    use tonic::{
        Code,
        transport::{Endpoint, Server},
    };
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus as Said,
        health_client::HealthClient,
    };
    use waggoner_task::Tasks;

    use super::*;

    #[tokio::test]
    async fn who_watches_hears_that_it_ends_and_does_not_hold_it_up() {
        let (health, service) = Health::new(&["a.B"]).await;
        let (tasks, stop) = (Tasks::default(), CancellationToken::new());
        let (near, far) = tokio::io::duplex(64 * 1024);
        let token = stop.clone();
        tasks.spawn("server", async move {
            let incoming = tokio_stream::once(Ok::<_, std::io::Error>(far));
            let incoming = incoming.chain(tokio_stream::pending());
            let leave = health.leave(&token);
            let served = Server::builder()
                .add_service(service)
                .serve_with_incoming_shutdown(incoming, leave);
            tokio::select! {
                served = served => served.unwrap(),
                () = health.let_go(&token) => {}
            }
        });
        let mut near = Some(near);
        let connect = tower::service_fn(move |_| {
            let near = near.take().expect("it connects once");
            async move { Ok::<_, std::io::Error>(TokioIo::new(near)) }
        });
        let channel = Endpoint::from_static("http://manager.test");
        let mut client = HealthClient::new(channel.connect_with_connector(connect).await.unwrap());
        let of = |service: &str| HealthCheckRequest { service: service.to_owned() };
        let nobody = client.check(of("c.D")).await.unwrap_err();
        assert_eq!(nobody.code(), Code::NotFound);
        for service in ["", "a.B"] {
            let said = client.check(of(service)).await.unwrap().into_inner();
            assert_eq!(said.status(), Said::Serving);
        }
        let mut watched = client.watch(of("a.B")).await.unwrap().into_inner();
        assert_eq!(watched.message().await.unwrap().unwrap().status(), Said::Serving);
        stop.cancel();
        assert_eq!(watched.message().await.unwrap().unwrap().status(), Said::NotServing);
        assert_eq!(watched.message().await.unwrap(), None);
        drop(client);
        tasks.join().await;
    }
}

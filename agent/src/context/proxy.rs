//! Cloudify's ctx proxy on the loopback (`cloudify/proxy/server.py`), for scripts that speak it
//! themselves: `CTX_SOCKET_URL`.
//!
//! The stock one answers whoever finds its port. This one answers a URL with a token in its path,
//! which only the script's own environment tells, and only while the operation runs; stock clients
//! use the URL as it is. Its port stays the same from one life of the daemon to the next.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use camino::Utf8Path;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use sha2::{Digest as _, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};
use tracing::debug;
use waggoner_task::Tasks;
use waggoner_types::Digest;

use crate::{
    context::{HostApi, MOST, grpc::ContextApi, json},
    facade::{Admission, FacadeError, Guests, SILENCE, listen},
};

/// Where scripts find their operation's context over TCP.
#[derive(Debug)]
pub(crate) struct CtxProxy {
    address: SocketAddr,
    guests: Guests,
}

/// How many connections are served at once.
const CONNECTIONS: usize = 256;

// === impl CtxProxy ===

impl CtxProxy {
    /// Opens the proxy on the port that a file names, or on one that it names from now on. The
    /// future serves it.
    pub(crate) async fn open(
        port: &Utf8Path,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), FacadeError> {
        let listener = listen(port).await.map_err(FacadeError::Proxy)?;
        let address = listener.local_addr().map_err(FacadeError::Proxy)?;
        let proxy = Self { address, guests: Guests::default() };
        let serving = accept(listener, proxy.guests.clone());
        Ok((proxy, serving))
    }

    /// Lets an operation call that is known by a token of its own. Returns its URL.
    pub(crate) fn admit(&self, token: &str, api: Arc<HostApi>) -> (Admission, String) {
        // Clients print the URL where they fail: it is not to open the REST API as well.
        let digest = Digest(Sha256::digest(["ctx ", token].concat()).into()).to_string();
        let url = format!("http://localhost:{}/{digest}", self.address.port());
        (self.guests.admit(digest, api), url)
    }
}

async fn accept(listener: TcpListener, guests: Guests) {
    let connections = Tasks::default();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = room.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let guests = guests.clone();
                connections.spawn("ctx proxy", async move {
                    serve(stream, guests).await;
                    drop(place);
                });
            }
            Err(error) => {
                debug!(%error, "the ctx proxy cannot accept");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, guests: Guests) {
    let router = Router::new()
        .route("/{token}", post(answer))
        .layer(DefaultBodyLimit::max(MOST))
        .with_state(guests);
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection to the ctx proxy ended badly");
    }
}

async fn answer(
    State(guests): State<Guests>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(api) = guests.find(&token) else {
        return (StatusCode::NOT_FOUND, "no operation that runs is known here\n").into_response();
    };
    api.called().await;
    json::proxy(State(ContextApi(api)), headers, body).await
}

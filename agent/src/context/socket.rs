//! The unix socket of one operation: gRPC and JSON over HTTP, whichever the process speaks.

use std::{io, sync::Arc, time::Duration};

use axum::{body::Body, extract::DefaultBodyLimit, http::header::CONTENT_TYPE};
use camino::{Utf8Path, Utf8PathBuf};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};
use tonic::service::Routes;
use tower::{ServiceExt as _, service_fn};
use tracing::debug;
use waggoner_proto::plugin::v1::context_service_server::ContextServiceServer;
use waggoner_task::Tasks;

use crate::{
    context::{HostApi, grpc::ContextApi, json},
    state::remove_file,
};

/// The socket, served until this is dropped. Its file stays, for another life of the daemon.
#[derive(Debug)]
pub(crate) struct Socket {
    path: Utf8PathBuf,
    connections: Arc<Tasks>,
    _listening: Tasks,
}

/// How many connections are served at once: a `ctx` for each of a script's children, and then some.
const CONNECTIONS: usize = 256;

/// How long a process that is gone is still heard.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The most bytes of a request: what the manager takes in one message, with room for its envelope.
pub(crate) const MOST: usize = 3 * 1024 * 1024;

// === impl Socket ===

impl Socket {
    /// Opens a socket in a directory that nobody else may enter, in the place of one that another
    /// life of the daemon left there, and answers.
    pub(crate) fn open(path: Utf8PathBuf, api: Arc<HostApi>) -> io::Result<Self> {
        let listener = match UnixListener::bind(&path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_file(&path)?;
                UnixListener::bind(&path)
            }
            bound => bound,
        }?;
        let (listening, connections) = (Tasks::default(), Arc::new(Tasks::default()));
        listening.spawn("socket", accept(listener, ContextApi(api), Arc::clone(&connections)));
        Ok(Self { path, connections, _listening: listening })
    }

    /// Hears what a process that is gone has still said. What it left behind may hold connections,
    /// so that this waits for some seconds at the most.
    pub(crate) async fn hear_out(&self) {
        let heard = async {
            // Whoever came before a last guest is served before it.
            if let Ok(mut guest) = UnixStream::connect(&self.path).await {
                drop(guest.shutdown().await);
                drop(guest.read(&mut [0]).await);
            }
            self.connections.join().await;
        };
        if timeout(LAST_WORDS, heard).await.is_err() {
            debug!("a descendant of the operation's holds a connection");
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Closes it for good.
    pub(crate) fn close(self) {
        if let Err(error) = remove_file(&self.path) {
            debug!(%error, "a socket cannot be removed");
        }
    }
}

async fn accept(listener: UnixListener, api: ContextApi, connections: Arc<Tasks>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = room.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let api = api.clone();
                connections.spawn("connection", async move {
                    serve(stream, api).await;
                    drop(place);
                });
            }
            // Of the host, not of the listener: out of descriptors, say. Others may close some.
            Err(error) => {
                debug!(%error, "a connection was not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, api: ContextApi) {
    let operation = Arc::clone(&api.0);
    let json = json::routes(api.clone()).layer(DefaultBodyLimit::max(MOST));
    let grpc = Routes::new(ContextServiceServer::new(api)).into_axum_router();
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let kind = request.headers().get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        let is_grpc = kind.is_some_and(|kind| kind.starts_with(b"application/grpc"));
        let router = if is_grpc { grpc.clone() } else { json.clone() };
        let operation = Arc::clone(&operation);
        async move {
            operation.called().await;
            router.oneshot(request.map(Body::new)).await
        }
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    // What a process says before it is killed is heard.
    http.http1().half_close(true);
    let served =
        http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await;
    if let Err(error) = served {
        debug!(error, "a connection of the operation's ended badly");
    }
}

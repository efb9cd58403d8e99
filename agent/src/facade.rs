//! Cloudify's REST API on the loopback, for stock clients inside operations: `get_rest_client()` and
//! everything that plugins start which opens a client of its own.
//!
//! ```text
//!  operation ──(HTTPS, Execution-Token)──▶ /api/v3.1/events   records
//!                                          /api/…             a question to the manager
//!                                          /resources/…       a file of the manager
//! ```
//!
//! One for the daemon. Its port and its certificate, of a CA of its own, stay the same from one life
//! of the daemon to the next, since operations live through both; each operation has a token of its
//! own, good for as long as it runs. A client that shows none is the operation's whose process it is
//! in (`peer`).

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use sha2::{Digest as _, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};
use waggoner_task::Tasks;
use waggoner_types::{AttemptId, Digest};

use crate::context::HostApi;

mod body;
mod certificate;
mod events;
mod files;
mod hot;
mod peer;
mod routes;
mod say;

use certificate::Certificate;
use peer::Ends;

/// Where stock clients find the manager.
#[derive(Debug)]
pub(crate) struct Facade {
    address: SocketAddr,
    ca_file: Utf8PathBuf,
    guests: Guests,
    /// What the tokens of operations are made of.
    secret: Sha256,
}

/// The operations that may call, by their tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guests(Arc<Mutex<HashMap<String, Arc<HostApi>>>>);

/// Who is at the other end of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    guests: Guests,
    ends: Ends,
}

/// The right of one operation to call, until this is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    guests: Guests,
    token: String,
}

/// Why there is no facade.
#[derive(Debug, thiserror::Error)]
pub enum FacadeError {
    #[error("failed to make the certificate of the REST facade")]
    Certificate(#[source] rcgen::Error),

    #[error("failed to keep the certificate of the REST facade")]
    Keep(#[source] io::Error),

    #[error("failed to use the certificate of the REST facade")]
    Tls(#[source] rustls::Error),

    #[error("failed to open the REST facade")]
    Open(#[source] io::Error),

    #[error("failed to open the ctx proxy")]
    Proxy(#[source] io::Error),
}

/// How many connections are served at once. Stock clients open one for each log line.
const CONNECTIONS: usize = 512;

/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a client may say nothing: connections are few, and everybody on the host may open one.
pub(crate) const SILENCE: Duration = Duration::from_mins(1);

// === impl Facade ===

impl Facade {
    /// Opens the facade as it was in `directory`, or makes it there. The future serves it.
    pub(crate) async fn open(
        directory: &Utf8Path,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), FacadeError> {
        let certificate = Certificate::keep(directory)?;
        let tls = certificate.tls()?;
        let listener = listen(&directory.join("port")).await.map_err(FacadeError::Open)?;
        let address = listener.local_addr().map_err(FacadeError::Open)?;
        let guests = Guests::default();
        let serving = accept(listener, TlsAcceptor::from(tls), guests.clone());
        let secret = Sha256::new_with_prefix("execution token ").chain_update(certificate.secret());
        Ok((Self { address, ca_file: certificate.ca_file, guests, secret }, serving))
    }

    /// Returns the token by which an operation is known: the same in every life of the daemon, and
    /// nobody else's to make.
    pub(crate) fn token(&self, attempt: AttemptId) -> String {
        Digest(self.secret.clone().chain_update(attempt.0).finalize().into()).to_string()
    }

    /// Lets an operation call with a token.
    pub(crate) fn admit(&self, token: String, api: Arc<HostApi>) -> Admission {
        self.guests.admit(token, api)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the certificate of the CA to trust.
    pub(crate) fn ca_file(&self) -> &Utf8Path {
        &self.ca_file
    }
}

// === impl Guests ===

impl Guests {
    /// Lets an operation call with a token.
    pub(crate) fn admit(&self, token: String, api: Arc<HostApi>) -> Admission {
        let mut guests = self.0.lock().expect("nothing panics while it holds the guests");
        guests.insert(token.clone(), api);
        Admission { guests: self.clone(), token }
    }

    /// Returns the operation with a token.
    pub(crate) fn find(&self, token: &str) -> Option<Arc<HostApi>> {
        self.0.lock().expect("nothing panics while it holds the guests").get(token).cloned()
    }

    /// Returns the operation of an attempt.
    fn of(&self, attempt: AttemptId) -> Option<Arc<HostApi>> {
        let guests = self.0.lock().expect("nothing panics while it holds the guests");
        guests.values().find(|api| api.attempt_id() == attempt).cloned()
    }
}

// === impl Caller ===

impl Caller {
    /// Returns the operation that a client without a token belongs to.
    async fn by_process(&self) -> Option<Arc<HostApi>> {
        let ends = self.ends;
        let attempt = spawn_blocking(move || ends.attempt()).await.ok().flatten()?;
        self.guests.of(attempt)
    }
}

// === impl Admission ===

impl Drop for Admission {
    fn drop(&mut self) {
        let mut guests = self.guests.0.lock().expect("nothing panics while it holds the guests");
        drop(guests.remove(&self.token));
    }
}

/// Listens on the port that the file names, or on one that it names from now on.
pub(crate) async fn listen(file: &Utf8Path) -> io::Result<TcpListener> {
    let known = fs_err::tokio::read_to_string(file).await.ok();
    if let Some(port) = known.and_then(|text| text.trim().parse::<u16>().ok()) {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                warn!(%error, port, "a listener moves to another port: operations that have run \
                                     since before lose it");
            }
        }
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    fs_err::tokio::write(file, listener.local_addr()?.port().to_string()).await?;
    Ok(listener)
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, guests: Guests) {
    let connections = Tasks::default();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = room.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Ok(own) = stream.local_addr() else { continue };
                let caller = Caller { guests: guests.clone(), ends: Ends { peer, own } };
                let tls = tls.clone();
                connections.spawn("rest", async move {
                    serve(stream, tls, caller).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "the REST facade cannot accept");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, caller: Caller) {
    let stream = match timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "a handshake with the REST facade failed"),
        Err(_) => return,
    };
    let mut server = auto::Builder::new(TokioExecutor::new()).http1_only();
    server.http1().timer(TokioTimer::new()).header_read_timeout(SILENCE);
    let ended = server
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes::router(caller)))
        .await;
    if let Err(error) = ended {
        debug!(error, "a connection to the REST facade ended badly");
    }
}

//! Accepts connections and shakes hands with several at a time.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time,
};
use tracing::{debug, warn};
use waggoner_identity::refusal;
use waggoner_task::Tasks;

use crate::settings;

/// A listening socket, the handshakes under way, and those done but not taken yet.
#[derive(Debug)]
pub(crate) struct Port<T> {
    tcp: TcpListener,
    permits: Arc<Semaphore>,
    handshakes: Tasks,
    done_tx: mpsc::Sender<T>,
    done: mpsc::Receiver<T>,
}

/// A connection that did not come to anything.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The peer has not said a word: a probe, most likely.
    Silent,
    /// The reason, and what is left of the connection to let the peer hear it.
    Because(String, Option<TcpStream>),
}

// === impl Port ===

impl<T: Send + 'static> Port<T> {
    pub(crate) async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        // Room for one: a handshake that is done keeps its permit until somebody takes its result.
        let (done_tx, done) = mpsc::channel(1);
        Ok(Self {
            tcp,
            permits: Arc::new(Semaphore::new(settings::HANDSHAKES)),
            handshakes: Tasks::default(),
            done_tx,
            done,
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Returns the next connection whose handshake succeeded. Cancel safe.
    pub(crate) async fn next<F, Fut>(&mut self, handshake: F) -> T
    where
        F: Fn(TcpStream, SocketAddr) -> Fut,
        Fut: Future<Output = Result<T, Refused>> + Send + 'static,
    {
        loop {
            tokio::select! {
                Some(done) = self.done.recv() => return done,
                (permit, tcp, address) = accept(&self.tcp, &self.permits) => {
                    let handshake = handshake(tcp, address);
                    let done = self.done_tx.clone();
                    self.handshakes.spawn("handshake", async move {
                        shake(handshake, address, done).await;
                        drop(permit);
                    });
                }
            }
        }
    }
}

// === impl Refused ===

impl Refused {
    pub(crate) fn because(why: &str) -> Self {
        Self::Because(why.to_owned(), None)
    }

    pub(crate) fn failed(error: &io::Error, tcp: Option<TcpStream>) -> Self {
        Self::Because(refusal(error), tcp)
    }
}

/// Reads until it is clear whether the peer begins with `start`, and returns what was read.
pub(crate) async fn peek(
    io: &mut (impl AsyncRead + Unpin),
    start: &[u8],
) -> io::Result<(Vec<u8>, bool)> {
    let mut head = Vec::new();
    while head.len() < start.len() && start.starts_with(&head) {
        let mut more = [0; 16];
        let room = start.len() - head.len();
        match io.read(&mut more[..room.min(16)]).await? {
            0 => break,
            count => head.extend_from_slice(&more[..count]),
        }
    }
    let matches = head == start;
    Ok((head, matches))
}

/// Ends a connection whose handshake failed, so that the peer reads why.
///
/// A socket closed with bytes unread makes the kernel send a reset, which may overtake the alert.
async fn part(mut tcp: TcpStream) {
    /// A peer that was refused has little to say.
    const MOST: u64 = 256 * 1024;
    const PATIENCE: Duration = Duration::from_secs(2);

    let parting = async {
        tcp.shutdown().await?;
        tokio::io::copy(&mut (&mut tcp).take(MOST), &mut tokio::io::sink()).await
    };
    // Whether the peer heard it is not for us to know.
    let _parted = time::timeout(PATIENCE, parting).await;
}

async fn accept(
    tcp: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (OwnedSemaphorePermit, TcpStream, SocketAddr) {
    /// No descriptors left: some will be free again soon, and asking at once would only burn CPU.
    const PAUSE: Duration = Duration::from_millis(100);

    let permits = permits.clone();
    let permit = permits.acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match tcp.accept().await {
            Ok((tcp, address)) => return (permit, tcp, address),
            Err(error) => {
                warn!(%error, "failed to accept a connection");
                time::sleep(PAUSE).await;
            }
        }
    }
}

async fn shake<T>(
    handshake: impl Future<Output = Result<T, Refused>>,
    address: SocketAddr,
    done: mpsc::Sender<T>,
) {
    let shaken = time::timeout(settings::HANDSHAKE_TIMEOUT, handshake).await;
    let (why, tcp) = match shaken {
        Ok(Ok(connection)) => {
            // It fails only when the port is gone, and the connection with it.
            let _taken = done.send(connection).await;
            return;
        }
        Ok(Err(Refused::Silent)) => return debug!(peer = %address, "a connection without a word"),
        Ok(Err(Refused::Because(why, tcp))) => (why, tcp),
        Err(_) => {
            let why = format!("the handshake took longer than {:?}", settings::HANDSHAKE_TIMEOUT);
            (why, None)
        }
    };
    warn!(peer = %address, why, "refused a connection");
    if let Some(tcp) = tcp {
        part(tcp).await;
    }
}

//! How a connection comes to its end, for those who do not hold it.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Instant},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;
use waggoner_identity::refusal;

use crate::settings;

/// The life of a connection that something else reads and writes. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Life(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Why it ended. Written once, before `ended`.
    why: OnceLock<String>,
    ended: CancellationToken,
    /// The peer has said something.
    heard: CancellationToken,
    /// Why somebody here wants it to end. Written before `close`.
    wish: OnceLock<String>,
    close: CancellationToken,
}

/// A connection that tells its [`Life`] when and why it ended, and that ends when told.
#[derive(Debug)]
pub struct Watched<S> {
    io: S,
    life: Life,
    // One for each direction, since each remembers one waker.
    closing: [Pin<Box<WaitForCancellationFutureOwned>>; 2],
    /// When the peer last said something.
    heard: Option<Instant>,
    began: Instant,
    /// What a write failed with: a read that follows may know better.
    unwritten: Option<String>,
}

/// Closes a connection when it goes out of scope.
#[derive(Debug)]
pub struct CloseOnDrop {
    life: Life,
    why: &'static str,
}

const READ: usize = 0;
const WRITE: usize = 1;

// === impl Life ===

impl Life {
    /// Waits until the connection has ended, and says in one clause why. Cancel safe.
    pub async fn ended(&self) -> &str {
        self.0.ended.cancelled().await;
        self.why().expect("the reason is written before the end")
    }

    /// Returns why the connection ended. `None` means that it lives.
    pub fn why(&self) -> Option<&str> {
        self.0.why.get().map(String::as_str)
    }

    /// Ends the connection at once, with all calls on it.
    ///
    /// `why` becomes the reason, unless the connection has come to an end of its own before.
    pub fn close(&self, why: &str) {
        let _first = self.0.wish.set(why.to_owned());
        self.0.close.cancel();
    }

    /// Ends the connection when the returned guard is dropped.
    pub fn close_on_drop(&self, why: &'static str) -> CloseOnDrop {
        CloseOnDrop { life: self.clone(), why }
    }

    /// Waits until the peer has said something, and ends the connection if it takes too long.
    pub(crate) async fn heard_within(&self, patience: Duration) {
        let spoken = async {
            tokio::select! {
                () = self.0.heard.cancelled() => {}
                () = self.0.ended.cancelled() => {}
            }
        };
        if time::timeout(patience, spoken).await.is_err() {
            self.close(&format!("the peer said nothing within {patience:?}"));
        }
    }

    fn end(&self, why: &str) {
        self.0.why.get_or_init(|| why.to_owned());
    }

    fn wish(&self) -> io::Error {
        let wish = self.0.wish.get().map_or("", String::as_str);
        io::Error::new(io::ErrorKind::ConnectionAborted, wish)
    }
}

// === impl CloseOnDrop ===

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.life.close(self.why);
    }
}

// === impl Watched ===

impl<S> Watched<S> {
    /// Watches a connection.
    pub fn new(io: S) -> (Self, Life) {
        let life = Life::default();
        let closing = [(); 2].map(|()| Box::pin(life.0.close.clone().cancelled_owned()));
        (
            Self {
                io,
                life: life.clone(),
                closing,
                heard: None,
                began: Instant::now(),
                unwritten: None,
            },
            life,
        )
    }

    fn poll_open(&mut self, direction: usize, cx: &mut Context<'_>) -> io::Result<()> {
        match self.closing[direction].as_mut().poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => {
                let wish = self.life.wish();
                self.life.end(&wish.to_string());
                Err(wish)
            }
        }
    }

    fn hear(&mut self) {
        if self.heard.replace(Instant::now()).is_none() {
            self.life.0.heard.cancel();
        }
    }

    /// Says for how long the peer has been silent, where that must be why HTTP/2 gave it up.
    fn silence(&self) -> Option<String> {
        const TELLING: Duration = settings::KEEP_ALIVE_INTERVAL
            .saturating_add(settings::KEEP_ALIVE_TIMEOUT)
            .saturating_sub(Duration::from_secs(1));

        let silence = self.heard.unwrap_or(self.began).elapsed();
        let seconds = silence.as_secs();
        (silence >= TELLING).then(|| format!("the peer has not answered for {seconds} s"))
    }

    fn note<T>(&mut self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &written {
            self.unwritten.get_or_insert_with(|| refusal(error));
        }
        written
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        let wish = self.life.0.wish.get().map(String::as_str);
        let silence = self.silence();
        let why = self.unwritten.as_deref().or(wish).or(silence.as_deref());
        self.life.end(why.unwrap_or("the connection was closed here"));
        self.life.0.ended.cancel();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_open(READ, cx)?;
        let (before, wanted) = (buffer.filled().len(), buffer.remaining() > 0);
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        match &read {
            Poll::Ready(Err(error)) => self.life.end(&refusal(error)),
            Poll::Ready(Ok(())) if wanted && buffer.filled().len() == before => {
                self.life.end("the peer closed the connection");
            }
            Poll::Ready(Ok(())) => self.hear(),
            Poll::Pending => {}
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_open(WRITE, cx)?;
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_open(WRITE, cx)?;
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_open(WRITE, cx)?;
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<S> Connected for Watched<S> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

//! A TLS connection after its handshake, with who is at the other end.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsStream;
use tonic::transport::server::Connected;
use waggoner_identity::SpiffeId;

/// A TLS connection after its handshake.
#[derive(Debug)]
pub struct Io {
    tls: TlsStream<TcpStream>,
    caller: Caller,
    /// What was read ahead and belongs before everything else.
    head: Vec<u8>,
}

/// Who is at the other end of a connection. In the extensions of requests that come over one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub address: SocketAddr,
    /// Who the peer's certificate names, which has been verified. `None` without a certificate.
    pub id: Option<SpiffeId>,
}

// === impl Io ===

impl Io {
    pub(crate) fn new(tls: impl Into<TlsStream<TcpStream>>, address: SocketAddr) -> Self {
        let tls = tls.into();
        let certificates = tls.get_ref().1.peer_certificates();
        // A verifier of ours has read the name already, save where any server will do.
        let id = certificates.and_then(|chain| SpiffeId::of(chain.first()?).ok());
        Self { tls, caller: Caller { address, id }, head: Vec::new() }
    }

    /// Returns who is at the other end.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns the certificates that the peer has sent, its own first.
    ///
    /// An agent that joins finds the CA here that its token names.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        self.tls.get_ref().1.peer_certificates().unwrap_or_default()
    }

    /// Returns the protocol that the peer chose from those offered (ALPN).
    pub fn protocol(&self) -> Option<&[u8]> {
        self.tls.get_ref().1.alpn_protocol()
    }

    pub(crate) fn put_back(&mut self, head: Vec<u8>) {
        self.head = head;
    }
}

impl Connected for Io {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Pin::new(&mut self.tls).poll_read(cx, buffer);
        }
        let count = self.head.len().min(buffer.remaining());
        buffer.put_slice(&self.head[..count]);
        self.head.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

//! Ports: the manager's public one, and the one of an agent that does not dial itself.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{ServerConfig, server::Acceptor};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::LazyConfigAcceptor;
use waggoner_identity::{
    Who,
    tls::{ALPN_AGENT, ALPN_H2, ManagerPort},
};
use waggoner_types::{AgentName, TenantName};

use crate::{
    Io,
    port::{Port, Refused, peek},
};

/// The manager's public port. Dropping it closes the port and ends the handshakes under way.
#[derive(Debug)]
pub struct Listener {
    port: Port<Accepted>,
    tls: ManagerPort,
}

/// What a connection to the manager is for.
#[derive(Debug)]
pub enum Accepted {
    /// An agent, on which the manager now speaks as the client: [`client_over`](crate::client_over).
    Agent { io: Io, tenant: TenantName, name: AgentName },
    /// A client of the manager's gRPC API.
    Grpc { io: Io },
    /// A client of the manager's REST API or its web pages: HTTP/1.1.
    Http { io: Io },
}

/// The port of an agent that the manager dials.
#[derive(Debug)]
pub struct AgentListener {
    port: Port<Io>,
    tls: Arc<ServerConfig>,
}

// === impl Listener ===

impl Listener {
    /// Takes the port.
    pub async fn bind(address: impl ToSocketAddrs, tls: ManagerPort) -> io::Result<Self> {
        Ok(Self { port: Port::bind(address).await?, tls })
    }

    /// Returns the address with the port that was taken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.port.address()
    }

    /// Returns the next connection that passed its handshake. Cancel safe.
    ///
    /// Connections are accepted while somebody waits here. Those refused are logged with the reason.
    pub async fn next(&mut self) -> Accepted {
        let tls = &self.tls;
        self.port.next(|tcp, address| welcome(tcp, address, tls.clone())).await
    }
}

// === impl AgentListener ===

impl AgentListener {
    /// Takes the port.
    pub async fn bind(address: impl ToSocketAddrs, tls: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self { port: Port::bind(address).await?, tls })
    }

    /// Returns the address with the port that was taken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.port.address()
    }

    /// Answers with other settings from the next connection on: those of an agent that has joined.
    pub fn set_tls(&mut self, tls: Arc<ServerConfig>) {
        self.tls = tls;
    }

    /// Returns the next connection from the manager. Cancel safe.
    ///
    /// Connections are accepted while somebody waits here. Those refused are logged with the reason.
    pub async fn next(&mut self) -> Io {
        let tls = &self.tls;
        self.port.next(|tcp, address| answer(tcp, address, tls.clone())).await
    }
}

async fn welcome(
    tcp: TcpStream,
    address: SocketAddr,
    tls: ManagerPort,
) -> Result<Accepted, Refused> {
    let mut io =
        shake(tcp, address, |is_agent| if is_agent { tls.agents } else { tls.people }).await?;
    if io.protocol() == Some(ALPN_AGENT) {
        return match io.caller().id.clone().map(|id| id.who) {
            Some(Who::Agent { tenant, name }) => Ok(Accepted::Agent { io, tenant, name }),
            _ => Err(Refused::because("the peer presented no agent's certificate")),
        };
    }
    if io.protocol() == Some(ALPN_H2) {
        return Ok(Accepted::Grpc { io });
    }
    if io.protocol().is_none() {
        // Old HTTP/1.1 clients offer nothing; for HTTP/2 an offer is a must (RFC 9113, section 3.2).
        let (head, is_h2) = peek(&mut io, b"PRI * HTTP/2.0")
            .await
            .map_err(|error| Refused::failed(&error, None))?;
        if is_h2 {
            let why = "the peer speaks HTTP/2 without having offered `h2` (ALPN)";
            return Err(Refused::because(why));
        }
        io.put_back(head);
    }
    Ok(Accepted::Http { io })
}

async fn answer(
    tcp: TcpStream,
    address: SocketAddr,
    tls: Arc<ServerConfig>,
) -> Result<Io, Refused> {
    let io = shake(tcp, address, |_| tls).await?;
    match io.protocol() {
        Some(ALPN_AGENT) => Ok(io),
        _ => Err(Refused::because("the peer has not offered `waggoner-agent/1` (ALPN)")),
    }
}

/// Shakes hands with the settings chosen by whether the peer wants to be an agent's link.
async fn shake(
    tcp: TcpStream,
    address: SocketAddr,
    choose: impl FnOnce(bool) -> Arc<ServerConfig>,
) -> Result<Io, Refused> {
    // Small messages go out at once; bigger ones fill packets anyhow.
    tcp.set_nodelay(true).map_err(|error| Refused::failed(&error, None))?;
    let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), tcp);
    let hello = match (&mut acceptor).await {
        Ok(hello) => hello,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Refused::Silent),
        Err(error) => return Err(Refused::failed(&error, acceptor.take_io())),
    };
    let is_agent = hello
        .client_hello()
        .alpn()
        .is_some_and(|mut offered| offered.any(|protocol| protocol == ALPN_AGENT));
    match hello.into_stream(choose(is_agent)).into_fallible().await {
        Ok(tls) => Ok(Io::new(tls, address)),
        Err((error, tcp)) => Err(Refused::failed(&error, Some(tcp))),
    }
}

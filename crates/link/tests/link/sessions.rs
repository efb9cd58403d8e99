//! Certificates that change, and sessions that are never resumed.

use std::{future, sync::Arc};

use rustls::{ClientConfig, HandshakeKind, ServerConfig, client::Resumption};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use waggoner_identity::tls;
use waggoner_link::{Accepted, Dialler, client_over, serve_over};
use waggoner_task::Tasks;

use crate::house::{House, call, routes};

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_while_old_ones_go_on() {
    let (house, tasks) = (House::new(), Tasks::default());
    let (address, mut accepted) = house.open(&tasks).await;
    let (old, new) = (house.agent("web-1"), house.agent("web-1"));
    let credentials = old.credentials();
    let dialler = Dialler::new(tls::agent_dialling(&credentials, old.ca()));

    let io = dialler.dial(&address).await.unwrap();
    tasks.spawn("agent", async move {
        serve_over(io, routes(), future::pending()).await;
    });
    let Some(Accepted::Agent { io, .. }) = accepted.recv().await else { panic!("not an agent") };
    assert_eq!(io.certificates(), old.chain().ders());
    let (channel, _life) = client_over(io).await.unwrap();
    call(&channel).await.unwrap();

    credentials.replace(&new);
    call(&channel).await.unwrap();
    let _second = dialler.dial(&address).await.unwrap();
    let Some(Accepted::Agent { io, .. }) = accepted.recv().await else { panic!("not an agent") };
    assert_eq!(io.certificates(), new.chain().ders());
    call(&channel).await.unwrap();
}

/// Shakes hands twice with a client that would resume, and returns how the second time went.
async fn second_handshake(server: ServerConfig, client: ClientConfig) -> HandshakeKind {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let (acceptor, tasks) = (TlsAcceptor::from(Arc::new(server)), Tasks::default());
    tasks.spawn("server", async move {
        for _ in 0..2 {
            let (peer, _) = tcp.accept().await.unwrap();
            let mut tls = acceptor.accept(peer).await.unwrap();
            tls.write_all(b"x").await.unwrap();
            tls.flush().await.unwrap();
            tls.read_u8().await.unwrap_err();
        }
    });
    let connector = TlsConnector::from(Arc::new(client));
    let mut kind = None;
    for _ in 0..2 {
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut tls = connector.connect("waggoner".try_into().unwrap(), tcp).await.unwrap();
        // Tickets come before the first byte.
        tls.read_u8().await.unwrap();
        kind = tls.get_ref().1.handshake_kind();
        tls.shutdown().await.unwrap();
    }
    kind.unwrap()
}

#[tokio::test]
async fn no_session_is_resumed_whatever_the_client_wants() {
    let house = House::new();
    let (agent, manager) = (house.agent("web-1"), house.manager());
    let mut eager = ClientConfig::clone(&tls::agent_dialling(&agent.credentials(), agent.ca()));
    eager.resumption = Resumption::in_memory_sessions(8);
    let port = tls::manager_port(&manager.credentials(), manager.ca());

    let strict = ServerConfig::clone(&port.agents);
    assert_eq!(second_handshake(strict, eager.clone()).await, HandshakeKind::Full);

    // The same with a server that would resume: else the test above could not fail.
    let mut lax = ServerConfig::clone(&port.agents);
    lax.session_storage = rustls::server::ServerSessionMemoryCache::new(8);
    lax.send_tls13_tickets = 2;
    assert_eq!(second_handshake(lax.clone(), eager).await, HandshakeKind::Resumed);

    let strict = tls::agent_dialling(&agent.credentials(), agent.ca());
    assert_eq!(second_handshake(lax, ClientConfig::clone(&strict)).await, HandshakeKind::Full);
}

//! The manager's one port.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use waggoner_identity::{Who, tls};
use waggoner_link::{Accepted, DialError, Dialler};
use waggoner_task::Tasks;

use crate::house::{House, Log};

/// Connects as somebody who offers these protocols, and says something.
async fn visit(
    house: &House,
    address: &str,
    offers: &[&[u8]],
    says: &[u8],
) -> TlsStream<TcpStream> {
    let mut tls = ClientConfig::clone(&tls::people(house.trust()));
    tls.alpn_protocols = offers.iter().map(|offer| offer.to_vec()).collect();
    let tcp = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(tls));
    let mut tls = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
    tls.write_all(says).await.unwrap();
    tls
}

#[tokio::test]
async fn the_protocol_offered_says_what_a_connection_is_for() {
    let (house, tasks) = (House::new(), Tasks::default());
    let (address, mut accepted) = house.open(&tasks).await;

    let _grpc = visit(&house, &address, &[b"h2"], b"").await;
    assert!(matches!(accepted.recv().await, Some(Accepted::Grpc { .. })));
    let _http = visit(&house, &address, &[b"http/1.1"], b"").await;
    assert!(matches!(accepted.recv().await, Some(Accepted::Http { .. })));
    let _both = visit(&house, &address, &[b"h2", b"http/1.1"], b"").await;
    assert!(matches!(accepted.recv().await, Some(Accepted::Grpc { .. })));
}

#[tokio::test]
async fn an_old_http_client_offers_no_protocol_and_loses_no_byte() {
    let (house, tasks) = (House::new(), Tasks::default());
    let (address, mut accepted) = house.open(&tasks).await;
    for request in ["PUT /x HTTP/1.1\r\n\r\n", "PRI", "GET / HTTP/1.1\r\n\r\n"] {
        let mut peer = visit(&house, &address, &[], request.as_bytes()).await;
        peer.shutdown().await.unwrap();
        let Some(Accepted::Http { mut io }) = accepted.recv().await else { panic!("not HTTP") };
        let mut read = String::new();
        io.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, request);
    }
}

#[tokio::test]
async fn http2_without_an_offer_is_refused() {
    let (house, tasks, log) = (House::new(), Tasks::default(), Log::default());
    let _guard = log.keep();
    let (address, _accepted) = house.open(&tasks).await;
    let _peer = visit(&house, &address, &[], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(log.refusal().await, "the peer speaks HTTP/2 without having offered `h2` (ALPN)");
}

#[tokio::test]
async fn an_agent_may_use_the_api_under_its_own_name() {
    let (house, tasks) = (House::new(), Tasks::default());
    let (address, mut accepted) = house.open(&tasks).await;
    let agent = house.agent("web-1");
    let mut tls = ClientConfig::clone(&tls::agent_dialling(&agent.credentials(), agent.ca()));
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let _io = Dialler::new(Arc::new(tls)).dial(&address).await.unwrap();
    let Some(Accepted::Grpc { io }) = accepted.recv().await else { panic!("not gRPC") };
    assert_eq!(io.caller().id.as_ref(), Some(agent.id()));
    assert!(matches!(agent.id().who, Who::Agent { .. }));
}

#[tokio::test]
async fn who_does_not_speak_tls_is_refused() {
    let (house, tasks, log) = (House::new(), Tasks::default(), Log::default());
    let _guard = log.keep();
    let (address, _accepted) = house.open(&tasks).await;
    let mut tcp = TcpStream::connect(&address).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: manager\r\n\r\n").await.unwrap();
    assert_eq!(log.refusal().await, "the peer does not speak TLS");
}

#[tokio::test]
async fn silent_connections_hold_nobody_up() {
    let (house, tasks) = (House::new(), Tasks::default());
    let (address, mut accepted) = house.open(&tasks).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    let _io = Dialler::new(tls::people(house.trust())).dial(&address).await.unwrap();
    assert!(matches!(accepted.recv().await, Some(Accepted::Grpc { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stays_silent_is_refused_in_the_end() {
    let (house, tasks, log) = (House::new(), Tasks::default(), Log::default());
    let _guard = log.keep();
    let (address, _accepted) = house.open(&tasks).await;
    let _silent = TcpStream::connect(&address).await.unwrap();
    assert_eq!(log.refusal().await, "the handshake took longer than 10s");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_silent_is_given_up() {
    let house = House::new();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let error = Dialler::new(tls::people(house.trust())).dial(&address).await.unwrap_err();
    assert_eq!(error.to_string(), format!("failed to connect to `{address}` within 10s"));
}

#[tokio::test]
async fn a_closed_port_is_no_connection() {
    let house = House::new();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    drop(tcp);
    let error = Dialler::new(tls::people(house.trust())).dial(&address).await.unwrap_err();
    assert!(matches!(error, DialError::Connect { .. }), "{error}");
}

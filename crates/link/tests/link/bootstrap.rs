//! How those without a certificate meet.

use std::future;

use waggoner_identity::{CaCertificate, CaPin, JoinToken, Who, tls};
use waggoner_link::{Accepted, DialError, Dialler, client_over, serve_over, server};
use waggoner_task::Tasks;

use crate::house::{House, Log, call, listen, routes};

#[tokio::test]
async fn an_agent_finds_the_ca_that_its_token_names() {
    let (house, tasks) = (House::new(), Tasks::default());
    let (address, mut accepted) = house.open(&tasks).await;
    let token = JoinToken::mint(house.trust().pin());
    let io = Dialler::new(tls::bootstrap(token.ca())).dial(&address).await.unwrap();
    assert_eq!(io.caller().id.as_ref().unwrap().who, Who::Manager);
    let found = CaCertificate::pinned(io.certificates(), token.ca()).unwrap();
    assert_eq!(&found, house.trust());

    let Some(Accepted::Grpc { io: served }) = accepted.recv().await else { panic!("not gRPC") };
    assert_eq!(served.caller().id, None);
    tasks.spawn("manager", async move {
        let incoming = tokio_stream::once(Ok::<_, std::io::Error>(served));
        server().add_routes(routes()).serve_with_incoming(incoming).await
    });
    let (channel, _life) = client_over(io).await.unwrap();
    call(&channel).await.unwrap();
}

#[tokio::test]
async fn an_agent_does_not_join_another_manager_than_its_token_names() {
    let (house, tasks) = (House::new(), Tasks::default());
    let (address, _accepted) = house.open(&tasks).await;
    let dialler = Dialler::new(tls::bootstrap(CaPin::from([7; 32])));
    match dialler.dial(&address).await {
        Err(DialError::Tls { why, .. }) => {
            assert_eq!(why, "the peer's certificate was issued by another CA");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_listening_agent_is_reached_before_it_has_a_certificate() {
    let (house, tasks) = (House::new(), Tasks::default());
    let tls = tls::unenrolled_listening(house.trust().pin()).unwrap();
    let (address, mut accepted) = listen(tls, &tasks).await;
    tasks.spawn("agent", async move {
        let io = accepted.recv().await.unwrap();
        serve_over(io, routes(), future::pending()).await;
    });

    let manager = house.manager();
    let dialler = Dialler::new(tls::manager_enrolling_any_server(&manager.credentials()));
    let io = dialler.dial(&address).await.unwrap();
    assert_eq!(io.caller().id, None);
    let (channel, _life) = client_over(io).await.unwrap();
    call(&channel).await.unwrap();
}

#[tokio::test]
async fn a_listening_agent_waits_for_the_manager_that_its_token_names() {
    let (ours, theirs, tasks) = (House::new(), House::new(), Tasks::default());
    for (intruder, why) in [
        (theirs.manager(), "the peer's certificate was issued by another CA"),
        (
            ours.agent("intruder"),
            "the peer's certificate is not the right one: it names agent `intruder` of tenant \
             `default_tenant`, where the manager was expected",
        ),
    ] {
        let log = Log::default();
        let _guard = log.keep();
        let tls = tls::unenrolled_listening(ours.trust().pin()).unwrap();
        let (address, _accepted) = listen(tls, &tasks).await;
        let dialler = Dialler::new(tls::manager_enrolling_any_server(&intruder.credentials()));
        let (channel, life) = client_over(dialler.dial(&address).await.unwrap()).await.unwrap();
        call(&channel).await.unwrap_err();
        assert!(life.ended().await.starts_with("the peer refused us: "), "{:?}", life.why());
        assert_eq!(log.refusal().await, why);
    }
}

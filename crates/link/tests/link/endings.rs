//! How a link ends, and who hears of it.

use std::{future, time::Duration};

use tokio::{
    io::DuplexStream,
    sync::oneshot,
    time::{self, Instant},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use waggoner_link::{
    client_over, serve_over,
    settings::{KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT},
};
use waggoner_task::Tasks;

use crate::house::{call, routes};

const HOUR: Duration = Duration::from_hours(1);
const GIVEN_UP: &str = "the peer has not answered for 25 s";

/// Two ends of a pipe with room for 64 KiB.
fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(64 * 1024)
}

#[tokio::test]
async fn closing_a_link_ends_the_calls_on_it() {
    let (near, far) = pipe();
    let (tasks, (why_tx, why)) = (Tasks::default(), oneshot::channel());
    tasks.spawn(
        "agent",
        async move { why_tx.send(serve_over(far, routes(), future::pending()).await) },
    );
    let (channel, life) = client_over(near).await.unwrap();
    let mut client = HealthClient::new(channel.clone());
    let mut stream = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();

    life.close("the agent was removed");
    stream.message().await.unwrap_err();
    assert_eq!(life.ended().await, "the agent was removed");
    assert_eq!(why.await.unwrap(), "the peer closed the connection");
    call(&channel).await.unwrap_err();
}

#[tokio::test]
async fn an_agent_that_stops_finishes_the_calls_it_has() {
    let (near, far) = pipe();
    let (tasks, (stop_tx, stop)) = (Tasks::default(), oneshot::channel::<()>());
    tasks.spawn("agent", async move {
        serve_over(far, routes(), async { drop(stop.await) }).await;
    });
    let (channel, life) = client_over(near).await.unwrap();
    let mut client = HealthClient::new(channel.clone());
    let mut stream = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();

    stop_tx.send(()).unwrap();
    // The goodbye is read before the next call is made, which then has nowhere to go.
    while call(&channel).await.is_ok() {}
    assert_eq!(life.why(), None);
    drop(stream);
    life.ended().await;
    tasks.join().await;
}

#[tokio::test]
async fn a_link_ends_with_the_last_channel_on_it() {
    let (near, far) = pipe();
    let (channel, life) = client_over(near).await.unwrap();
    let serving = serve_over(far, routes(), future::pending());
    let calling = async {
        call(&channel).await.unwrap();
        drop(channel);
        life.ended().await;
    };
    let (why, ()) = tokio::join!(serving, calling);
    assert_eq!(why, "the peer closed the connection");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_says_nothing_is_given_up() {
    let (near, _nobody) = pipe();
    let (_channel, life) = client_over(near).await.unwrap();
    let began = Instant::now();
    let why = time::timeout(HOUR, life.ended()).await.unwrap();
    assert_eq!(why, GIVEN_UP);
    assert!(began.elapsed() <= KEEP_ALIVE_INTERVAL + KEEP_ALIVE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_says_nothing_is_given_up() {
    let (_nobody, far) = pipe();
    let served = serve_over(far, routes(), future::pending());
    let why = time::timeout(HOUR, served).await.unwrap();
    assert_eq!(why, "the peer said nothing within 10s");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_given_up_by_both_ends() {
    let ((near, near_far), (far_near, far)) = (pipe(), pipe());
    let tasks = Tasks::default();
    let (cut, was_cut) = oneshot::channel::<()>();
    tasks.spawn("cable", carry(near_far, far_near, was_cut));
    let (why_tx, why) = oneshot::channel();
    tasks.spawn(
        "agent",
        async move { why_tx.send(serve_over(far, routes(), future::pending()).await) },
    );
    let (channel, life) = client_over(near).await.unwrap();
    // Longer than any silence that would be noticed, with pings both ways.
    time::sleep(HOUR).await;
    call(&channel).await.unwrap();

    cut.send(()).unwrap();
    assert_eq!(time::timeout(HOUR, why).await.unwrap().unwrap(), GIVEN_UP);
    assert_eq!(time::timeout(HOUR, life.ended()).await.unwrap(), GIVEN_UP);
}

/// Carries bytes both ways until it is cut; then holds both ends and carries nothing.
async fn carry(mut a: DuplexStream, mut b: DuplexStream, cut: oneshot::Receiver<()>) {
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut a, &mut b) => {}
        _ = cut => future::pending().await,
    }
}

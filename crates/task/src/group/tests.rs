use std::{future, io};

use super::*;

const GRACE: Duration = Duration::from_secs(5);

fn broken() -> io::Result<()> {
    Err(io::Error::other("the disk is gone"))
}

#[tokio::test(start_paused = true)]
async fn a_failure_stops_the_siblings_and_is_reported_by_name() {
    let mut group = Group::default();
    let stopped = group.token().cancelled_owned();
    group.spawn("api", stopped);
    group.spawn("store", async { broken() });

    let failure = group.run(future::pending(), GRACE).await.unwrap_err();
    assert_eq!(failure.to_string(), "task `store` failed");
    assert_eq!(failure.source().unwrap().to_string(), "the disk is gone");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure() {
    let mut group = Group::default();
    group.spawn("store", async { assert!(future::ready(false).await, "a bug") });
    group.spawn("api", group.token().cancelled_owned());

    let failure = group.run(future::pending(), GRACE).await.unwrap_err();
    assert_eq!(failure.to_string(), "task `store` panicked");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_done_early_leaves_its_siblings_alone() {
    let mut group = Group::default();
    let token = group.token();
    group.spawn("once", async {});
    group.spawn("later", async move {
        time::sleep(Duration::from_mins(1)).await;
        if token.is_cancelled() { broken() } else { Ok(()) }
    });

    group.run(future::pending(), GRACE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_the_group_when_its_tasks_have_noticed() {
    let mut group = Group::default();
    group.spawn("api", group.token().cancelled_owned());
    group.run(time::sleep(Duration::from_secs(1)), GRACE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tasks_that_do_not_stop_are_aborted_and_named() {
    let mut group = Group::default();
    group.spawn("deaf", future::pending::<()>());
    group.spawn("api", group.token().cancelled_owned());
    group.spawn("blind", future::pending::<()>());

    let failure = group.run(async {}, GRACE).await.unwrap_err();
    assert_eq!(failure.to_string(), "still running 5s after the order to stop: blind, deaf");
}

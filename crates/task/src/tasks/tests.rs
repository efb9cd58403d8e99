use std::{future, io};

use super::*;
use crate::captured::Log;

const GRACE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn failures_and_panics_are_logged_under_the_name_of_the_task() {
    let log = Log::default();
    let guard = log.keep();
    let tasks = Tasks::default();
    tasks.spawn("reader", async { Err::<(), _>(io::Error::other("the peer is gone")) });
    tasks.join().await;
    tasks.spawn("writer", async { assert!(future::ready(false).await, "a bug") });
    tasks.join().await;
    drop(guard);

    let text = log.text();
    assert!(
        text.contains(r#"task{name="reader"}: the task failed error=the peer is gone"#),
        "{text}"
    );
    assert!(text.contains(r#"task{name="writer"}: the task panicked panic="a bug""#), "{text}");
}

#[tokio::test]
async fn a_task_that_is_done_is_forgotten() {
    let tasks = Tasks::default();
    tasks.spawn("brief", async {});
    assert_eq!(tasks.len(), 1);
    tasks.join().await;
    assert!(tasks.is_empty());
}

#[tokio::test]
async fn dropping_the_set_drops_its_tasks() {
    let (alive_tx, alive_rx) = oneshot::channel::<()>();
    let tasks = Tasks::default();
    tasks.spawn("connection", async move {
        future::pending::<()>().await;
        drop(alive_tx);
    });
    drop(tasks);
    alive_rx.await.unwrap_err();
}

#[tokio::test]
async fn a_thing_is_done_whole_though_nobody_waits_for_it_any_more() {
    let tasks = Tasks::default();
    assert_eq!(tasks.whole(async { 7 }).await, Some(7));

    let (go, gone) = oneshot::channel::<()>();
    let (done, is_done) = oneshot::channel();
    let mut whole = Box::pin(tasks.whole(async move {
        gone.await.unwrap();
        done.send("done").unwrap();
    }));
    assert_eq!(futures_util::poll!(&mut whole), std::task::Poll::Pending);
    drop(whole);
    go.send(()).unwrap();
    assert_eq!(is_done.await, Ok("done"));
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_is_aborted_comes_to_nothing() {
    let tasks = Tasks::default();
    let (never, ended) = tokio::join!(tasks.whole(future::pending::<()>()), tasks.stop(GRACE));
    assert_eq!((never, ended.unwrap_err().count), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn tasks_stop_by_themselves_when_told() {
    let tasks = Tasks::default();
    tasks.spawn("polite", tasks.token().cancelled_owned());
    tasks.stop(GRACE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn deaf_tasks_are_aborted_after_the_grace() {
    let tasks = Tasks::default();
    tasks.spawn("polite", tasks.token().cancelled_owned());
    tasks.spawn("deaf", future::pending::<()>());
    let overdue = tasks.stop(GRACE).await.unwrap_err();
    assert_eq!(overdue, Overdue { count: 1, grace: GRACE });
    assert!(tasks.is_empty());
}

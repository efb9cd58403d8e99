//! What operations may do without harm to the agent.

use std::time::Duration;

use waggoner_proto::agent::v1 as pb;
use waggoner_types::{Body, ErrorKind, Exit, OutputStream};

use super::site::{Site, Talk, refuse, seconds, shell};

#[tokio::test]
async fn binary_output_arrives_as_it_was_written() {
    let story = Site::new().await.run(shell(r"printf '\377\000\n\376'; printf err >&2")).await;
    assert_eq!(story.output(OutputStream::Stdout), b"\xff\0\n\xfe");
    assert_eq!(story.output(OutputStream::Stderr), b"err");
}

#[tokio::test]
async fn a_line_of_ten_megabytes_passes_whole() {
    let size = 10 * 1024 * 1024;
    let story =
        Site::new().await.run(shell(&format!("head -c {size} /dev/zero | tr '\\0' x"))).await;
    let output = story.output(OutputStream::Stdout);
    assert_eq!((output.len(), output.iter().all(|byte| *byte == b'x')), (size, true));
}

#[tokio::test]
async fn a_manager_that_does_not_acknowledge_slows_only_the_process() {
    let site = Site::new().await;
    let start = shell("head -c 8000000 /dev/zero; exit 0");
    let id = start.attempt_id.clone();
    let mut client = site.link().await;
    let mut talk = Talk::start(&mut client, start).await.unwrap();
    let mut bytes = 0;
    while bytes < 120_000 {
        let record = talk.record(|body| matches!(body, Body::Output { .. })).await;
        if let Body::Output { data, .. } = record.body {
            bytes += data.len();
        }
    }
    let story = site.run(shell("exit 0")).await;
    assert_eq!(story.outcome().exit, Some(Exit::Code(0)), "others are not concerned");
    drop(talk);
    let story = Talk::resume(&mut client, &id, 0).await.unwrap().finish(refuse).await;
    assert_eq!(story.output(OutputStream::Stdout).len(), 8_000_000);
}

#[tokio::test]
async fn a_process_over_its_time_is_ended_with_its_family() {
    let site = Site::new().await;
    let pids = site.directory.path().join("pids");
    let mut start = shell(&format!("sleep 60 & echo $! >{pids}; wait"));
    start.timeout = Some(seconds(1));
    let story = site.run(start).await;
    assert_eq!(story.outcome().exit, Some(Exit::TimedOut));
    assert_eq!(story.error().kind, ErrorKind::NonRecoverable);
    assert_eq!(story.error().message, "Process killed due to timeout of 1 seconds");
    let mut start = shell("sleep 60");
    start.timeout = Some(seconds(1));
    start.context_json =
        r#"{"tenant": {"name": "default_tenant"}, "timeout_recoverable": true}"#.to_owned();
    let story = site.run(start).await;
    assert_eq!(story.error().kind, ErrorKind::Recoverable, "it may be tried again");
    let pid = fs_err::read_to_string(pids).unwrap();
    assert!(!is_alive(pid.trim()), "its child lives");
}

#[tokio::test]
async fn a_timeout_may_be_worth_another_try() {
    let mut start = shell("sleep 60");
    start.timeout = Some(prost_types::Duration { seconds: 0, nanos: 50_000_000 });
    start.context_json = r#"{"timeout_recoverable": true}"#.to_owned();
    assert_eq!(Site::new().await.run(start).await.error().kind, ErrorKind::Recoverable);
}

#[tokio::test]
async fn a_process_that_ignores_the_order_to_end_is_killed_after_its_grace() {
    let site = Site::new().await;
    let mut start = shell("trap '' TERM; echo deaf; while :; do sleep 0.1; done");
    start.grace = Some(prost_types::Duration { seconds: 0, nanos: 100_000_000 });
    let mut client = site.link().await;
    let mut talk = Talk::start(&mut client, start).await.unwrap();
    talk.record(|body| matches!(body, Body::Output { .. })).await;
    talk.cancel(false).await;
    let story = talk.finish(refuse).await;
    assert_eq!(story.outcome().exit, Some(Exit::Cancelled));
    assert_eq!(story.error().message, "the operation was cancelled: the test says so");
}

#[tokio::test]
async fn an_order_to_kill_cuts_a_long_grace_short() {
    let site = Site::new().await;
    let mut start = shell("trap '' TERM; echo deaf; while :; do sleep 0.1; done");
    start.grace = Some(seconds(3600));
    let mut client = site.link().await;
    let mut talk = Talk::start(&mut client, start).await.unwrap();
    talk.record(|body| matches!(body, Body::Output { .. })).await;
    talk.cancel(false).await;
    talk.cancel(true).await;
    assert_eq!(talk.finish(refuse).await.error().kind, ErrorKind::Cancelled);
}

#[tokio::test]
async fn a_signal_that_ends_a_process_is_named() {
    let story = Site::new().await.run(shell("kill -SEGV $$")).await;
    assert_eq!(story.outcome().exit, Some(Exit::Signal(11)));
    assert_eq!(story.error().message, "`/bin/sh` was ended by signal 11");
}

#[tokio::test]
async fn a_child_that_is_left_behind_does_not_hold_the_operation() {
    let site = Site::new().await;
    let pids = site.directory.path().join("pids");
    let story = site.run(shell(&format!("sleep 60 & echo $! >{pids}; echo done"))).await;
    assert_eq!(story.outcome().exit, Some(Exit::Code(0)));
    assert_eq!(story.output(OutputStream::Stdout), b"done\n");
    let pid = fs_err::read_to_string(pids).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .expect("it was left alive on purpose");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_one_clear_sentence() {
    let mut start = shell("");
    let program = pb::ProgramOperation { program: "/no/such".to_owned(), args: Vec::new() };
    start.implementation = Some(pb::start::Implementation::Program(program));
    let story = Site::new().await.run(start).await;
    assert_eq!(
        story.error().message,
        "failed to start `/no/such`: `/no/such` does not exist: check the path"
    );
    assert_eq!(story.error().kind, ErrorKind::NonRecoverable);
}

#[tokio::test]
async fn a_quiet_operation_shows_that_its_link_lives() {
    let site = Site::new().await;
    site.house.heartbeat.send_replace(Duration::from_millis(20));
    let mut client = site.link().await;
    let mut talk = Talk::start(&mut client, shell("sleep 60")).await.unwrap();
    while !matches!(talk.hear().await, Ok(Some(pb::operate_response::Message::Heartbeat(_)))) {}
    talk.cancel(true).await;
    talk.finish(refuse).await;
}

/// Says whether a process runs; a zombie whose parent does not care does not.
pub(super) fn is_alive(pid: &str) -> bool {
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

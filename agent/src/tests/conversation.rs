//! Starts, resumes, acknowledgements.

use std::os::unix::fs::FileExt as _;

use camino::Utf8Path;
use tonic::Code;
use waggoner_proto::agent::v1::{self as pb, operate_request, operate_response};
use waggoner_types::{Body, ErrorKind, Exit, OutputStream};

use super::site::{Site, Talk, refuse, shell};

#[tokio::test]
async fn a_program_runs_and_says_so_in_one_sequence() {
    let story = Site::new().await.run(shell("exit 0")).await;
    let sequences: Vec<_> = story.records.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [1, 2]);
    assert!(matches!(story.records[0].body, Body::ProcessStarted { pid } if pid > 0));
    assert_eq!(story.outcome().result, Ok(serde_json::Value::Null));
    assert_eq!(story.outcome().exit, Some(Exit::Code(0)));
}

#[tokio::test]
async fn a_second_start_does_not_run_again() {
    let site = Site::new().await;
    let runs = site.directory.path().join("runs");
    let start = shell(&format!("echo run >>{runs}; cat {runs}"));
    let mut client = site.link().await;
    let first = Talk::start(&mut client, start.clone()).await.unwrap();
    let second = Talk::start(&mut client, start.clone()).await.unwrap();
    drop(first);
    let story = second.finish(refuse).await;
    assert_eq!(story.outcome().exit, Some(Exit::Code(0)));

    let again = Talk::start(&mut client, start).await.err().unwrap();
    assert_eq!(again.code(), Code::DataLoss, "its records are the manager's now");
    assert_eq!(fs_err::read_to_string(runs).unwrap(), "run\n");
}

#[tokio::test]
async fn an_attempt_survives_the_loss_of_its_link_and_loses_nothing() {
    let site = Site::new().await;
    let go = site.directory.path().join("go");
    let script = format!("echo one; until [ -e {go} ]; do sleep 0.02; done; echo two; exit 3");
    let start = shell(&script);
    let id = start.attempt_id.clone();
    let mut client = site.link().await;
    let mut talk = Talk::start(&mut client, start).await.unwrap();
    let seen = talk.record(|body| matches!(body, Body::Output { .. })).await;
    drop((talk, client));

    fs_err::write(go, "").unwrap();
    let mut client = site.link().await;
    let story = Talk::resume(&mut client, &id, 0).await.unwrap().finish(refuse).await;
    let sequences: Vec<_> = story.records.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
    assert_eq!(story.records[usize::try_from(seen.sequence - 1).unwrap()], seen);
    assert_eq!(story.output(OutputStream::Stdout), b"one\ntwo\n");
    assert_eq!(story.outcome().exit, Some(Exit::Code(3)));
    assert_eq!(story.error().kind, ErrorKind::Recoverable);
}

#[tokio::test]
async fn a_resume_sends_what_comes_after_the_given_record() {
    let site = Site::new().await;
    let start = shell("echo out");
    let id = start.attempt_id.clone();
    let mut client = site.link().await;
    let mut talk = Talk::start(&mut client, start).await.unwrap();
    talk.record(|body| matches!(body, Body::Outcome(_))).await;
    drop(talk);
    let story = Talk::resume(&mut client, &id, 1).await.unwrap().finish(refuse).await;
    assert_eq!(story.records[0].sequence, 2);
}

#[tokio::test]
async fn a_record_that_the_disk_has_spoilt_is_told_of_and_what_follows_comes() {
    let site = Site::new().await;
    // So much that what is read from the disk next is not in memory; and a text that is not in what
    // the agent was told to run.
    let start = shell("echo spoilt | tr s S; seq 100000");
    let id = start.attempt_id.clone();
    let mut client = site.link().await;
    let mut talk = Talk::start(&mut client, start).await.unwrap();
    let is_first = |body: &Body| matches!(body, Body::Output { offset: 0, .. });
    let first = talk.record(is_first).await;
    talk.record(|body| matches!(body, Body::Outcome(_))).await;
    drop(talk);
    flip(site.directory.path(), b"Spoilt");

    let story = Talk::resume(&mut client, &id, 0).await.unwrap().finish(refuse).await;
    let sequences: Vec<_> = story.records.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
    let lost = &story.records[usize::try_from(first.sequence - 1).unwrap()].body;
    let Body::Lost { first: from, reason } = lost else { panic!("{lost:?}") };
    assert_eq!((*from, reason.as_str()), (first.sequence, "the agent's disk has spoilt them"));
    assert!(story.output(OutputStream::Stdout).ends_with(b"\n100000\n"));
    assert_eq!(story.outcome().exit, Some(Exit::Code(0)));
}

/// Flips a bit of a text in the journal below a directory.
fn flip(directory: &Utf8Path, text: &[u8]) {
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in directory.read_dir_utf8().unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(path.to_owned());
            } else if path.extension() == Some("seg") {
                let bytes = fs_err::read(path).unwrap();
                let Some(at) = bytes.windows(text.len()).position(|part| part == text) else {
                    continue;
                };
                let file = fs_err::OpenOptions::new().write(true).open(path).unwrap();
                file.file().write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
                return;
            }
        }
    }
    panic!("no segment has it");
}

#[tokio::test]
async fn a_newer_conversation_ends_the_older_one() {
    let site = Site::new().await;
    let start = shell("sleep 60");
    let id = start.attempt_id.clone();
    let mut client = site.link().await;
    let mut older = Talk::start(&mut client, start).await.unwrap();
    older.record(|body| matches!(body, Body::ProcessStarted { .. })).await;
    let newer = Talk::resume(&mut client, &id, 0).await.unwrap();
    let end = loop {
        match older.hear().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the end says why"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Aborted);
    newer.cancel(true).await;
    assert_eq!(newer.finish(refuse).await.outcome().exit, Some(Exit::Cancelled));
}

#[tokio::test]
async fn an_attempt_that_waits_for_its_slot_is_accepted_and_can_be_cancelled() {
    let site = Site::with_slots(1).await;
    let mut client = site.link().await;
    let mut first = Talk::start(&mut client, shell("sleep 60")).await.unwrap();
    first.record(|body| matches!(body, Body::ProcessStarted { .. })).await;
    let mut second = Talk::start(&mut client, shell("exit 0")).await.unwrap();
    let accepted = second.hear().await.unwrap().unwrap();
    assert!(matches!(accepted, operate_response::Message::Accepted(_)));
    second.cancel(false).await;
    let story = second.finish(refuse).await;
    assert_eq!(story.error().kind, ErrorKind::Cancelled);
    assert_eq!(story.outcome().exit, None, "no process was started");
    first.cancel(true).await;
    first.finish(refuse).await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_and_nothing_runs() {
    let site = Site::new().await;
    let mut client = site.link().await;
    let unknown = "0192e4a0-0000-7000-8000-000000000000";
    let refusal = Talk::resume(&mut client, unknown, 0).await.err().unwrap();
    assert_eq!(refusal.code(), Code::NotFound);
    let ack = operate_request::Message::Ack(pb::Ack { upto: 1 });
    let refusal = Talk::open(&mut client, ack).await.err().unwrap();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    let mut start = shell("exit 0");
    start.inputs_json = "{".to_owned();
    let refusal = Talk::start(&mut client, start).await.err().unwrap();
    assert!(refusal.message().starts_with("`start.inputs_json` cannot be taken"), "{refusal}");
    assert!(site.house.attempts.list().is_empty());
}

#[tokio::test]
async fn one_hundred_attempts_at_once_all_come_back_right() {
    let site = Site::with_slots(16).await;
    let client = site.link().await;
    let runs = (0..100).map(|number| {
        let mut client = client.clone();
        async move {
            let start = shell(&format!("echo {number}; exit {}", number % 7));
            let story = Talk::start(&mut client, start).await.unwrap().finish(refuse).await;
            assert_eq!(
                story.output(waggoner_types::OutputStream::Stdout),
                format!("{number}\n").as_bytes()
            );
            assert_eq!(story.outcome().exit, Some(Exit::Code(number % 7)));
        }
    });
    futures_util::future::join_all(runs).await;
    assert_eq!(site.house.attempts.running(), 0);
}

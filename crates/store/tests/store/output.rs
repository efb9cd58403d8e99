use std::time::Duration;

use waggoner_store::{
    PageRequest,
    advance::Advance,
    attempt::{Batch, Watermark},
    event::{Entry, EntryKind, EventFilter, Origin, Retention},
};
use waggoner_types::{AttemptId, LogLevel, OutputStream};

use crate::scene::{Scene, at, attempt, id, operation, tenant};

fn entry(sequence: u64, kind: EntryKind) -> Entry {
    let origin = Origin { attempt_id: Some(AttemptId(id(700))), ..Origin::of(tenant()) };
    Entry {
        origin: origin.into(),
        time: at(10),
        kind,
        message: String::new(),
        causes: Vec::new(),
        sequence,
    }
}

fn lines(sequence: u64, text: &str) -> Entry {
    let data = text.as_bytes().to_vec();
    entry(sequence, EntryKind::lines("ctx.task".to_owned(), OutputStream::Stdout, data))
}

async fn with_output(entries: Vec<Entry>) -> Scene {
    let (scene, execution) = Scene::new().await.with_execution().await;
    let begun = Advance {
        operations: vec![operation(70)],
        attempts: vec![attempt(700, operation(70).id)],
        ..Advance::new(execution.id, at(7))
    };
    scene.store.advance(begun).await.unwrap();
    let upto = Watermark { upto: entries.last().unwrap().sequence, chain: 0 };
    let batch = Batch { attempt: AttemptId(id(700)), upto, entries, end: None };
    scene.store.ingest(batch, at(20)).await.unwrap();
    scene
}

async fn messages(scene: &Scene) -> Vec<(u64, String)> {
    let events = scene.store.events_after(tenant(), EventFilter::default(), 0, 1000).await;
    let events = events.unwrap().into_iter();
    events.map(|event| (event.entry.sequence, event.entry.message)).collect()
}

#[tokio::test]
async fn what_a_process_wrote_comes_back_line_by_line() {
    let long = "x".repeat(300);
    let scene = with_output(vec![
        lines(1, "one\ntwo\r\n\nhalf"),
        lines(2, &format!("{long}\n{long}\n")),
        entry(3, EntryKind::raw(OutputStream::Stderr, b"a\nb\n".to_vec())),
    ])
    .await;
    let expected = [
        (1, "<out> one".to_owned()),
        (1, "<out> two".to_owned()),
        (1, "<out> ".to_owned()),
        (1, "<out> half".to_owned()),
        (2, format!("<out> {long}")),
        (2, format!("<out> {long}")),
        (3, "a\nb".to_owned()),
    ];
    assert_eq!(messages(&scene).await, expected);
    let filter = EventFilter { min_level: Some(LogLevel::Info), ..EventFilter::default() };
    let logged = scene.store.events_after(tenant(), filter, 0, 1000).await.unwrap();
    assert_eq!(logged.len(), 6, "raw output is for debugging");
    let EntryKind::Log { logger, .. } = &logged[0].entry.kind else { panic!("it is a log line") };
    assert_eq!(logger, "ctx.task");
}

#[tokio::test]
async fn pages_of_much_output_are_small_and_lose_no_line() {
    let entries = (1..=40).map(|record| {
        let text: Vec<_> = (0..600).map(|line| format!("{record} {line}\n")).collect();
        lines(record, &text.concat())
    });
    let scene = with_output(entries.collect()).await;
    let (mut token, mut seen, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let page = PageRequest::new(1000, token);
        let page = scene.store.events(tenant(), EventFilter::default(), &page).await.unwrap();
        assert!(page.items.len() <= 6_000, "{} lines at once", page.items.len());
        seen.extend(page.items.into_iter().map(|event| event.entry.message));
        pages += 1;
        match page.next {
            Some(next) => token = next,
            None => break,
        }
    }
    let expected: Vec<_> = (1..=40)
        .flat_map(|record| (0..600).map(move |line| format!("<out> {record} {line}")))
        .collect();
    assert!(pages > 3 && seen == expected, "{pages} pages, {} lines", seen.len());
}

#[tokio::test]
async fn what_is_too_old_or_too_much_is_let_go_oldest_first() {
    let scene = with_output((1..=10).map(|record| lines(record, "line\n")).collect()).await;
    let count = messages(&scene).await.len();
    let before = Retention { since: Some(at(19)), most_bytes: None };
    assert_eq!(scene.store.forget_events(before).await.unwrap(), 0);
    assert_eq!(messages(&scene).await.len(), count, "all of it is younger");
    let after = Retention { since: Some(at(20) + Duration::from_secs(1)), most_bytes: None };
    assert!(scene.store.forget_events(after).await.unwrap() >= 10);
    assert!(messages(&scene).await.is_empty());

    let scene = with_output((1..=10).map(|record| lines(record, "line\n")).collect()).await;
    let much = Retention { since: None, most_bytes: Some(1) };
    while scene.store.forget_events(much).await.unwrap() > 0 {}
    assert!(messages(&scene).await.is_empty());
}

use std::sync::Arc;

use serde_json::json;
use waggoner_store::{
    Error, PageRequest, Store,
    advance::Advance,
    attempt::{Batch, End, Watermark},
    event::{Entry, EntryKind, Event, EventFilter, Origin},
};
use waggoner_types::{AttemptId, ExecutionId, LogLevel};

use crate::scene::{Scene, at, attempt, id, operation, tenant};

fn origin(execution: Option<u128>) -> Arc<Origin> {
    Arc::new(Origin {
        execution_id: execution.map(|number| ExecutionId(id(number))),
        deployment_id: Some("d".parse().unwrap()),
        workflow_id: Some("install".to_owned()),
        node_id: Some("vm".to_owned()),
        node_instance_id: Some("vm_1".to_owned()),
        target_id: Some("net_1".to_owned()),
        operation: Some("create".to_owned()),
        agent: Some("a".parse().unwrap()),
        attempt_id: Some(AttemptId(id(700))),
        ..Origin::of(tenant())
    })
}

fn log(level: LogLevel, sequence: u64) -> Entry {
    Entry {
        origin: origin(Some(1)),
        time: at(10),
        kind: EntryKind::Log { level, logger: "stdout".to_owned() },
        message: format!("line {sequence}"),
        causes: Vec::new(),
        sequence,
    }
}

fn event(sequence: u64) -> Entry {
    Entry {
        kind: EntryKind::Event { event_type: "task_failed".to_owned() },
        causes: vec![json!({"message": "m", "type": "T", "traceback": ""})],
        ..log(LogLevel::Info, sequence)
    }
}

fn batch(upto: u64, entries: Vec<Entry>) -> Batch {
    Batch { attempt: AttemptId(id(700)), upto: mark(upto), entries, end: None }
}

fn mark(upto: u64) -> Watermark {
    // As large as digests are.
    Watermark { upto, chain: u64::MAX - upto }
}

/// A store whose attempt 700 runs.
async fn with_attempt() -> Scene {
    let (scene, execution) = Scene::new().await.with_execution().await;
    let begun = Advance {
        operations: vec![operation(70)],
        attempts: vec![attempt(700, operation(70).id)],
        ..Advance::new(execution.id, at(7))
    };
    scene.store.advance(begun).await.unwrap();
    scene
}

async fn all(store: &Store, filter: EventFilter) -> Vec<Event> {
    store.events_after(tenant(), filter, 0, 1000).await.unwrap()
}

fn sequences(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.entry.sequence).collect()
}

#[tokio::test]
async fn records_are_stored_once_however_often_they_come() {
    let scene = with_attempt().await;
    let store = &scene.store;
    let info = |sequence| log(LogLevel::Info, sequence);
    let ingest = async |batch| store.ingest(batch, at(20)).await.map(|stored| stored.upto);

    assert_eq!(ingest(batch(2, vec![info(1), info(2)])).await.unwrap(), 2);
    assert_eq!(ingest(batch(2, vec![info(1), info(2)])).await.unwrap(), 2);
    assert_eq!(ingest(batch(1, vec![info(1)])).await.unwrap(), 2);
    // The manager lost its place and sends an overlap; record 4 says nothing that is shown.
    assert_eq!(ingest(batch(4, vec![info(2), info(3), info(3)])).await.unwrap(), 4);
    assert_eq!(sequences(&all(store, EventFilter::default()).await), [1, 2, 3, 3]);

    let end = Some(End { at: at(21), outcome: json!({"result": 1}) });
    let last = Batch { end, ..batch(5, vec![]) };
    assert_eq!(ingest(last.clone()).await.unwrap(), 5);
    assert_eq!(ingest(last).await.unwrap(), 5);
    let attempt = store.attempt(AttemptId(id(700))).await.unwrap();
    assert_eq!((attempt.watermark, attempt.ended_at), (mark(5), Some(at(21))));
    assert_eq!(attempt.outcome, Some(json!({"result": 1})));
    let open = store.open_attempts(tenant(), "a".parse().unwrap()).await.unwrap();
    assert_eq!(open, []);

    let unknown = Batch { attempt: AttemptId(id(1)), ..batch(1, vec![]) };
    assert!(matches!(ingest(unknown).await, Err(Error::Missing(_))));
}

#[tokio::test]
async fn an_event_is_read_as_it_was_written() {
    let scene = Scene::new().await;
    let written = vec![event(0), log(LogLevel::Critical, 0)];
    let last = scene.store.add_events(written.clone(), at(30)).await.unwrap();
    let read = all(&scene.store, EventFilter::default()).await;
    assert_eq!(read.last().unwrap().id, last);
    assert!(read.iter().all(|event| event.reported_at == at(30)));
    assert_eq!(read.into_iter().map(|event| event.entry).collect::<Vec<_>>(), written);
}

#[tokio::test]
async fn a_filter_lets_through_what_it_names() {
    let scene = Scene::new().await;
    let store = &scene.store;
    let elsewhere = Entry { origin: origin(Some(2)), ..event(5) };
    let nowhere = Entry { origin: Arc::new(Origin::of(tenant())), ..event(6) };
    let entries = vec![
        log(LogLevel::Debug, 1),
        log(LogLevel::Info, 2),
        log(LogLevel::Error, 3),
        event(4),
        elsewhere,
        nowhere,
    ];
    store.add_events(entries, at(30)).await.unwrap();
    store.create_tenant("u".parse().unwrap(), at(0)).await.unwrap();

    let any = EventFilter::default();
    let one = Some(ExecutionId(id(1)));
    let d = Some("d".parse().unwrap());
    let cases = [
        (any.clone(), vec![1, 2, 3, 4, 5, 6]),
        (EventFilter { execution_id: one, ..any.clone() }, vec![1, 2, 3, 4]),
        (EventFilter { deployment_id: d.clone(), ..any.clone() }, vec![1, 2, 3, 4, 5]),
        (EventFilter { no_logs: true, ..any.clone() }, vec![4, 5, 6]),
        (EventFilter { min_level: Some(LogLevel::Warning), ..any.clone() }, vec![3, 4, 5, 6]),
        (EventFilter { node_instance_id: Some("vm_2".to_owned()), ..any.clone() }, vec![]),
        (
            EventFilter {
                execution_id: one,
                deployment_id: d,
                node_instance_id: Some("vm_1".to_owned()),
                no_logs: true,
                min_level: Some(LogLevel::Info),
            },
            vec![4],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(sequences(&all(store, filter.clone()).await), expected, "{filter:?}");
        let mut paged = Vec::new();
        let mut request = PageRequest::new(2, "");
        loop {
            let page = store.events(tenant(), filter.clone(), &request).await.unwrap();
            paged.extend(sequences(&page.items));
            let Some(next) = page.next else { break };
            request = PageRequest::new(2, next);
        }
        assert_eq!(paged, expected, "{filter:?} by pages");
    }
    let foreign = store.events_after("u".parse().unwrap(), any, 0, 10).await.unwrap();
    assert_eq!(foreign, []);
}

#[tokio::test]
async fn long_texts_come_a_few_at_a_time_and_none_is_left_out() {
    let scene = Scene::new().await;
    let store = &scene.store;
    let long = |sequence| Entry { message: "x".repeat(400_000), ..event(sequence) };
    let huge = Entry { message: "y".repeat(3_000_000), ..event(4) };
    let entries = vec![long(1), long(2), long(3), huge, event(5)];
    store.add_events(entries, at(1)).await.unwrap();

    let mut pages = Vec::new();
    let mut request = PageRequest::new(100, "");
    loop {
        let page = store.events(tenant(), EventFilter::default(), &request).await.unwrap();
        pages.push(sequences(&page.items));
        let Some(next) = page.next else { break };
        request = PageRequest::new(100, next);
    }
    assert_eq!(pages, [vec![1, 2], vec![3], vec![4], vec![5]]);
    let first = store.events_after(tenant(), EventFilter::default(), 3, 100).await.unwrap();
    assert_eq!(sequences(&first), [4]);
}

#[tokio::test]
async fn a_follower_wakes_with_the_commit_and_misses_nothing() {
    let scene = Scene::new().await;
    let store = scene.store.clone();
    let follow = async {
        let mut last_event = store.last_event();
        let mut seen = Vec::new();
        let mut after = 0;
        while seen.len() < 50 {
            last_event.wait_for(|last| *last > after).await.unwrap();
            let events = store.events_after(tenant(), EventFilter::default(), after, 7).await;
            let events = events.unwrap();
            after = events.last().expect("what was announced can be read").id;
            seen.extend(sequences(&events));
        }
        seen
    };
    let tell = async {
        for number in 0..25 {
            let pair = vec![event(2 * number), event(2 * number + 1)];
            store.add_events(pair, at(1)).await.unwrap();
        }
    };
    let (seen, ()) = tokio::join!(follow, tell);
    assert_eq!(seen, (0..50).collect::<Vec<_>>());

    drop(store);
    let scene = scene.reopened().await;
    assert_eq!(*scene.store.last_event().borrow(), 50);
}

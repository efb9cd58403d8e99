//! What was acknowledged is there after a SIGKILL.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    sync::Arc,
};

use tokio::task::JoinSet;
use waggoner_store::{
    PageRequest, Store,
    advance::Advance,
    attempt::{Batch, Watermark},
    event::{Entry, EntryKind, EventFilter, Origin},
};
use waggoner_types::{AttemptId, LogLevel};

use crate::scene::{Scene, at, attempt, id, operation, tenant};

/// Tells the child where to write.
const DIRECTORY: &str = "WAGGONER_STORE_TEST_DIRECTORY";

/// How many acknowledgements the child lives for.
const ENOUGH: usize = 400;

#[tokio::test]
#[ignore = "the child of the next test, which kills it"]
async fn writes_until_it_is_killed() {
    let Ok(directory) = env::var(DIRECTORY) else { return };
    let store = Store::open(directory).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let store = store.clone();
        writers.spawn(async move {
            for number in 0.. {
                let name = format!("w{writer}-{number}");
                store.create_tenant(name.parse().unwrap(), at(0)).await.unwrap();
                acknowledge(&format!("tenant {name}"));
            }
        });
    }
    writers.spawn(async move {
        for upto in (3..).step_by(3) {
            let entries = (upto - 2..=upto).map(line).collect();
            let mark = Watermark { upto, chain: 0 };
            let batch = Batch { attempt: AttemptId(id(700)), upto: mark, entries, end: None };
            store.ingest(batch, at(1)).await.unwrap();
            acknowledge(&format!("records {upto}"));
        }
    });
    writers.join_all().await;
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    let (scene, execution) = Scene::new().await.with_execution().await;
    let begun = Advance {
        operations: vec![operation(70)],
        attempts: vec![attempt(700, operation(70).id)],
        ..Advance::new(execution.id, at(7))
    };
    scene.store.advance(begun).await.unwrap();
    let Scene { directory, store } = scene;
    drop(store);

    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path().join("data"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tenants = BTreeSet::new();
    let mut records = 0;
    let mut count = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("ack-tenant"), Some(name)) => drop(tenants.insert(name.to_owned())),
            (Some("ack-records"), Some(upto)) => records = upto.parse::<u64>().unwrap(),
            _ => continue,
        }
        count += 1;
        if count == ENOUGH {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(count >= ENOUGH && records > 0, "{count} acknowledgements, {records} records");

    let scene =
        Scene { store: Store::open(directory.path().join("data")).await.unwrap(), directory };
    let mut request = PageRequest::new(500, "");
    loop {
        let page = scene.store.tenants(&request).await.unwrap();
        for tenant in page.items {
            tenants.remove(tenant.name.as_str());
        }
        let Some(next) = page.next else { break };
        request = PageRequest::new(500, next);
    }
    assert_eq!(tenants, BTreeSet::new(), "acknowledged and lost");

    let watermark = scene.store.attempt(AttemptId(id(700))).await.unwrap().watermark.upto;
    assert!(watermark >= records, "{watermark} of {records}");
    let limit = u32::try_from(watermark).unwrap() + 10;
    let events =
        scene.store.events_after(tenant(), EventFilter::default(), 0, limit).await.unwrap();
    let sequences: Vec<u64> = events.iter().map(|event| event.entry.sequence).collect();
    assert_eq!(sequences, (1..=watermark).collect::<Vec<_>>());
}

fn line(sequence: u64) -> Entry {
    Entry {
        origin: Arc::new(Origin::of(tenant())),
        time: at(1),
        kind: EntryKind::Log { level: LogLevel::Info, logger: "stdout".to_owned() },
        message: "a line".to_owned(),
        causes: Vec::new(),
        sequence,
    }
}

/// Prints what was acknowledged, in one write, at once.
fn acknowledge(what: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("ack-{what}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}

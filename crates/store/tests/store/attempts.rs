use serde_json::{Map, Value, json};
use waggoner_store::{
    Error, Store,
    advance::{Advance, StatusChange},
    attempt::{Batch, End, Standing, Watermark},
    instance::{InstanceUpdate, NodeInstance, UpdateError},
    verdict::Asked,
};
use waggoner_types::{AttemptId, ExecutionStatus};

use crate::scene::{Scene, at, attempt, execution, id, operation, tenant};

const ATTEMPT: AttemptId = AttemptId(id(700));

/// A store with an open attempt.
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

fn asked(key: &str) -> Asked {
    Asked { attempt: ATTEMPT, key: key.as_bytes().to_vec() }
}

fn update(version: i64, ip: &str) -> InstanceUpdate {
    InstanceUpdate {
        tenant: tenant(),
        id: "vm_1".to_owned(),
        version,
        force: false,
        runtime_properties: Some(Map::from_iter([("ip".to_owned(), json!(ip))])),
        state: None,
        system_properties: None,
    }
}

fn tell(judged: Result<&NodeInstance, &UpdateError>) -> Value {
    match judged {
        Ok(instance) => json!({ "version": instance.version }),
        Err(UpdateError::Conflict { .. }) => json!("conflict"),
        Err(UpdateError::Store(_)) => json!("missing"),
    }
}

async fn once(store: &Store, key: &str, update: InstanceUpdate) -> Value {
    store.update_node_instance_once(asked(key), update, tell).await.unwrap()
}

#[tokio::test]
async fn an_update_that_is_asked_again_gets_its_first_verdict_and_has_no_effect() {
    let Scene { store, .. } = &with_attempt().await;
    assert_eq!(once(store, "a", update(1, "1")).await, json!({ "version": 2 }));
    assert_eq!(once(store, "b", update(1, "2")).await, json!("conflict"));
    assert_eq!(once(store, "c", update(2, "3")).await, json!({ "version": 3 }));
    assert_eq!(once(store, "a", update(1, "1")).await, json!({ "version": 2 }));
    assert_eq!(once(store, "b", update(9, "2")).await, json!("conflict"));
    let instance = store.node_instance(tenant(), "vm_1".to_owned()).await.unwrap();
    assert_eq!((instance.version, &instance.runtime_properties["ip"]), (3, &json!("3")));

    let nobody = InstanceUpdate { id: "nobody_1".to_owned(), ..update(1, "1") };
    assert_eq!(once(store, "d", nobody).await, json!("missing"));
    let added = store.add_verdict(asked("c"), json!("late")).await.unwrap();
    assert_eq!(added, json!({ "version": 3 }));
}

#[tokio::test]
async fn an_effect_and_its_verdict_are_one_write_that_is_had_once() {
    let Scene { store, .. } = &with_attempt().await;
    let forget = |key: &str, verdict: &str| {
        let deciding = store.deciding(asked(key), json!(verdict));
        async move { deciding.delete_tenant("other".parse().unwrap()).await }
    };
    store.create_tenant("other".parse().unwrap(), at(1)).await.unwrap();
    forget("a", "gone").await.unwrap();
    assert_eq!(store.verdict(asked("a")).await.unwrap(), Some(json!("gone")));
    let again = forget("a", "twice").await;
    assert!(matches!(again, Err(Error::Decided)), "{again:?}");
    assert_eq!(store.verdict(asked("a")).await.unwrap(), Some(json!("gone")));

    // What has no effect decides nothing.
    let refused = forget("b", "gone").await;
    assert!(matches!(refused, Err(Error::Missing(_))), "{refused:?}");
    assert_eq!(store.verdict(asked("b")).await.unwrap(), None);

    // What was tried elsewhere is decided afterwards, and only once.
    store.begin_effect(asked("c")).await.unwrap();
    assert_eq!(store.verdict(asked("c")).await.unwrap(), Some(Value::Null));
    assert_eq!(store.add_verdict(asked("c"), json!(1)).await.unwrap(), json!(1));
    store.begin_effect(asked("c")).await.unwrap();
    assert_eq!(store.add_verdict(asked("c"), json!(2)).await.unwrap(), json!(1));
}

#[tokio::test]
async fn verdicts_are_kept_for_a_while_and_until_the_end() {
    let Scene { store, .. } = &with_attempt().await;
    for key in 0..300 {
        store.add_verdict(asked(&key.to_string()), json!(key)).await.unwrap();
    }
    assert_eq!(store.verdict(asked("43")).await.unwrap(), None);
    assert_eq!(store.verdict(asked("44")).await.unwrap(), Some(json!(44)));
    store.end_attempt(ATTEMPT, End { at: at(9), outcome: json!("lost") }).await.unwrap();
    assert_eq!(store.verdict(asked("299")).await.unwrap(), None);
}

#[tokio::test]
async fn an_attempt_ends_once() {
    let Scene { store, .. } = &with_attempt().await;
    let end = |outcome| Some(End { at: at(8), outcome });
    let upto = Watermark { upto: 3, chain: u64::MAX };
    let batch = Batch { attempt: ATTEMPT, upto, entries: Vec::new(), end: end(json!(1)) };
    assert_eq!(store.ingest(batch, at(8)).await.unwrap(), upto);
    store.end_attempt(ATTEMPT, End { at: at(9), outcome: json!(2) }).await.unwrap();
    let stored = store.attempt(ATTEMPT).await.unwrap();
    assert_eq!((stored.outcome, stored.watermark), (Some(json!(1)), upto));
    let other = Watermark { upto: 3, chain: 1 };
    let batch = Batch { attempt: ATTEMPT, upto: other, entries: Vec::new(), end: end(json!(3)) };
    assert_eq!(store.ingest(batch, at(9)).await.unwrap(), upto, "it holds other records");
}

#[tokio::test]
async fn what_an_agent_that_comes_back_is_asked_about() {
    let Scene { store, .. } = &with_attempt().await;
    let agent = || "a".parse().unwrap();
    let standing = |ended, over| Standing { id: ATTEMPT, ended, over };
    let standings = async |named| store.attempt_standings(tenant(), agent(), named).await.unwrap();
    let unknown = AttemptId(id(1));
    assert_eq!(standings(vec![]).await, [standing(false, false)]);

    let status = StatusChange { status: ExecutionStatus::Cancelled, error: None };
    let over = Advance { status: Some(status), ..Advance::new(execution(1).id, at(8)) };
    store.advance(over).await.unwrap();
    assert_eq!(standings(vec![unknown, ATTEMPT]).await, [standing(false, true)]);

    store.end_attempt(ATTEMPT, End { at: at(9), outcome: json!(2) }).await.unwrap();
    assert_eq!(standings(vec![]).await, []);
    assert_eq!(standings(vec![unknown, ATTEMPT]).await, [standing(true, true)]);
}

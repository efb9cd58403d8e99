use std::sync::Arc;

use serde_json::json;
use waggoner_store::{
    Error, Kind, PageRequest,
    advance::{Advance, Progress, StatusChange},
    event::{Entry, EntryKind, EventFilter, Origin},
    execution::{Company, Execution, Operation, Task},
    instance::InstanceChange,
};
use waggoner_types::{ExecutionStatus, plan::InstanceState};

use crate::scene::{Scene, at, attempt, execution, operation, tenant};

fn task(number: u64, status: &str) -> Task {
    Task {
        number,
        status: status.to_owned(),
        operation: Some(operation(70).id),
        retry: 0,
        not_before: Some(at(60)),
        state: json!({"waits_for": [1]}),
    }
}

fn status(status: ExecutionStatus) -> StatusChange {
    StatusChange { status, error: None }
}

fn started(id: &str) -> InstanceChange {
    InstanceChange {
        id: id.to_owned(),
        state: Some(InstanceState::Started),
        ..InstanceChange::default()
    }
}

/// A turn that touches everything.
fn turn(execution: &Execution) -> Advance {
    let event = Entry {
        origin: Arc::new(Origin { execution_id: Some(execution.id), ..Origin::of(tenant()) }),
        time: at(7),
        kind: EntryKind::Event { event_type: "sending_task".to_owned() },
        message: "Sending task".to_owned(),
        causes: Vec::new(),
        sequence: 0,
    };
    Advance {
        tasks: vec![task(1, "ended"), task(7, "running")],
        operations: vec![operation(70)],
        attempts: vec![attempt(700, operation(70).id)],
        instances: vec![started("vm_1")],
        events: vec![event],
        status: Some(status(ExecutionStatus::Started)),
        progress: Some(Progress { total_operations: 4, finished_operations: 1 }),
        ..Advance::new(execution.id, at(8))
    }
}

#[tokio::test]
async fn a_turn_is_stored_whole_and_found_again_after_a_restart() {
    let (scene, execution) = Scene::new().await.with_execution().await;
    scene.store.advance(turn(&execution)).await.unwrap();
    let now = scene.store.execution(tenant(), execution.id).await.unwrap();
    assert_eq!((now.status, now.started_at), (ExecutionStatus::Started, Some(at(8))));
    assert_eq!((now.total_operations, now.finished_operations), (4, 1));

    let scene = scene.reopened().await;
    let store = &scene.store;
    assert_eq!(store.open_executions().await.unwrap(), [now]);
    assert_eq!(store.tasks(execution.id).await.unwrap(), [task(1, "ended"), task(7, "running")]);
    assert_eq!(store.operations(execution.id).await.unwrap(), [operation(70)]);
    let open = store.open_attempts(tenant(), "a".parse().unwrap()).await.unwrap();
    assert_eq!(open, [attempt(700, operation(70).id)]);
    let instance = store.node_instance(tenant(), "vm_1".to_owned()).await.unwrap();
    assert_eq!((instance.state, instance.version), (InstanceState::Started, 1));
    assert_eq!(*store.last_event().borrow(), 1);
}

#[tokio::test]
async fn a_turn_with_a_fault_leaves_nothing() {
    let (scene, execution) = Scene::new().await.with_execution().await;
    let store = &scene.store;
    let mut faulty = turn(&execution);
    faulty.instances.push(started("nobody_1"));
    let refused = store.advance(faulty).await.unwrap_err();
    assert!(matches!(&refused, Error::Missing(thing) if thing.kind == Kind::NodeInstance));

    assert_eq!(store.tasks(execution.id).await.unwrap(), []);
    assert_eq!(store.operations(execution.id).await.unwrap(), []);
    assert_eq!(store.execution(tenant(), execution.id).await.unwrap(), execution);
    let instance = store.node_instance(tenant(), "vm_1".to_owned()).await.unwrap();
    assert_eq!(instance.state, InstanceState::Uninitialized);
    let events = store.events_after(tenant(), EventFilter::default(), 0, 10).await.unwrap();
    assert_eq!((events.len(), *store.last_event().borrow()), (0, 0));
}

#[tokio::test]
async fn a_turn_changes_what_is_there_and_notes_start_and_end() {
    let (scene, execution) = Scene::new().await.with_execution().await;
    let store = &scene.store;
    store.advance(turn(&execution)).await.unwrap();

    let done = Operation {
        ended_at: Some(at(10)),
        outcome: Some(json!({"result": null})),
        ..operation(70)
    };
    let next = Advance {
        tasks: vec![task(7, "ended")],
        operations: vec![done.clone()],
        status: Some(StatusChange {
            status: ExecutionStatus::Failed,
            error: Some("it broke".to_owned()),
        }),
        ..Advance::new(execution.id, at(11))
    };
    store.advance(next).await.unwrap();
    let now = store.execution(tenant(), execution.id).await.unwrap();
    assert_eq!((now.started_at, now.ended_at), (Some(at(8)), Some(at(11))));
    assert_eq!((now.error.as_deref(), now.finished_operations), (Some("it broke"), 1));
    assert_eq!(store.tasks(execution.id).await.unwrap(), [task(1, "ended"), task(7, "ended")]);
    assert_eq!(store.operations(execution.id).await.unwrap(), [done]);
    assert_eq!(store.open_executions().await.unwrap(), []);

    let resumed = Advance {
        status: Some(status(ExecutionStatus::Started)),
        ..Advance::new(execution.id, at(12))
    };
    store.advance(resumed).await.unwrap();
    let now = store.execution(tenant(), execution.id).await.unwrap();
    assert_eq!((now.started_at, now.ended_at, now.error), (Some(at(8)), None, None));
}

#[tokio::test]
async fn one_execution_at_a_time_changes_a_deployment() {
    let (scene, first) = Scene::new().await.with_execution().await;
    let store = &scene.store;
    let refused = store.create_execution(execution(2), Company::Alone).await.unwrap_err();
    let Error::InUse { thing, by } = &refused else { panic!("{refused:?}") };
    assert_eq!((thing.name.as_str(), &by.names), ("d", &vec![first.id.to_string()]));
    store.create_execution(execution(3), Company::Beside).await.unwrap();

    for id in [first.id, execution(3).id] {
        let end =
            Advance { status: Some(status(ExecutionStatus::Cancelled)), ..Advance::new(id, at(9)) };
        store.advance(end).await.unwrap();
    }
    let later = Execution { created_at: at(20), ..execution(2) };
    store.create_execution(later, Company::Alone).await.unwrap();

    let mut listed = Vec::new();
    let mut request = PageRequest::new(1, "");
    loop {
        let d = Some("d".parse().unwrap());
        let page = store.executions(tenant(), d, &request).await.unwrap();
        listed.extend(page.items.iter().map(|execution| execution.id));
        let Some(next) = page.next else { break };
        request = PageRequest::new(1, next);
    }
    assert_eq!(listed, [execution(2).id, execution(3).id, first.id]);
}

use std::sync::Arc;

use serde_json::json;
use waggoner_store::{
    Error, Kind, PageRequest,
    advance::{Advance, Progress, StatusChange},
    event::{Entry, EntryKind, EventFilter, Origin},
    execution::{Company, Execution, NewExecution, Operation, Task},
    instance::InstanceChange,
    reshape::{NewPlan, Reshape, Shape},
};
use waggoner_types::{ExecutionStatus, LogLevel, plan::InstanceState};

use crate::scene::{Scene, at, attempt, execution, instance, new, operation, tenant};

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
    let refused = store.create_execution(new(execution(2))).await.unwrap_err();
    let Error::InUse { thing, by } = &refused else { panic!("{refused:?}") };
    assert_eq!((thing.name.as_str(), &by.names), ("d", &vec![first.id.to_string()]));
    let beside = Execution { company: Company::Beside, ..execution(3) };
    store.create_execution(new(beside)).await.unwrap();

    for id in [first.id, execution(3).id] {
        let end =
            Advance { status: Some(status(ExecutionStatus::Cancelled)), ..Advance::new(id, at(9)) };
        store.advance(end).await.unwrap();
    }
    let later = Execution { created_at: at(20), ..execution(2) };
    store.create_execution(new(later)).await.unwrap();

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

#[tokio::test]
async fn a_queue_lets_the_one_with_the_highest_priority_begin_when_nobody_is_in_the_way() {
    let (scene, running) = Scene::new().await.with_execution().await;
    let store = &scene.store;
    let waiting = |number, priority, status| Execution {
        priority,
        status,
        created_at: at(i64::try_from(number).unwrap()),
        ..execution(number)
    };
    for execution in [
        waiting(5, 0, ExecutionStatus::Queued),
        waiting(6, 7, ExecutionStatus::Queued),
        waiting(7, 7, ExecutionStatus::Queued),
        waiting(8, 9, ExecutionStatus::Scheduled),
    ] {
        store.create_execution(new(execution)).await.unwrap();
    }
    let next = || async { store.next_queued(tenant(), "d".parse().unwrap()).await.unwrap() };
    assert_eq!(next().await, None, "somebody is in the way");
    let refused = store.release_execution(execution(6).id, json!({}), None).await.unwrap_err();
    assert!(matches!(&refused, Error::InUse { by, .. } if by.names == [running.id.to_string()]));

    let ended = Advance {
        status: Some(status(ExecutionStatus::Failed)),
        ..Advance::new(running.id, at(9))
    };
    store.advance(ended).await.unwrap();
    assert_eq!(next().await.unwrap().id, execution(6).id);
    let begun = store.release_execution(execution(6).id, json!({"a": 1}), None).await.unwrap();
    assert_eq!(begun.status, ExecutionStatus::Pending);
    assert_eq!(store.execution_settings(begun.id).await.unwrap(), json!({"a": 1}));
    // One that has ended does not come back while another one is in its way.
    let back = Advance {
        status: Some(status(ExecutionStatus::Started)),
        ..Advance::new(running.id, at(9))
    };
    assert!(matches!(store.advance(back).await, Err(Error::InUse { .. })));

    let withdrawn = store.withdraw_execution(execution(7).id, at(10)).await.unwrap();
    assert_eq!((withdrawn.status, withdrawn.ended_at), (ExecutionStatus::Cancelled, Some(at(10))));
    let due = store.next_scheduled().await.unwrap().unwrap();
    assert_eq!(store.enqueue_execution(due.id).await.unwrap().status, ExecutionStatus::Queued);
    assert_eq!(store.next_scheduled().await.unwrap(), None);
    let left = store.withdraw_execution(begun.id, at(11)).await.unwrap();
    assert_eq!(left.status, ExecutionStatus::Pending, "it does not wait any more");
    let ended =
        Advance { status: Some(status(ExecutionStatus::Failed)), ..Advance::new(begun.id, at(12)) };
    store.advance(ended).await.unwrap();
    assert_eq!(next().await.unwrap().id, due.id);
}

#[tokio::test]
async fn an_execution_reshapes_its_deployment_whole_or_not_at_all() {
    let scene = Scene::new().await.with_deployment().await;
    let store = &scene.store;
    let d = || "d".parse().unwrap();
    let ids = || async {
        let all = store.all_node_instances(tenant(), d()).await.unwrap();
        all.into_iter().map(|instance| instance.id).collect::<Vec<_>>()
    };
    let add = |id: &str| Reshape {
        add: vec![instance("d", id, 3)],
        relate: [("vm_1".to_owned(), Vec::new())].into(),
        is_open: true,
        ..Reshape::default()
    };
    let bad = NewExecution { reshape: Some(add("vm_2")), ..new(execution(1)) };
    assert!(matches!(store.create_execution(bad).await, Err(Error::Exists(_))));
    assert_eq!(ids().await, ["vm_1", "vm_2"]);
    assert_eq!(store.deployment_shape(tenant(), d()).await.unwrap().revision, 1);

    let good = NewExecution { reshape: Some(add("vm_3")), ..new(execution(1)) };
    let made = store.create_execution(good).await.unwrap();
    assert_eq!(made.revision, 2);
    assert_eq!(ids().await, ["vm_1", "vm_2", "vm_3"]);
    let vm = store.node_instance(tenant(), "vm_1".to_owned()).await.unwrap();
    assert_eq!(vm.relationships, []);
    let shape = store.deployment_shape(tenant(), d()).await.unwrap();
    assert_eq!(shape, Shape { revision: 2, reshaped_by: Some(made.id) });

    let plan = NewPlan {
        blueprint_id: "b".parse().unwrap(),
        inputs: json!({"size": 3}),
        workflows: vec!["scale".to_owned()],
        plan: json!({"nodes": [1]}),
    };
    let finish =
        Reshape { remove: vec!["vm_2".to_owned()], plan: Some(plan), ..Reshape::default() };
    let end = Advance {
        instances: vec![started("vm_2")],
        status: Some(status(ExecutionStatus::Terminated)),
        reshape: Some(finish),
        ..Advance::new(made.id, at(9))
    };
    store.advance(end).await.unwrap();
    assert_eq!(ids().await, ["vm_1", "vm_3"]);
    assert_eq!(store.deployment_plan(tenant(), d()).await.unwrap(), json!({"nodes": [1]}));
    let deployment = store.deployment(tenant(), d()).await.unwrap();
    assert_eq!((deployment.inputs, deployment.workflows.len()), (json!({"size": 3}), 1));
    let shape = store.deployment_shape(tenant(), d()).await.unwrap();
    assert_eq!(shape, Shape { revision: 3, reshaped_by: None });
}

#[tokio::test]
async fn what_is_out_is_told_with_its_agent_and_its_last_log_line() {
    let (scene, execution) = Scene::new().await.with_execution().await;
    let store = &scene.store;
    store.advance(turn(&execution)).await.unwrap();
    let out = store.attempts_out(execution.id).await.unwrap();
    assert_eq!((out.len(), out[0].agent.as_str(), &out[0].last_line), (1, "a", &None));
    assert_eq!(out[0].operation, operation(70).id);

    let origin = Arc::new(Origin {
        execution_id: Some(execution.id),
        attempt_id: Some(attempt(700, operation(70).id).id),
        ..Origin::of(tenant())
    });
    let line = |sequence, message: &str| Entry {
        origin: Arc::clone(&origin),
        time: at(i64::try_from(sequence).unwrap()),
        kind: EntryKind::Log { level: LogLevel::Info, logger: "ctx".to_owned() },
        message: message.to_owned(),
        causes: Vec::new(),
        sequence,
    };
    store.add_events(vec![line(20, "first"), line(21, "second")], at(30)).await.unwrap();
    let out = store.attempts_out(execution.id).await.unwrap();
    assert_eq!(out[0].last_line, Some((at(21), "second".to_owned())));
}

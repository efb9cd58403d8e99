//! Executions that wait, and what is told of them.

use serde_json::json;
use waggoner_engine::Resume;
use waggoner_types::{CancelMode, ExecutionStatus};

use super::{Disk, Host, Memory, deployment, fails_once, goes_well, nothing_starts, tenant};
use crate::executions::{Asked, Depth, When, cancel, look, restore, resume, start, waiting};

fn asked(workflow: &str) -> Asked {
    Asked { force: true, ..Asked::new(tenant(), deployment(), workflow) }
}

#[tokio::test]
async fn a_queue_is_worked_off_by_priority_and_outlives_the_manager() {
    let disk = Disk::new().await;
    let home = disk.manager(&Host::that_waits(Memory::new(goes_well))).await;
    start(&home, asked("install")).await.unwrap();
    let mut queued = Vec::new();
    for (workflow, priority) in [("restart", 0), ("uninstall", -5), ("stop", 7)] {
        let asked = Asked { when: When::Queued, priority, ..asked(workflow) };
        let execution = start(&home, asked).await.unwrap();
        assert_eq!(execution.status, ExecutionStatus::Queued);
        queued.push(execution.id);
    }
    let told = look(&home, tenant(), queued[1], Depth::Open).await.unwrap().summary;
    assert!(told.contains("2 of its queue come before it"), "{told}");
    assert!(told.contains("(install, ") && told.ends_with(" runs"), "{told}");
    // The manager is killed.
    let copy = disk.copy();
    drop(home);

    let home = copy.manager(&Host::with(Memory::new(goes_well))).await;
    restore(&home).await.unwrap();
    home.tasks.join().await;
    let mut ended = Vec::new();
    for id in queued {
        let execution = home.store.execution(tenant(), id).await.unwrap();
        assert_eq!(execution.status, ExecutionStatus::Terminated, "{execution:?}");
        ended.push((execution.started_at, execution.workflow_id));
    }
    ended.sort();
    let order: Vec<&str> = ended.iter().map(|(_, workflow)| workflow.as_str()).collect();
    assert_eq!(order, ["stop", "restart", "uninstall"]);
}

#[tokio::test]
async fn one_that_cannot_begin_when_its_turn_comes_has_failed_and_holds_nobody_up() {
    let disk = Disk::new().await;
    let host = Host::that_waits(Memory::new(goes_well));
    let home = disk.manager(&host).await;
    start(&home, asked("install")).await.unwrap();
    let queue = |asked| Asked { when: When::Queued, ..asked };
    let bad = Asked { force: false, ..asked("install") };
    let bad = start(&home, queue(bad)).await.unwrap();
    let next = start(&home, queue(asked("restart"))).await.unwrap();
    let gone = start(&home, queue(asked("uninstall"))).await.unwrap();
    let gone = cancel(&home, tenant(), gone.id, CancelMode::Cancel).await.unwrap();
    assert_eq!(gone.status, ExecutionStatus::Cancelled);
    host.let_go();
    home.tasks.join().await;
    let bad = home.store.execution(tenant(), bad.id).await.unwrap();
    assert_eq!(bad.status, ExecutionStatus::Failed);
    let why = bad.error.unwrap();
    assert!(why.contains("10 of 10 node instances are started"), "{why}");
    let next = home.store.execution(tenant(), next.id).await.unwrap();
    assert_eq!(next.status, ExecutionStatus::Terminated);
}

#[tokio::test]
async fn what_is_scheduled_begins_at_its_time() {
    let disk = Disk::new().await;
    let home = disk.manager(&Host::with(Memory::new(goes_well))).await;
    let time = |text: &str| When::At(text.parse().unwrap());
    let far = Asked { when: time("2200-01-01T00:00:00Z"), ..asked("uninstall") };
    let far = start(&home, far).await.unwrap();
    assert_eq!(far.status, ExecutionStatus::Scheduled);
    let told = look(&home, tenant(), far.id, Depth::All).await.unwrap().summary;
    assert_eq!(told, "it is to begin at 2200-01-01T00:00:00Z");
    let due = Asked { when: time("2020-01-01T00:00:00Z"), ..asked("install") };
    let due = start(&home, due).await.unwrap();

    let stop = home.tasks.token();
    let mut status = due.status;
    let clock = waiting::keep_time(std::sync::Arc::clone(&home), stop);
    let ended = async {
        let mut events = home.store.last_event();
        while !status.is_end() {
            status = home.store.execution(tenant(), due.id).await.unwrap().status;
            if !status.is_end() {
                events.changed().await.unwrap();
            }
        }
        status
    };
    tokio::select! {
        () = clock => panic!("nobody stops the clock"),
        status = ended => assert_eq!(status, ExecutionStatus::Terminated),
    }
    let far = home.store.execution(tenant(), far.id).await.unwrap();
    assert_eq!(far.status, ExecutionStatus::Scheduled);
}

#[tokio::test]
async fn a_dry_run_tells_all_and_changes_nothing_beside_whatever_runs() {
    let disk = Disk::installed().await;
    let host = Host::with(Memory::new(goes_well));
    let home = disk.manager(&host).await;
    let dry = |workflow| Asked { dry_run: true, ..asked(workflow) };
    let before = home.store.all_node_instances(tenant(), deployment()).await.unwrap();
    let mut scale = dry("scale");
    scale.parameters = json!({ "scalable_entity_name": "host" }).as_object().cloned().unwrap();
    let (first, second) = (start(&home, dry("uninstall")).await, start(&home, scale).await);
    home.tasks.join().await;
    for execution in [first.unwrap(), second.unwrap()] {
        let ended = home.store.execution(tenant(), execution.id).await.unwrap();
        assert_eq!(ended.status, ExecutionStatus::Terminated, "{ended:?}");
    }
    let after = home.store.all_node_instances(tenant(), deployment()).await.unwrap();
    assert_eq!(after, before);
    assert!(host.memory().runs.is_empty());
}

#[tokio::test]
async fn what_failed_is_resumed_without_running_again_what_had_succeeded() {
    let disk = Disk::new().await;
    let host = Host::with(Memory::new(nothing_starts));
    let home = disk.manager(&host).await;
    let failed = start(&home, asked("install")).await.unwrap();
    home.tasks.join().await;
    let before = host.memory().runs;
    let copy = disk.copy();
    drop(home);

    let host = Host::with(Memory::new(fails_once));
    let home = copy.manager(&host).await;
    let resumed = resume(&home, tenant(), failed.id, Resume::Unfinished).await.unwrap();
    assert_eq!(resumed.status, ExecutionStatus::Started);
    home.tasks.join().await;
    let ended = home.store.execution(tenant(), failed.id).await.unwrap();
    assert_eq!(ended.status, ExecutionStatus::Terminated, "{ended:?}");
    let again: Vec<String> = host
        .memory()
        .runs
        .into_keys()
        .filter(|run| before.contains_key(run) && !run.contains(".start"))
        .collect();
    assert_eq!(again, Vec::<String>::new());
    let told = look(&home, tenant(), failed.id, Depth::All).await.unwrap();
    assert_eq!(told.summary, "it has ended: terminated");
    assert!(told.tasks.len() > 30 && told.tasks.iter().all(|task| task.state.is_end()));
}

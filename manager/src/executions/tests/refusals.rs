//! What is refused, and that each refusal names the thing and the state it is in.

use serde_json::{Value, json};
use waggoner_engine::Resume;
use waggoner_store::Deletion;
use waggoner_types::{CancelMode, ExecutionId, ExecutionStatus, plan::InstanceState};
use waggoner_wire::{Reason, Refused};

use super::{Disk, Host, Memory, deployment, goes_well, nothing_starts, tenant};
use crate::{
    api::refused,
    executions::{Asked, When, cancel, resume, start},
};

fn asked(workflow: &str, parameters: &Value) -> Asked {
    Asked {
        parameters: parameters.as_object().cloned().unwrap(),
        ..Asked::new(tenant(), deployment(), workflow)
    }
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(
    what: &str,
    answer: Result<T, Refused>,
    reason: Reason,
    names: &[&str],
) {
    let refusal = answer.expect_err(what);
    assert_eq!(refusal.reason, reason, "{what}: {}", refusal.message);
    for name in names {
        assert!(refusal.message.contains(name), "{what}: no `{name}` in: {}", refusal.message);
    }
}

#[tokio::test]
async fn a_bad_start_is_refused_with_the_thing_and_its_state() {
    let disk = Disk::new().await;
    let home = disk.manager(&Host::with(Memory::new(goes_well))).await;
    let op = "cloudify.interfaces.lifecycle.start";
    for (workflow, parameters, reason, names) in [
        ("instal", json!({}), Reason::UnknownWorkflow, &["`instal`", "mean `install`"][..]),
        ("execute_operation", json!({}), Reason::InvalidParameters, &["`operation`"]),
        (
            "execute_operation",
            json!({ "operation": "cloudify.interfaces.lifecycle.strat" }),
            Reason::InvalidParameters,
            &["`operation`", "lifecycle.strat`", "mean `cloudify.interfaces.lifecycle.start`"],
        ),
        (
            "execute_operation",
            json!({ "operation": op, "node_ids": ["nte"] }),
            Reason::InvalidParameters,
            &["`node_ids`", "node `nte`", "mean `net`"],
        ),
        (
            "execute_operation",
            json!({ "operation": op, "node_ids": "net" }),
            Reason::InvalidParameters,
            &["`node_ids`", "a list", "the string `net`"],
        ),
        (
            "install",
            json!({ "node_instance_ids": ["net_000000"] }),
            Reason::InvalidParameters,
            &["`node_instance_ids`", "`net_000000`"],
        ),
        ("install", json!({ "node_idz": [] }), Reason::InvalidParameters, &["`node_idz`"]),
        (
            "uninstall",
            json!({ "ignore_failure": "maybe" }),
            Reason::InvalidParameters,
            &["`ignore_failure`", "true or false", "the string `maybe`"],
        ),
        (
            "uninstall",
            json!({}),
            Reason::WorkflowUnavailable,
            &["`uninstall`", "`d`", "0 of 10 node instances are started", "`none`"],
        ),
        (
            "scale",
            json!({ "scalable_entity_name": "hots" }),
            Reason::InvalidParameters,
            &["`scalable_entity_name`", "`hots`", "mean `host`"],
        ),
        (
            "scale",
            json!({ "scalable_entity_name": "host", "delta": "two" }),
            Reason::InvalidParameters,
            &["`delta`", "a whole number", "the string `two`"],
        ),
        (
            "scale",
            json!({ "scalable_entity_name": "host", "delta": -4 }),
            Reason::WorkflowUnavailable,
            &["`host` has 3 instances", "-4"],
        ),
    ] {
        let what = format!("{workflow} {parameters}");
        // Availability is judged first, and only one of these is about it.
        let force = reason != Reason::WorkflowUnavailable || workflow == "scale";
        let asked = Asked { force, ..asked(workflow, &parameters) };
        let answer = start(&home, asked.clone()).await;
        assert_refused(&what, answer, reason, names);
        if reason != Reason::WorkflowUnavailable {
            let answer = start(&home, Asked { when: When::Queued, ..asked }).await;
            assert_refused(&format!("{what}, queued"), answer, reason, names);
        }
    }
    let nobody = Asked::new(tenant(), "dd".parse().unwrap(), "install");
    assert_refused("no deployment", start(&home, nobody).await, Reason::NotFound, &["`dd`"]);
    let executions = home.store.open_executions().await.unwrap();
    assert_eq!(executions, [], "nothing is left of what was refused");
}

#[tokio::test]
async fn what_does_not_go_with_a_state_is_refused_with_that_state() {
    let disk = Disk::new().await;
    let host = Host::that_waits(Memory::new(nothing_starts));
    let home = disk.manager(&host).await;
    let failed = start(&home, asked("install", &json!({}))).await.unwrap();
    let id = failed.id.to_string();

    let second = start(&home, asked("install", &json!({}))).await;
    assert_refused("two at once", second, Reason::ExecutionRunning, &["`d`", &id]);
    let answer = resume(&home, tenant(), failed.id, Resume::Unfinished).await;
    assert_refused(
        "resume of one that runs",
        answer,
        Reason::ExecutionRunning,
        &[&id, "not ended"],
    );
    let answer = home.store.delete_deployment(tenant(), deployment(), Deletion::Forced).await;
    let answer = answer.map_err(refused);
    assert_refused("delete while it runs", answer, Reason::ExecutionRunning, &["`d`", &id]);

    host.let_go();
    home.tasks.join().await;
    let now = home.store.execution(tenant(), failed.id).await.unwrap();
    assert_eq!(now.status, ExecutionStatus::Failed);
    let answer = cancel(&home, tenant(), failed.id, CancelMode::Cancel).await;
    assert_refused("cancel of an ended one", answer, Reason::ExecutionEnded, &[&id, "failed"]);
    let answer = home.store.delete_deployment(tenant(), deployment(), Deletion::IfUnused).await;
    let answer = answer.map_err(refused);
    assert_refused("delete with instances", answer, Reason::DeploymentInUse, &["`d`", "`net_"]);
    let nobody = ExecutionId(uuid::Uuid::nil());
    let answer = resume(&home, tenant(), nobody, Resume::Unfinished).await;
    assert_refused("resume of nothing", answer, Reason::NotFound, &[&nobody.to_string()]);
    let answer = cancel(&home, tenant(), nobody, CancelMode::Kill).await;
    assert_refused("cancel of nothing", answer, Reason::NotFound, &[&nobody.to_string()]);
}

#[tokio::test]
async fn what_has_succeeded_or_stands_on_another_shape_is_not_resumed() {
    let disk = Disk::installed().await;
    let home = disk.manager(&Host::with(Memory::new(nothing_starts))).await;
    let all = home.store.executions(tenant(), None, &waggoner_store::PageRequest::new(9, "")).await;
    let install = all.unwrap().items[0].clone();
    let answer = resume(&home, tenant(), install.id, Resume::Force).await;
    let id = install.id.to_string();
    assert_refused("one that succeeded", answer, Reason::WorkflowUnavailable, &[&id, "terminated"]);

    let again = start(&home, asked("install", &json!({}))).await;
    let names = &["`install`", "`d`", "10 of 10 node instances are started", "`all`"];
    assert_refused("install again", again, Reason::WorkflowUnavailable, names);

    let failed = start(&home, asked("restart", &json!({}))).await.unwrap();
    home.tasks.join().await;
    let by = json!({ "scalable_entity_name": "host", "delta": -1 });
    start(&home, asked("scale", &by)).await.unwrap();
    home.tasks.join().await;
    let answer = resume(&home, tenant(), failed.id, Resume::Unfinished).await;
    let id = failed.id.to_string();
    let names = &[id.as_str(), "`d`", "was scaled or updated since"];
    assert_refused("after scaling", answer, Reason::WorkflowUnavailable, names);

    let by = json!({
        "scalable_entity_name": "host", "delta": 1, "rollback_if_failed": false,
    });
    let open = start(&home, asked("scale", &by)).await.unwrap();
    home.tasks.join().await;
    let answer = start(&home, asked("scale", &by)).await;
    let id = open.id.to_string();
    let names = &[id.as_str(), "`d`", "still open", "`abort_started`"];
    assert_refused("a second modification", answer, Reason::WorkflowUnavailable, names);

    let mut abort = asked("scale", &by);
    abort.parameters.insert("abort_started".to_owned(), json!(true));
    let answer = start(&home, abort.clone()).await;
    let names = &[id.as_str(), "`d`", "lives: `", "`node_instance_ids`"];
    assert_refused("what lives is not forgotten", answer, Reason::WorkflowUnavailable, names);
    let all = home.store.all_node_instances(tenant(), deployment()).await.unwrap();
    let added = all.iter().filter(|one| one.state != InstanceState::Started);
    let added: Vec<&str> = added.map(|one| one.id.as_str()).collect();
    let uninstall = asked("uninstall", &json!({ "node_instance_ids": added }));
    start(&home, uninstall).await.unwrap();
    home.tasks.join().await;
    start(&home, abort).await.unwrap();
    home.tasks.join().await;
    let now = home.store.all_node_instances(tenant(), deployment()).await.unwrap();
    assert_eq!(now.len(), all.len(), "as many came as were taken back");
    assert!(added.iter().all(|gone| now.iter().all(|one| one.id != *gone)));
}

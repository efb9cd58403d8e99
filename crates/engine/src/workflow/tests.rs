use std::sync::Arc;

use serde_json::{Value, json};
use waggoner_types::{
    ErrorKind, ExecutionStatus,
    plan::{InstanceState, Plan},
};

use crate::{
    Effect, Execution, Modification, ModificationEnd, ModificationRequest, Refusal, Update,
    testkit::{ALL, Act, PlanBuilder, Sim, all_in, start},
};

const STATUS: &str = "cloudify.interfaces.validation.check_status";

/// A database on a host, and somebody who uses it.
fn watched() -> PlanBuilder {
    PlanBuilder::default()
        .node("host", &["create", "delete", STATUS])
        .node("database", &["create", "delete", "heal", STATUS])
        .related("host", "contained_in", &[])
        .node("user", &["create"])
        .related("database", "connected_to", &["establish", "unlink"])
}

/// Runs `heal` on started instances; the status of `ill` is bad.
fn heal(parameters: Value, ill: &str, failing: &[&str]) -> Sim {
    let plan = watched().build();
    let mut start = start("heal", &plan, parameters);
    start.instances = all_in(&plan, InstanceState::Started);
    let mut sim = Sim::new(&plan, start).unwrap();
    sim.run(|dispatch| {
        let short = dispatch.operation_name.rsplit('.').next().unwrap();
        let call = format!("{} {short}", dispatch.instance);
        let is_ill = dispatch.operation_name == STATUS && dispatch.node == ill;
        if is_ill || failing.contains(&call.as_str()) {
            Act::Fail(ErrorKind::NonRecoverable)
        } else {
            Act::Succeed(json!(true))
        }
    });
    sim
}

/// What was noted, in order: instance, property, value.
fn noted(sim: &Sim) -> Vec<(String, String, Value)> {
    let notes = sim.effects.iter().filter_map(|effect| match effect {
        Effect::SetSystemProperties { instance, properties } => Some((instance, properties)),
        _ => None,
    });
    let each = notes.flat_map(|(instance, properties)| {
        let note =
            |(name, value): (&String, &Value)| (instance.clone(), name.clone(), value.clone());
        properties.iter().map(note).collect::<Vec<_>>()
    });
    each.collect()
}

fn status_of(sim: &Sim, id: &str) -> Value {
    let notes = noted(sim).into_iter().rev();
    let mut of_instance = notes.filter(|(instance, name, _)| instance == id && name == "status");
    of_instance.next().unwrap().2
}

#[test]
fn what_is_well_is_left_alone() {
    let sim = heal(json!({}), "nobody", &[]);
    assert_eq!(sim.calls, ["host_1 check_status", "database_1 check_status"]);
    let status = status_of(&sim, "host_1");
    assert_eq!(status["ok"], json!(true));
    assert_eq!(status["task"], json!("p.check_status"));
    assert_eq!(status["timestamp"], json!("1970-01-01T00:00:00.000000"));
}

#[test]
fn what_can_be_healed_is_healed() {
    let sim = heal(json!({}), "database", &[]);
    assert_eq!(sim.calls[2..], ["database_1 heal"]);
    let status = status_of(&sim, "database_1");
    assert_eq!((&status["ok"], &status["healed"]), (&json!(true), &json!(true)));
}

#[test]
fn what_cannot_be_healed_is_reinstalled_with_all_in_it() {
    let sim = heal(json!({}), "host", &[]);
    assert_eq!(
        sim.calls[2..],
        [
            "user_1 unlink user_1>database_1 source",
            "database_1 unlink user_1>database_1 target",
            "database_1 delete",
            "host_1 delete",
            "host_1 create",
            "database_1 create",
            "user_1 establish user_1>database_1 source",
            "database_1 establish user_1>database_1 target",
        ]
    );
}

#[test]
fn what_healing_did_not_heal_is_reinstalled() {
    let sim = heal(json!({}), "database", &["database_1 heal"]);
    let calls: Vec<&str> = sim.calls[2..].iter().map(String::as_str).collect();
    assert_eq!(calls[0], "database_1 heal");
    assert!(calls.contains(&"database_1 delete") && !calls.contains(&"host_1 delete"));
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
}

#[test]
fn reinstalling_has_to_be_allowed() {
    let sim = heal(json!({"allow_reinstall": false}), "host", &[]);
    assert_eq!(sim.calls.len(), 2);
    let expected =
        "allow_reinstall is false, but would need to reinstall instances: host_1, database_1";
    assert_eq!(sim.finish.unwrap().error.unwrap(), expected);
}

#[test]
fn check_status_tries_once_unless_the_operation_says_otherwise() {
    let plan = PlanBuilder::default()
        .node("a", &[STATUS])
        .node("b", &[STATUS])
        .with(STATUS, "max_retries", json!(1))
        .build();
    let mut sim = Sim::new(&plan, start("check_status", &plan, json!({}))).unwrap();
    sim.run(|_| Act::Fail(ErrorKind::Retry));
    assert_eq!(sim.calls, ["a_1 check_status", "b_1 check_status", "b_1 check_status#1"]);
}

#[test]
fn drift_is_noted_on_the_side_that_looked() {
    let plan = PlanBuilder::default()
        .node("target", &["check_drift"])
        .node("source", &["check_drift"])
        .related("target", "depends_on", &["check_drift"])
        .build();
    let mut sim = Sim::new(&plan, start("check_drift", &plan, json!({}))).unwrap();
    sim.run(|_| Act::Succeed(json!({"changed": ["size"]})));
    let notes = noted(&sim).into_iter();
    let names: Vec<String> =
        notes.map(|(instance, name, _)| format!("{instance}: {name}")).collect();
    assert_eq!(
        names,
        [
            "target_1: configuration_drift",
            "source_1: configuration_drift",
            "source_1: source_relationships_configuration_drift",
            "target_1: target_relationships_configuration_drift",
        ]
    );
}

#[test]
fn rollback_goes_back_to_where_things_are_clear() {
    use InstanceState::{Configured, Configuring, Creating, Started, Starting, Uninitialized};
    for (state, calls, end) in [
        (Creating, vec!["a_1 delete"], Uninitialized),
        (Configuring, vec!["a_1 delete"], Uninitialized),
        (Starting, vec!["a_1 stop"], Configured),
        (Started, vec![], Started),
    ] {
        let plan = PlanBuilder::default().node("a", ALL).build();
        let mut start = start("rollback", &plan, json!({}));
        start.instances = all_in(&plan, state);
        let mut sim = Sim::new(&plan, start).unwrap();
        sim.run(|_| Act::Fail(ErrorKind::NonRecoverable));
        assert_eq!(sim.calls, calls, "{state}");
        assert_eq!(sim.states["a_1"], end, "{state}");
        assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
    }
}

fn grouped() -> Arc<Plan> {
    let plan = json!({
        "nodes": [
            {"id": "vm", "host_id": "vm", "type_hierarchy": ["cloudify.nodes.Compute"]},
            {"id": "app", "host_id": "vm"}
        ],
        "node_instances": [
            {"id": "vm_1", "node_id": "vm", "scaling_groups": [{"id": "pair_1", "name": "pair"}]},
            {"id": "app_1", "node_id": "app", "scaling_groups": [{"id": "pair_1", "name": "pair"}]}
        ],
        "scaling_groups": {
            "pair": {"members": ["vm", "app"], "properties": {"current_instances": 3}}
        }
    });
    Arc::new(serde_json::from_value(plan).unwrap())
}

#[test]
fn scale_says_which_modification_it_needs() {
    let plan = grouped();
    for (parameters, expected) in [
        (json!({"scalable_entity_name": "pair"}), Some(("pair", 4, 1))),
        (json!({"scalable_entity_name": "app", "delta": "2"}), Some(("app", 3, 2))),
        (json!({"scalable_entity_name": "app", "scale_compute": true}), Some(("vm", 2, 1))),
        (json!({"scalable_entity_name": "app", "delta": 0}), None),
        (json!({"node_id": "vm", "delta": -1, "exclude_instances": []}), Some(("vm", 0, -1))),
    ] {
        let expected = expected.map(|(entity, instances, delta)| ModificationRequest {
            entity: entity.to_owned(),
            instances,
            delta,
            removed_ids_include_hint: Vec::new(),
            removed_ids_exclude_hint: Vec::new(),
            abort_started: false,
        });
        let start = start("scale", &plan, parameters.clone());
        assert_eq!(Execution::modification(plan.clone(), &start), Ok(expected), "{parameters}");
    }
    let unmade = start("scale", &plan, json!({"scalable_entity_name": "app"}));
    assert!(matches!(Execution::start(plan, &unmade), Err(Refusal::Impossible { .. })));
}

#[test]
fn a_wrong_scale_is_refused_with_a_sentence() {
    let plan = grouped();
    for (parameters, sentence) in [
        (json!({}), "it must be given `scalable_entity_name`"),
        (
            json!({"scalable_entity_name": "ap"}),
            "did you mean `app`? there are `app`, `pair`, `vm`",
        ),
        (json!({"scalable_entity_name": "app", "delta": -2}), "a delta of -2 is too low"),
        (json!({"scalable_entity_name": "app", "delta": 1.5}), "has to be a whole number"),
        (
            json!({"scalable_entity_name": "app", "delta": 1, "include_instances": ["app_1"]}),
            "only be included or excluded when scaling in",
        ),
        (
            json!({"scalable_entity_name": "app", "delta": -1, "exclude_instances": ["app_1"]}),
            "1 instances are excluded, but only 0 are to stay",
        ),
        (
            json!({"scalable_entity_name": "app", "delta": -1, "include_instances": ["app_2"]}),
            "names the instance `app_2`, which the deployment does not have; did you mean `app_1`?",
        ),
    ] {
        let start = start("scale", &plan, parameters);
        let refusal = Execution::modification(plan.clone(), &start).unwrap_err().to_string();
        assert!(refusal.contains(sentence), "{refusal}\n does not say\n{sentence}");
    }
}

#[test]
fn a_modification_stands_or_is_taken_back() {
    for (delta, fails, back, end) in [
        (1, false, true, Some(ModificationEnd::Finish)),
        (1, true, true, Some(ModificationEnd::RollBack)),
        (1, true, false, None),
        (-1, false, true, Some(ModificationEnd::Finish)),
        (-1, true, true, Some(ModificationEnd::RollBack)),
    ] {
        let plan = PlanBuilder::default().node("a", ALL).build();
        let parameters = json!({
            "scalable_entity_name": "a", "delta": delta, "rollback_if_failed": back
        });
        let mut start = start("scale", &plan, parameters);
        let ids = vec!["a_1".to_owned()];
        let (state, modification) = if delta > 0 {
            (InstanceState::Uninitialized, Modification { added: ids, removed: Vec::new() })
        } else {
            (InstanceState::Started, Modification { added: Vec::new(), removed: ids })
        };
        start.instances = all_in(&plan, state);
        start.modification = Some(modification);
        let mut sim = Sim::new(&plan, start).unwrap();
        let mut is_first = true;
        sim.run(|_| {
            if std::mem::take(&mut is_first) && fails {
                Act::Fail(ErrorKind::NonRecoverable)
            } else {
                Act::Succeed(json!(true))
            }
        });
        let ended = sim.effects.iter().find_map(|effect| match effect {
            Effect::EndModification(end) => Some(*end),
            _ => None,
        });
        assert_eq!(ended, end, "{delta} {fails} {back}");
        let status = if fails { ExecutionStatus::Failed } else { ExecutionStatus::Terminated };
        assert_eq!(sim.finish.unwrap().status, status);
    }
}

/// Updates started instances: `old` goes, `new` comes, `changed` has drifted.
fn update(parameters: Value, failing: &[&str]) -> Vec<String> {
    let plan = PlanBuilder::default()
        .node("base", ALL)
        .node("changed", &["create", "delete", "check_drift", "preupdate", "update"])
        .related("base", "depends_on", &["check_drift", "update", "establish", "unlink"])
        .node("old", &["delete"])
        .node("new", &["create"])
        .node("user", &[])
        .related("base", "connected_to", &["establish"])
        .related("changed", "connected_to", &["unlink"])
        .build();
    let mut start = start("update", &plan, parameters);
    start.instances = all_in(&plan, InstanceState::Started);
    start.instances[3].state = InstanceState::Uninitialized;
    let related =
        |target: &str| [("user".to_owned(), [target.to_owned()].into())].into_iter().collect();
    start.update = Some(Update {
        added: vec!["new_1".to_owned()],
        removed: vec!["old_1".to_owned()],
        extended: related("base"),
        reduced: related("changed"),
        changed: vec!["changed_1".to_owned()],
        reinstall: Vec::new(),
    });
    let mut sim = Sim::new(&plan, start).unwrap();
    sim.run(|dispatch| {
        let short = dispatch.operation_name.rsplit('.').next().unwrap();
        if dispatch.relationship.is_none() && failing.contains(&short) {
            Act::Fail(ErrorKind::NonRecoverable)
        } else {
            Act::Succeed(json!({"size": "other"}))
        }
    });
    assert_eq!(sim.finish.as_ref().unwrap().status, ExecutionStatus::Terminated);
    let sides = |call: &String| !call.ends_with("target");
    sim.calls.into_iter().filter(sides).collect()
}

#[test]
fn an_update_takes_away_changes_and_adds() {
    assert_eq!(
        update(json!({}), &[]),
        [
            "user_1 unlink user_1>changed_1 source",
            "old_1 delete",
            "changed_1 check_drift",
            "changed_1 check_drift changed_1>base_1 source",
            "changed_1 preupdate",
            "changed_1 update",
            "changed_1 update changed_1>base_1 source",
            "new_1 create",
            "user_1 establish user_1>base_1 source",
        ]
    );
}

#[test]
fn what_cannot_be_updated_is_reinstalled() {
    let calls = update(json!({"skip_install": true, "skip_uninstall": true}), &["update"]);
    let again = calls.iter().position(|call| call == "changed_1 update").unwrap();
    let again: Vec<&str> = calls[again + 1..].iter().map(String::as_str).collect();
    assert_eq!(
        again,
        [
            "user_1 unlink user_1>changed_1 source",
            "changed_1 unlink changed_1>base_1 source",
            "changed_1 delete",
            "changed_1 create",
            "changed_1 establish changed_1>base_1 source",
        ]
    );
    let calls = update(json!({"skip_reinstall": true, "skip_drift_check": true}), &["update"]);
    assert!(!calls.iter().any(|call| call.starts_with("changed_1")), "{calls:?}");
}

#[test]
fn an_update_may_bring_the_new_before_it_takes_the_old() {
    let calls = update(json!({"install_first": true}), &[]);
    let place = |wanted: &str| calls.iter().position(|call| call == wanted).unwrap();
    assert!(place("new_1 create") < place("old_1 delete"));
}

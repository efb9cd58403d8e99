//! What is compared: shapes of deployments, and what is done with them.

use serde_json::{Map, Value, json};
use waggoner_types::ErrorKind;

use crate::blueprint::{ALL, Blueprint, LIFE, RELATED};

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) blueprint: Value,
    pub(crate) runs: Vec<Run>,
}

pub(crate) struct Run {
    pub(crate) workflow: &'static str,
    pub(crate) parameters: Value,
    pub(crate) fail: Vec<Fail>,
    /// What operations return, by name.
    pub(crate) results: Map<String, Value>,
    pub(crate) retries: i64,
    pub(crate) compares_order: bool,
}

/// The first calls of an operation on each instance of a node fail.
pub(crate) struct Fail {
    pub(crate) node: &'static str,
    pub(crate) operation: String,
    pub(crate) times: u32,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Recoverable,
    NonRecoverable,
    Retry,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Recoverable => "recoverable",
            Self::NonRecoverable => "non_recoverable",
            Self::Retry => "retry",
        }
    }

    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Self::Recoverable => ErrorKind::Recoverable,
            Self::NonRecoverable => ErrorKind::NonRecoverable,
            Self::Retry => ErrorKind::Retry,
        }
    }
}

impl Run {
    pub(crate) fn new(workflow: &'static str, parameters: Value) -> Self {
        Self {
            workflow,
            parameters,
            fail: Vec::new(),
            results: Map::new(),
            retries: 0,
            compares_order: true,
        }
    }

    fn failing(mut self, node: &'static str, operation: &str, times: u32, kind: Kind) -> Self {
        let operation = full(operation);
        self.fail.push(Fail { node, operation, times, kind });
        self
    }

    fn retrying(mut self, retries: i64) -> Self {
        self.retries = retries;
        self
    }
}

fn full(operation: &str) -> String {
    if operation.contains('.') {
        operation.to_owned()
    } else {
        format!("cloudify.interfaces.lifecycle.{operation}")
    }
}

fn install() -> Run {
    Run::new("install", json!({}))
}

fn uninstall() -> Run {
    Run::new("uninstall", json!({}))
}

fn parms(by_dependency: bool) -> Value {
    json!({
        "operation_parms": {}, "run_by_dependency_order": by_dependency,
        "type_names": [], "node_ids": [], "node_instance_ids": []
    })
}

fn restart(by_dependency: bool) -> Run {
    let mut parameters = parms(by_dependency);
    parameters["stop_parms"] = json!({});
    parameters["start_parms"] = json!({"how": "again"});
    parameters.as_object_mut().unwrap().remove("operation_parms");
    Run::new("restart", parameters)
}

fn execute(filter: Value, by_dependency: bool) -> Run {
    let mut parameters = json!({
        "operation": "cloudify.interfaces.lifecycle.create", "operation_kwargs": {"extra": 1},
        "allow_kwargs_override": null, "run_by_dependency_order": by_dependency,
        "type_names": [], "node_ids": [], "node_instance_ids": []
    });
    let filter = filter.as_object().unwrap().clone();
    parameters.as_object_mut().unwrap().extend(filter);
    Run::new("execute_operation", parameters)
}

/// A whole life, with everything in between.
fn life() -> Vec<Run> {
    vec![
        install(),
        execute(json!({}), false),
        execute(json!({}), true),
        Run::new("start", parms(true)),
        restart(true),
        restart(false),
        Run::new("reinstall", json!({})),
        uninstall(),
        install(),
        Run::new("uninstall", json!({"ignore_failure": true})),
    ]
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, blueprint: Blueprint, runs: Vec<Run>| {
        cases.push(Case { name: name.to_owned(), blueprint: blueprint.build(), runs });
    };
    let new = Blueprint::default;

    for (name, operations) in [
        ("nothing", &[][..]),
        ("only create", &["create"]),
        ("only start", &["start", "stop"]),
        ("a life", LIFE),
        ("a life with all around", ALL),
    ] {
        add(&format!("single: {name}"), new().node("a", operations), life());
    }
    let extras = new()
        .node("a", ALL)
        .interface("validation", &["create", "delete"])
        .interface("monitoring", &["start", "stop"]);
    add("single: validation and monitoring", extras, life());

    for type_name in ["depends_on", "connected_to", "contained_in"] {
        for length in 2..=5 {
            add(&format!("chain of {length}: {type_name}"), chain(length, type_name), life());
        }
        add(&format!("fan in: {type_name}"), fan_in(type_name), life());
    }
    add("fan out", fan_out(), life());
    add("diamond", diamond(), life());
    add(
        "diamond, two levels of operations",
        diamond().node("e", ALL).related("d", "depends_on", RELATED, &[]),
        life(),
    );
    add("a tree of containment", tree(), life());
    add("two relationships to one target", twice(), life());

    for method in ["none", "remote", "init_script", "plugin", "provided"] {
        add(&format!("a host: {method}"), hosted(method), life());
    }
    for operation in ["precreate", "create", "configure", "start", "stop", "delete", "poststart"] {
        add(&format!("waits for {operation} only"), lifecycle(operation), life());
    }
    add("several instances", several(), life());
    add("a scaling group", grouped(), life());

    for seed in 0..20 {
        add(&format!("random {seed}"), random(seed), life());
    }
    filters(&mut add);
    failures(&mut add);
    cases
}

fn filters(add: &mut impl FnMut(&str, Blueprint, Vec<Run>)) {
    for (name, filter) in [
        ("by node", json!({"node_ids": ["n0", "n2"]})),
        ("by instance", json!({"node_instance_ids": ["@n1:0"]})),
        ("by type", json!({"type_names": ["cloudify.nodes.Root"]})),
        ("by a type that is not there", json!({"type_names": ["cloudify.nodes.Compute"]})),
        ("by all", json!({"node_ids": ["n1"], "type_names": ["cloudify.nodes.Root"]})),
    ] {
        let runs = vec![
            Run::new("install", filter.clone()),
            install(),
            execute(filter.clone(), false),
            execute(filter.clone(), true),
            Run::new("reinstall", filter.clone()),
            Run::new("uninstall", filter.clone()),
            uninstall(),
        ];
        add(&format!("filter {name}"), chain(4, "depends_on"), runs);
    }
}

fn failures(add: &mut impl FnMut(&str, Blueprint, Vec<Run>)) {
    use Kind::{NonRecoverable, Recoverable, Retry};
    let broken = || new_tree_beside();
    for operation in ["create", "configure", "start"] {
        for (kind, times, retries) in [
            (NonRecoverable, 1, 3),
            (Recoverable, 1, 0),
            (Recoverable, 2, 3),
            (Recoverable, 9, 2),
            (Retry, 1, 2),
            (Retry, 9, 1),
        ] {
            let run = install().failing("host", operation, times, kind).retrying(retries);
            let name =
                format!("{operation} fails {times} times {}, {retries} retries", kind.as_str());
            let ignoring = Run::new("uninstall", json!({"ignore_failure": true}))
                .failing("app", "stop", 1, kind)
                .failing("host", "delete", 1, kind)
                .retrying(retries);
            add(&name, broken(), vec![run, install(), ignoring, uninstall()]);
        }
    }
    for operation in RELATED {
        let operation = format!("cloudify.interfaces.relationship_lifecycle.{operation}");
        let runs = || {
            vec![
                install().failing("app", &operation, 1, NonRecoverable),
                install(),
                uninstall().failing("app", &operation, 1, NonRecoverable),
                uninstall().failing("app", "stop", 2, Recoverable).retrying(3),
            ]
        };
        add(&format!("{operation} fails"), broken(), runs());
    }
    let stop = vec![install(), uninstall().failing("app", "stop", 1, NonRecoverable), uninstall()];
    add("stop fails", broken(), stop);
}

fn name(at: usize) -> String {
    format!("n{at}")
}

fn chain(length: usize, type_name: &str) -> Blueprint {
    let mut blueprint = Blueprint::default();
    for at in 0..length {
        blueprint = blueprint.node(&name(at), LIFE);
        if at > 0 {
            blueprint = blueprint.related(&name(at - 1), type_name, RELATED, RELATED);
        }
    }
    blueprint
}

fn fan_in(type_name: &str) -> Blueprint {
    let mut blueprint = Blueprint::default().node("hub", ALL);
    for at in 0..4 {
        blueprint =
            blueprint.node(&name(at), LIFE).related("hub", type_name, RELATED, &["establish"]);
    }
    blueprint
}

fn fan_out() -> Blueprint {
    let mut blueprint = Blueprint::default();
    for at in 0..4 {
        blueprint = blueprint.node(&name(at), LIFE);
    }
    blueprint = blueprint.node("hub", ALL);
    for at in 0..4 {
        blueprint = blueprint.related(&name(at), "connected_to", RELATED, RELATED);
    }
    blueprint
}

fn diamond() -> Blueprint {
    Blueprint::default()
        .node("a", LIFE)
        .node("b", LIFE)
        .related("a", "depends_on", RELATED, &[])
        .node("c", &["start"])
        .related("a", "connected_to", &[], RELATED)
        .node("d", LIFE)
        .related("b", "depends_on", RELATED, RELATED)
        .related("c", "depends_on", RELATED, RELATED)
}

fn tree() -> Blueprint {
    Blueprint::default()
        .host("vm", LIFE, "none")
        .interface("host", &["get_state"])
        .node("runtime", LIFE)
        .related("vm", "contained_in", RELATED, RELATED)
        .node("app", LIFE)
        .related("runtime", "contained_in", RELATED, RELATED)
        .node("side", &["create", "delete"])
        .related("vm", "contained_in", &["unlink"], &[])
        .related("app", "connected_to", &["establish", "unlink"], &["establish", "unlink"])
}

/// A tree, and beside it something that does not depend on it.
fn new_tree_beside() -> Blueprint {
    Blueprint::default()
        .node("host", LIFE)
        .node("app", LIFE)
        .related("host", "contained_in", RELATED, RELATED)
        .node("leaf", LIFE)
        .related("app", "connected_to", RELATED, &[])
        .node("other", LIFE)
        .node("another", LIFE)
        .related("other", "depends_on", &["establish"], &[])
}

fn twice() -> Blueprint {
    Blueprint::default()
        .node("a", LIFE)
        .node("b", LIFE)
        .related("a", "contained_in", &["establish"], &[])
        .related("a", "connected_to", &["preconfigure", "unlink"], &["establish"])
}

fn hosted(method: &str) -> Blueprint {
    Blueprint::default()
        .host("vm", ALL, method)
        .interface("host", &["get_state"])
        .interface(
            "cloudify_agent",
            &["create", "configure", "start", "stop", "stop_amqp", "delete"],
        )
        .interface("monitoring_agent", &["install", "start", "stop", "uninstall"])
        .node("app", LIFE)
        .related("vm", "contained_in", RELATED, RELATED)
}

fn lifecycle(operation: &str) -> Blueprint {
    Blueprint::default()
        .node("early", ALL)
        .node("late", LIFE)
        .related("early", "depends_on_lifecycle_operation", RELATED, RELATED)
        .relationship_property("operation", operation)
        .node("last", LIFE)
        .related("late", "depends_on", &[], &[])
}

fn several() -> Blueprint {
    Blueprint::default()
        .host("vm", LIFE, "none")
        .instances(2)
        .node("app", LIFE)
        .related("vm", "contained_in", RELATED, RELATED)
        .instances(2)
        .node("balancer", LIFE)
        .related("app", "connected_to", RELATED, RELATED)
}

fn grouped() -> Blueprint {
    Blueprint::default()
        .node("vm", LIFE)
        .node("volume", LIFE)
        .related("vm", "depends_on", RELATED, RELATED)
        .node("user", LIFE)
        .related("volume", "connected_to", RELATED, &[])
        .scaling_group("pair", &["vm", "volume"], 2)
}

/// A deployment of up to seven nodes, the same for the same seed.
fn random(seed: u64) -> Blueprint {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut dice = move |sides: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % sides
    };
    let types = ["depends_on", "connected_to", "contained_in"];
    let mut blueprint = Blueprint::default();
    for at in 0..usize::try_from(3 + dice(5)).unwrap() {
        let some = |list: &[&'static str], dice: &mut dyn FnMut(u64) -> u64| -> Vec<&'static str> {
            list.iter().copied().filter(|_| dice(3) > 0).collect()
        };
        let mut operations = some(ALL, &mut dice);
        if at == 0 && !operations.contains(&"create") {
            operations.push("create");
        }
        blueprint = blueprint.node(&name(at), &operations);
        let mut is_contained = false;
        for target in 0..at {
            if dice(3) == 0 {
                // A node is contained in one other at most.
                let kinds = if is_contained { 2 } else { 3 };
                let type_name = types[usize::try_from(dice(kinds)).unwrap()];
                is_contained |= type_name == "contained_in";
                let (source, to) = (some(RELATED, &mut dice), some(RELATED, &mut dice));
                blueprint = blueprint.related(&name(target), type_name, &source, &to);
            }
        }
    }
    blueprint
}

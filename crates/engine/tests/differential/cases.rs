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

fn execute(filter: &Value, by_dependency: bool) -> Run {
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
        execute(&json!({}), false),
        execute(&json!({}), true),
        Run::new("start", parms(true)),
        restart(true),
        restart(false),
        Run::new("reinstall", json!({})),
        uninstall(),
        install(),
        Run::new("uninstall", json!({"ignore_failure": true})),
    ]
}

/// Takes down cases.
#[derive(Default)]
struct Book(Vec<Case>);

impl Book {
    fn add(&mut self, name: &str, blueprint: Blueprint, runs: Vec<Run>) {
        let blueprint = blueprint.build();
        self.0.push(Case { name: name.to_owned(), blueprint, runs });
    }
}

pub(crate) fn shapes() -> Vec<Case> {
    let mut book = Book::default();
    let new = Blueprint::default;

    for (name, operations) in [
        ("nothing", &[][..]),
        ("only create", &["create"]),
        ("only start", &["start", "stop"]),
        ("a life", LIFE),
        ("a life with all around", ALL),
    ] {
        book.add(&format!("single: {name}"), new().node("a", operations), life());
    }
    let extras = new()
        .node("a", ALL)
        .interface("validation", &["create", "delete"])
        .interface("monitoring", &["start", "stop"]);
    book.add("single: validation and monitoring", extras, life());

    for type_name in ["depends_on", "connected_to", "contained_in"] {
        for length in 2..=5 {
            book.add(&format!("chain of {length}: {type_name}"), chain(length, type_name), life());
        }
        book.add(&format!("fan in: {type_name}"), fan_in(type_name), life());
    }
    book.add("fan out", fan_out(), life());
    book.add("diamond", diamond(), life());
    book.add(
        "diamond, two levels of operations",
        diamond().node("e", ALL).related("d", "depends_on", RELATED, &[]),
        life(),
    );
    book.add("a tree of containment", tree(), life());
    book.add("two relationships to one target", twice(), life());

    for method in ["none", "remote", "init_script", "plugin", "provided"] {
        book.add(&format!("a host: {method}"), hosted(method), life());
    }
    for operation in ["precreate", "create", "configure", "start", "stop", "delete", "poststart"] {
        book.add(&format!("waits for {operation} only"), lifecycle(operation), life());
    }
    book.add("several instances", several(), life());
    book.add("a scaling group", grouped(), life());

    book.0
}

pub(crate) fn randoms() -> Vec<Case> {
    let mut book = Book::default();
    for seed in 0..20 {
        book.add(&format!("random {seed}"), random(seed), life());
    }
    book.0
}

pub(crate) fn filters() -> Vec<Case> {
    let mut book = Book::default();
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
            execute(&filter, false),
            execute(&filter, true),
            Run::new("reinstall", filter.clone()),
            Run::new("uninstall", filter.clone()),
            uninstall(),
        ];
        book.add(&format!("filter {name}"), chain(4, "depends_on"), runs);
    }
    book.0
}

pub(crate) fn failures() -> Vec<Case> {
    use Kind::{NonRecoverable, Recoverable, Retry};
    let mut book = Book::default();
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
            book.add(&name, broken(), vec![run, install(), ignoring, uninstall()]);
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
        book.add(&format!("{operation} fails"), broken(), runs());
    }
    let stop = vec![install(), uninstall().failing("app", "stop", 1, NonRecoverable), uninstall()];
    book.add("stop fails", broken(), stop);
    book.0
}

/// A tree of which some can be looked at and some can be healed.
fn watched() -> Blueprint {
    Blueprint::default()
        .host("vm", &["create", "start", "stop", "delete", "check_drift"], "none")
        .interface("validation", &["check_status"])
        .node("runtime", &["create", "start", "preheal", "heal", "postheal", "check_drift"])
        .interface("validation", &["check_status"])
        .related("vm", "contained_in", &["establish", "unlink", "check_drift"], &["check_drift"])
        .node("app", &["create", "start", "stop", "delete", "heal"])
        .interface("validation", &["check_status"])
        .related("runtime", "contained_in", RELATED, RELATED)
        .node("user", LIFE)
        .related("app", "connected_to", &["establish", "unlink", "check_drift"], &["unlink"])
}

const STATUS: &str = "cloudify.interfaces.validation.check_status";

pub(crate) fn checks() -> Vec<Case> {
    let mut book = Book::default();
    looks(&mut book);
    heals(&mut book);
    rollbacks(&mut book);
    book.0
}

fn looks(book: &mut Book) {
    use Kind::{NonRecoverable, Recoverable};
    const DRIFT: &str = "cloudify.interfaces.lifecycle.check_drift";
    const RELATED_DRIFT: &str = "cloudify.interfaces.relationship_lifecycle.check_drift";

    let status = |parameters| Run::new("check_status", parameters);
    let drift = |parameters| Run::new("check_drift", parameters);
    book.add(
        "check_status",
        watched(),
        vec![
            install(),
            status(json!({})),
            status(json!({"run_by_dependency_order": true})),
            status(json!({"node_ids": ["app", "vm"], "run_by_dependency_order": true})),
            status(json!({})).failing("runtime", STATUS, 1, NonRecoverable),
            status(json!({})).failing("runtime", STATUS, 1, Recoverable).retrying(3),
            status(json!({"run_by_dependency_order": true})).failing(
                "vm",
                STATUS,
                1,
                NonRecoverable,
            ),
            status(json!({"ignore_failure": true})).failing("vm", STATUS, 1, NonRecoverable),
            status(json!({"ignore_failure": true, "run_by_dependency_order": true})).failing(
                "vm",
                STATUS,
                1,
                Recoverable,
            ),
            uninstall(),
        ],
    );
    book.add(
        "check_drift",
        watched(),
        vec![
            install(),
            drift(json!({})),
            drift(json!({"run_by_dependency_order": false})),
            drift(json!({"node_ids": ["runtime"]})),
            drift(json!({})).failing("vm", DRIFT, 1, NonRecoverable),
            drift(json!({})).failing("runtime", RELATED_DRIFT, 1, NonRecoverable),
            drift(json!({"ignore_failure": true})).failing("vm", DRIFT, 1, Recoverable),
            drift(json!({"ignore_failure": true})).failing("vm", RELATED_DRIFT, 1, Recoverable),
        ],
    );
}

fn heals(book: &mut Book) {
    use Kind::{NonRecoverable, Recoverable, Retry};
    let status = |parameters| Run::new("check_status", parameters);
    let heal = |parameters| Run::new("heal", parameters);
    let ill = |parameters, node| heal(parameters).failing(node, STATUS, 1, NonRecoverable);
    for (name, run) in [
        ("all are well", heal(json!({}))),
        ("one that can be healed is ill", ill(json!({}), "runtime")),
        ("one that cannot be healed is ill", ill(json!({}), "vm")),
        ("two are ill", ill(json!({}), "runtime").failing("app", STATUS, 1, NonRecoverable)),
        ("healing fails", ill(json!({}), "app").failing("app", "heal", 1, NonRecoverable)),
        (
            "preheal fails",
            ill(json!({}), "runtime").failing("runtime", "preheal", 1, NonRecoverable),
        ),
        (
            "healing is tried again",
            ill(json!({}), "app").failing("app", "heal", 1, Recoverable).retrying(2),
        ),
        (
            "healing asks for another try",
            ill(json!({}), "app").failing("app", "heal", 1, Retry).retrying(2),
        ),
        ("reinstalling is not allowed", ill(json!({"allow_reinstall": false}), "vm")),
        (
            "healing fails and reinstalling is not allowed",
            ill(json!({"allow_reinstall": false}), "app").failing("app", "heal", 1, NonRecoverable),
        ),
        ("nobody looks", heal(json!({"check_status": false}))),
        ("one instance", heal(json!({"node_instance_id": "@app:0"}))),
        ("one instance that is ill", ill(json!({"node_instance_id": "@app:0"}), "app")),
        (
            "one instance, unseen",
            heal(json!({"node_instance_id": "@app:0", "check_status": false})),
        ),
        ("one instance without a host", heal(json!({"node_instance_id": "@user:0"}))),
        ("reinstall by force", heal(json!({"force_reinstall": true}))),
        (
            "reinstall one host by force",
            heal(json!({"force_reinstall": true, "node_instance_id": "@runtime:0"})),
        ),
        ("uninstalling fails", ill(json!({}), "vm").failing("vm", "stop", 1, NonRecoverable)),
        (
            "uninstalling fails and counts",
            ill(json!({"ignore_failure": false}), "vm").failing("vm", "stop", 1, NonRecoverable),
        ),
        ("installing again fails", ill(json!({}), "vm").failing("vm", "create", 1, NonRecoverable)),
    ] {
        let runs = vec![install(), run, heal(json!({})), status(json!({})), uninstall()];
        book.add(&format!("heal: {name}"), watched(), runs);
    }
}

fn rollbacks(book: &mut Book) {
    for operation in ["create", "configure", "start"] {
        for full in [false, true] {
            let runs = vec![
                install().failing("app", operation, 1, Kind::NonRecoverable),
                Run::new("rollback", rollback(full)),
                install(),
                uninstall(),
            ];
            book.add(&format!("rollback from {operation}, full: {full}"), new_tree_beside(), runs);
        }
    }
}

fn rollback(full: bool) -> Value {
    json!({"type_names": [], "node_ids": [], "node_instance_ids": [], "full_rollback": full})
}

pub(crate) fn scales() -> Vec<Case> {
    use Kind::{NonRecoverable, Recoverable};
    let mut book = Book::default();
    let scale = |entity: &str, delta: i64| {
        let parameters = json!({
            "scalable_entity_name": entity, "delta": delta, "scale_compute": false
        });
        Run::new("scale", parameters)
    };
    let with = |mut run: Run, name: &str, value: Value| {
        run.parameters[name] = value;
        run
    };
    let ups_and_downs = |entity: &str| {
        vec![
            install(),
            scale(entity, 1),
            scale(entity, 2),
            scale(entity, 0),
            scale(entity, -1),
            scale(entity, -2),
            Run::new("reinstall", json!({})),
            scale(entity, -1),
            uninstall(),
        ]
    };
    book.add("scale a leaf", new_tree_beside(), ups_and_downs("leaf"));
    book.add("scale what others are contained in", new_tree_beside(), ups_and_downs("host"));
    book.add("scale what others depend on", new_tree_beside(), ups_and_downs("other"));
    book.add("scale several", several(), ups_and_downs("app"));
    book.add("scale a host with all in it", several(), ups_and_downs("vm"));
    book.add("scale a group", grouped(), ups_and_downs("pair"));
    let runs = vec![
        install(),
        with(scale("app", 1), "scale_compute", json!(true)),
        with(scale("app", -1), "scale_compute", json!(true)),
        uninstall(),
    ];
    book.add("scale the host of a node", several(), runs);
    let runs = vec![
        install(),
        with(scale("app", 1), "delta", json!("2")),
        with(scale("app", -1), "exclude_instances", json!(["@app:0"])),
        with(scale("app", -1), "include_instances", json!("@app:1")),
    ];
    book.add("scale with wishes", new_tree_beside(), runs);
    for operation in ["create", "configure", "start"] {
        for (ignore_failure, back) in [(false, true), (true, true), (false, false)] {
            let prepared = || {
                let run = with(scale("app", 1), "ignore_failure", json!(ignore_failure));
                with(run, "rollback_if_failed", json!(back))
            };
            let runs = vec![
                install(),
                prepared().failing("app", operation, 1, NonRecoverable),
                scale("app", 0),
                install(),
                uninstall(),
            ];
            let name = format!("scaling out fails in {operation}, {ignore_failure}, {back}");
            book.add(&name, new_tree_beside(), runs);
        }
    }
    for (ignore_failure, back) in [(false, true), (true, true), (false, false)] {
        let run = with(scale("app", -1), "ignore_failure", json!(ignore_failure));
        let run = with(run, "rollback_if_failed", json!(back));
        let runs = vec![
            install(),
            scale("app", 1),
            run.failing("app", "stop", 1, Recoverable),
            uninstall(),
        ];
        book.add(&format!("scaling in fails, {ignore_failure}, {back}"), new_tree_beside(), runs);
    }
    book.0
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

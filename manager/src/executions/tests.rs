//! Managers that are killed at every step that they store, and the ones that come after them.
//!
//! ```text
//!  base ─▶ run to the end, step by step: the undisturbed end
//!              │ at each step, a copy of the disk and of the host's memory
//!              ├─ stored, nothing of it done ──▶ a new manager ──▶ the same end
//!              └─ done, nothing of it heard ───▶ a new manager ──▶ the same end
//! ```
//!
//! A copy of the disk at a step is what `kill -9` leaves there: nothing but what was committed.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::{Utf8TempDir, tempdir, tempdir_in};
use clap::Parser as _;
use fs_err as fs;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use waggoner_blueprint::{Blueprint, NoImports, Options, parse};
use waggoner_engine::{Dispatch, Event};
use waggoner_store::{blueprint, execution::Execution};
use waggoner_types::{
    DeploymentId, Digest, ExecutionId, ExecutionStatus, TenantName, plan::InstanceState,
};
use waggoner_wire::Refused;

use self::host::{Conduct, Host, Memory, without_time};
use super::{
    Asked, Executions,
    actor::Actor,
    restore,
    start::{Draft, draft, new_id},
    update::{UpdateAsked, propose},
};
use crate::{
    Config, Manager,
    api::refused,
    catalog::deployments::{self, Attempt},
    home::Home,
};

mod host;
mod refusals;
mod rest;
mod waits;

/// Ten instances: a network, three hosts with two applications each that are connected to it.
const BLUEPRINT: &str = "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
plugins: {p: {executor: central_deployment_agent, install: false}}
node_types:
  counted:
    derived_from: cloudify.nodes.Root
    interfaces:
      cloudify.interfaces.lifecycle:
        create: p.create
        configure: p.configure
        start: p.start
        stop: p.stop
        delete: p.delete
      cloudify.interfaces.validation:
        check_status: p.check_status
relationships:
  counted_in: {derived_from: cloudify.relationships.contained_in}
  counted_to:
    derived_from: cloudify.relationships.connected_to
    source_interfaces:
      cloudify.interfaces.relationship_lifecycle: {establish: p.establish, unlink: p.unlink}
    target_interfaces:
      cloudify.interfaces.relationship_lifecycle: {establish: p.establish, unlink: p.unlink}
node_templates:
  net: {type: counted}
  host:
    type: counted
    capabilities: {scalable: {properties: {default_instances: 3}}}
  app:
    type: counted
    capabilities: {scalable: {properties: {default_instances: 2}}}
    relationships:
      - {type: counted_in, target: host}
      - {type: counted_to, target: net}
groups: {pair: {members: [host]}}
policies: {p: {type: cloudify.policies.scaling, targets: [pair], properties: {default_instances: 1}}}
";

/// A directory with a manager's data in it.
struct Disk {
    folder: Utf8TempDir,
}

/// What an execution came to.
#[derive(Debug, PartialEq)]
struct End {
    status: ExecutionStatus,
    error: Option<String>,
    instances: BTreeMap<String, (InstanceState, Value)>,
    related: BTreeMap<String, Vec<String>>,
    numbers: Value,
    runs: BTreeMap<String, u32>,
}

#[tokio::test]
async fn an_install_of_thirty_tasks_ends_the_same_wherever_the_manager_is_killed() {
    let disk = Disk::new().await;
    let steps = killed_at_every_step(&disk, "install", json!({}), fails_once).await;
    assert!(steps > 30, "{steps} steps are few");
}

#[tokio::test]
async fn an_uninstall_ends_the_same_wherever_the_manager_is_killed() {
    let disk = Disk::installed().await;
    let steps = killed_at_every_step(&disk, "uninstall", json!({}), goes_well).await;
    assert!(steps > 10, "{steps} steps are few");
}

#[tokio::test]
async fn a_heal_ends_the_same_wherever_the_manager_is_killed() {
    let disk = Disk::installed().await;
    let steps = killed_at_every_step(&disk, "heal", json!({}), one_host_is_ill).await;
    assert!(steps > 10, "{steps} steps are few");
}

#[tokio::test]
async fn scaling_out_and_in_ends_the_same_wherever_the_manager_is_killed() {
    let disk = Disk::installed().await;
    let by = |delta: i64| json!({ "scalable_entity_name": "host", "delta": delta });
    let steps = killed_at_every_step(&disk, "scale", by(1), goes_well).await;
    assert!(steps > 5, "{steps} steps are few");
    let steps = killed_at_every_step(&disk, "scale", by(-1), goes_well).await;
    assert!(steps > 5, "{steps} steps are few");
}

#[tokio::test]
async fn scaling_that_fails_is_taken_back_wherever_the_manager_is_killed() {
    let disk = Disk::installed().await;
    let given = json!({ "scalable_entity_name": "host", "delta": 1 });
    let steps = killed_at_every_step(&disk, "scale", given, nothing_starts).await;
    assert!(steps > 5, "{steps} steps are few");
}

#[tokio::test]
async fn an_update_ends_the_same_wherever_the_manager_is_killed() {
    let disk = Disk::installed().await;
    let host = Host::with(Memory::new(goes_well));
    let home = disk.manager(&host).await;
    upload(&home, "after", &changed()).await;
    let asked = UpdateAsked {
        tenant: tenant(),
        deployment: deployment(),
        blueprint: Some("after".parse().unwrap()),
        inputs: Map::new(),
        reinstall: Vec::new(),
        parameters: Map::new(),
        force: false,
        preview: false,
    };
    let (execution, draft) =
        propose(&home, new_id(), asked).await.unwrap().draft(&home).await.unwrap();
    let id = execution.id;
    let actor = stored_as(&home, execution, draft).await.unwrap();
    let steps = killed_at_every_step_of(&disk, home, host, (id, actor)).await;
    assert!(steps > 30, "{steps} steps are few");
}

/// The blueprint with a node that comes, one that goes, a relationship to what comes and one that
/// goes, and a node that is reinstalled.
fn changed() -> String {
    let text = BLUEPRINT.replace("  net: {type: counted}\n", "  lan: {type: counted}\n");
    let text = text.replace("target: net", "target: lan");
    let stop = "        stop: p.stop\n";
    assert!(text.contains(stop) && text.contains("target: lan"));
    text.replace(stop, "        stop: {implementation: p.stop, inputs: {how: {default: well}}}\n")
}

/// Every third operation fails at its first attempt.
fn fails_once(dispatch: &Dispatch) -> Option<&'static str> {
    (dispatch.retry_number == 0 && dispatch.task.0.is_multiple_of(3)).then_some("not yet")
}

fn goes_well(_: &Dispatch) -> Option<&'static str> {
    None
}

/// The status of the first host is bad until it was reinstalled.
fn one_host_is_ill(dispatch: &Dispatch) -> Option<&'static str> {
    let is_check = dispatch.operation_name.ends_with("check_status");
    (is_check && dispatch.node == "host" && dispatch.task.0 < 100).then_some("it is ill")
}

fn nothing_starts(dispatch: &Dispatch) -> Option<&'static str> {
    dispatch.operation_name.ends_with("start").then_some("it does not start")
}

/// Runs a workflow, and from each of its steps on once more with another manager. Returns how
/// many steps there were.
async fn killed_at_every_step(
    disk: &Disk,
    workflow: &str,
    parameters: Value,
    conduct: Conduct,
) -> usize {
    let host = Host::with(Memory::new(conduct));
    let home = disk.manager(&host).await;
    let asked = Asked {
        parameters: parameters.as_object().cloned().unwrap(),
        ..Asked::new(tenant(), deployment(), workflow)
    };
    let begun = stored(&home, &asked).await.unwrap();
    killed_at_every_step_of(disk, home, host, begun).await
}

/// The same, for an execution that is stored and not begun.
async fn killed_at_every_step_of(
    disk: &Disk,
    home: Arc<Home>,
    host: Host,
    (id, mut actor): (ExecutionId, Actor),
) -> usize {
    let mut points = vec![(disk.copy(), host.memory())];
    // One at a time: what shares a turn is a matter of chance.
    let mut events = VecDeque::from([Event::Started]);
    loop {
        let event = events.pop_front().expect("there is one");
        let turn = actor.decide(vec![event]);
        actor.store(turn.advance).await.unwrap();
        points.push((disk.copy(), host.memory()));
        let is_over = actor.carry_out(turn.then);
        if is_over {
            break;
        }
        if events.is_empty() {
            events.extend(actor.next().await.expect("the manager does not stop"));
        }
        // What the host has done by now is lost on the way.
        points.push((disk.copy(), host.memory()));
    }
    let undisturbed = end(&home, id, &host).await;
    assert!(undisturbed.runs.values().all(|count| *count == 1), "{undisturbed:#?}");
    drop((actor, home));

    let steps = points.len();
    for (step, (disk, memory)) in points.into_iter().enumerate() {
        let host = Host::with(memory);
        let home = disk.manager(&host).await;
        restore(&home).await.unwrap();
        home.tasks.join().await;
        let after = end(&home, id, &host).await;
        assert_eq!(after, undisturbed, "killed at step {step} of {steps}");
    }
    steps
}

/// Stores an execution, as a start does, and returns its actor before its first turn.
async fn stored(home: &Arc<Home>, asked: &Asked) -> Result<(ExecutionId, Actor), Refused> {
    let id = ExecutionId(uuid::Uuid::now_v7());
    let draft = draft(home, asked, id).await?;
    let actor = stored_as(home, asked.execution(id, ExecutionStatus::Pending), draft).await?;
    Ok((id, actor))
}

async fn stored_as(home: &Arc<Home>, execution: Execution, draft: Draft) -> Result<Actor, Refused> {
    let Draft { stage, engine, kept, reshape } = draft;
    let new =
        waggoner_store::execution::NewExecution { execution, settings: kept.to_json(), reshape };
    let execution: Execution = home.store.create_execution(new).await.map_err(refused)?;
    let none = std::collections::HashSet::new();
    Ok(Actor::new(home, stage, engine, kept.endings(), execution.priority, none))
}

async fn end(home: &Home, id: ExecutionId, host: &Host) -> End {
    let execution = home.store.execution(tenant(), id).await.unwrap();
    let instances = home.store.all_node_instances(tenant(), deployment()).await.unwrap();
    let plan = home.store.deployment_plan(tenant(), deployment()).await.unwrap();
    let related = instances.iter().map(|one| {
        let targets = one.relationships.iter().map(|to| to.target_id.clone()).collect();
        (one.id.clone(), targets)
    });
    let nodes = plan["nodes"].as_array().unwrap().iter();
    let numbers = nodes.map(|node| node["capabilities"]["scalable"]["properties"].clone());
    End {
        status: execution.status,
        error: execution.error,
        related: related.collect(),
        numbers: numbers.collect(),
        instances: instances
            .into_iter()
            .map(|one| (one.id, (one.state, without_time(Value::Object(one.system_properties)))))
            .collect(),
        runs: host.memory().runs,
    }
}

// === impl Disk ===

impl Disk {
    /// A manager's data, nothing yet.
    fn empty() -> Self {
        Self { folder: folder() }
    }

    /// A manager's data, with a deployment.
    async fn new() -> Self {
        let disk = Self::empty();
        let home = disk.manager(&Host::with(Memory::new(goes_well))).await;
        upload(&home, "b", BLUEPRINT).await;
        let (id, of) = (deployment(), "b".parse().unwrap());
        let new = deployments::plan(&home, Attempt::Create, tenant(), id, of, Map::new()).await;
        home.store.create_deployment(new.unwrap()).await.unwrap();
        disk
    }

    /// The same, installed.
    async fn installed() -> Self {
        let disk = Self::new().await;
        let home = disk.manager(&Host::with(Memory::new(goes_well))).await;
        let asked = Asked::new(tenant(), deployment(), "install");
        super::start(&home, asked).await.unwrap();
        home.tasks.join().await;
        drop(home);
        disk
    }

    fn data(&self) -> Utf8PathBuf {
        self.folder.path().join("data")
    }

    /// A manager that finds what is there; its operations run on the host.
    async fn manager(&self, host: &Host) -> Arc<Home> {
        let data = self.data();
        let config = Config::parse_from([
            "waggoner-manager",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data.as_str(),
            "--task-retries",
            "1",
            "--task-retry-interval-secs",
            "0",
        ]);
        let executions = Executions::new(Arc::new(host.clone()), 100);
        let manager = Manager::bind_with(config, executions).await.unwrap();
        Arc::clone(manager.home())
    }

    /// What is on the disk now.
    fn copy(&self) -> Self {
        let copy = Self { folder: folder() };
        copy_folder(&self.data(), &copy.data());
        copy
    }
}

async fn upload(home: &Home, id: &str, text: &str) {
    let text = Blueprint { text, location: "blueprint.yaml" };
    let plan = parse(text, &NoImports, &Options::default()).unwrap().0;
    let blueprint = blueprint::Blueprint {
        tenant: tenant(),
        id: id.parse().unwrap(),
        description: String::new(),
        main_file: "blueprint.yaml".to_owned(),
        digest: Digest([0; 32]),
        created_at: Timestamp::now(),
        plugins: Vec::new(),
    };
    home.store.create_blueprint(blueprint, plan).await.unwrap();
}

/// A temporary directory; in memory where that is possible, since each of thousands of commits
/// would wait for the disk. What is copied is what was committed, wherever it lies.
fn folder() -> Utf8TempDir {
    tempdir_in("/dev/shm").or_else(|_| tempdir()).unwrap()
}

fn copy_folder(from: &Utf8Path, to: &Utf8Path) {
    fs::create_dir_all(to).unwrap();
    for entry in from.read_dir_utf8().unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn tenant() -> TenantName {
    "default_tenant".parse().unwrap()
}

fn deployment() -> DeploymentId {
    "d".parse().unwrap()
}

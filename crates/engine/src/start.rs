//! What an execution is made from.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use waggoner_types::plan::NodeInstance;

/// All that an execution depends on, apart from the plan.
///
/// It is kept with the execution: together with the plan and the rows it gives the same task
/// graph again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The name of the workflow.
    pub workflow: String,
    /// What the user gave.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Whether parameters that the workflow does not declare are let through.
    #[serde(default)]
    pub allow_custom_parameters: bool,
    /// The instances as they were when the execution was started.
    pub instances: Vec<NodeInstance>,
    /// What was made of [`crate::Execution::modification`]. The instances have it in them.
    #[serde(default)]
    pub modification: Option<Modification>,
    /// What an `update` has to bring about. The plan and the instances have the old in them and
    /// the new.
    #[serde(default)]
    pub update: Option<Update>,
    #[serde(default)]
    pub settings: Settings,
}

/// The difference between what a deployment was and what it is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Update {
    /// Ids of instances that come.
    pub added: Vec<String>,
    /// Ids of instances that go.
    pub removed: Vec<String>,
    /// Relationships that come, between instances that stay: for source nodes their targets.
    pub extended: BTreeMap<String, BTreeSet<String>>,
    /// Relationships that go, between instances that stay: for source nodes their targets.
    pub reduced: BTreeMap<String, BTreeSet<String>>,
    /// Ids of instances whose node or relationships have changed. They are updated.
    pub changed: Vec<String>,
    /// Ids of instances that are reinstalled, whatever comes of updating them.
    pub reinstall: Vec<String>,
}

/// A deployment modification: instances that come, and instances that go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Modification {
    /// Ids of instances that are there already, uninitialized, and related to.
    pub added: Vec<String>,
    /// Ids of instances that are still there.
    pub removed: Vec<String>,
}

/// What a modification has to bring about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModificationRequest {
    /// A node, or a scaling group.
    pub entity: String,
    /// How many instances it has to have, and how many more than now that is.
    pub instances: i64,
    pub delta: i64,
    /// Instances that should rather go.
    pub removed_ids_include_hint: Vec<String>,
    /// Instances that should rather stay.
    pub removed_ids_exclude_hint: Vec<String>,
    /// Modifications that are open are to be taken back first.
    pub abort_started: bool,
}

/// The manager's settings, as they were when the execution was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How often an operation is tried again; -1: for ever. Operations may say otherwise.
    pub task_retries: i64,
    /// How long to wait before trying again. Operations may say otherwise.
    pub task_retry_interval: SignedDuration,
    /// How often the whole life of an instance is tried again; -1: for ever.
    pub subgraph_retries: i64,
    /// How many operations may be out at a time.
    pub max_in_flight: usize,
    /// How long after the first failure operations that do not depend on it are still started.
    pub wait_after_fail: SignedDuration,
    /// How long a killed execution waits for its operations to be gone.
    pub kill_grace: SignedDuration,
    /// Tell what would be done, do nothing.
    pub dry_run: bool,
}

// === impl Start ===

impl Start {
    /// A start with the default settings and no parameters.
    pub fn new(workflow: impl Into<String>, instances: Vec<NodeInstance>) -> Self {
        Self {
            workflow: workflow.into(),
            parameters: Map::new(),
            allow_custom_parameters: false,
            instances,
            modification: None,
            update: None,
            settings: Settings::default(),
        }
    }
}

// === impl Settings ===

impl Default for Settings {
    /// What a Cloudify manager is installed with; the limits of operations are ours.
    fn default() -> Self {
        Self {
            task_retries: 60,
            task_retry_interval: SignedDuration::from_secs(15),
            subgraph_retries: 0,
            max_in_flight: 256,
            wait_after_fail: SignedDuration::from_secs(600),
            // An agent gives a process 5 s between TERM and KILL; the rest is for the way.
            kill_grace: SignedDuration::from_secs(15),
            dry_run: false,
        }
    }
}

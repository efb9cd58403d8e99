//! The deployment plan: a blueprint with its inputs filled in, in the shape `dsl_parser` writes.
//!
//! A plan is read from JSON that a parser wrote, so reading is tolerant: unknown keys are
//! skipped and `null` stands for "not given". What the fields mean is `dsl_parser`'s word.

#![expect(clippy::struct_field_names, reason = "the keys are the plan's")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod instance;
mod read;

pub use instance::{InstanceRelationship, InstanceState, NodeInstance, ScalingGroupInstance};

/// A whole deployment plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    #[serde(default, deserialize_with = "read::or_default")]
    pub nodes: Vec<Node>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub node_instances: Vec<NodeInstance>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub workflows: BTreeMap<String, Workflow>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub scaling_groups: BTreeMap<String, ScalingGroup>,
}

/// A node template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub id: String,
    #[serde(rename = "type", default, deserialize_with = "read::or_default")]
    pub type_: String,
    /// The type and all it derives from, the root first.
    #[serde(default, deserialize_with = "read::or_default")]
    pub type_hierarchy: Vec<String>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub properties: Map<String, Value>,
    /// By full name (`cloudify.interfaces.lifecycle.create`), and by short name where it is unique.
    #[serde(default, deserialize_with = "read::or_default")]
    pub operations: BTreeMap<String, Operation>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub relationships: Vec<Relationship>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub plugins: Vec<Plugin>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub plugins_to_install: Vec<Plugin>,
    /// The node this one is, directly or not, contained in and that is a host; itself for a host.
    #[serde(default)]
    pub host_id: Option<String>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub capabilities: Capabilities,
}

/// What a node can do apart from its interfaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capabilities {
    #[serde(default, deserialize_with = "read::or_default")]
    pub scalable: Scalable,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scalable {
    #[serde(default, deserialize_with = "read::or_default")]
    pub properties: ScalableProperties,
}

/// How many instances there are and may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScalableProperties {
    pub min_instances: i64,
    /// -1: no limit.
    pub max_instances: i64,
    pub default_instances: i64,
    pub current_instances: i64,
    pub planned_instances: i64,
}

/// A named set of nodes that are scaled together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScalingGroup {
    #[serde(default, deserialize_with = "read::or_default")]
    pub members: Vec<String>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub properties: ScalableProperties,
}

/// An operation of an interface, as a node or one side of a relationship implements it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// The key of the plugin in the blueprint's `plugins` section.
    #[serde(default, deserialize_with = "read::or_default")]
    pub plugin: String,
    /// What the plugin runs (`package.module.function`). Empty: the operation does nothing.
    #[serde(default, deserialize_with = "read::or_default")]
    pub operation: String,
    #[serde(default, deserialize_with = "read::or_default")]
    pub inputs: Map<String, Value>,
    #[serde(default)]
    pub executor: Option<Executor>,
    /// -1: for ever. Not given: the manager's setting.
    #[serde(default)]
    pub max_retries: Option<i64>,
    /// In seconds. Not given: the manager's setting.
    #[serde(default)]
    pub retry_interval: Option<f64>,
    /// In seconds. Not given: none.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// Whether an operation that was too slow is tried again.
    #[serde(default)]
    pub timeout_recoverable: Option<bool>,
    /// Whether the inputs have to be evaluated before the operation is sent.
    #[serde(default, deserialize_with = "read::or_default")]
    pub has_intrinsic_functions: bool,
}

/// Which agent runs an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    /// The agent on the manager's own host.
    CentralDeploymentAgent,
    /// The agent of the host that contains the node.
    HostAgent,
    /// The host's agent where there is a host, else the manager's.
    Auto,
}

/// A relationship of a node to another node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Relationship {
    /// The id of the target node.
    pub target_id: String,
    #[serde(rename = "type", default, deserialize_with = "read::or_default")]
    pub type_: String,
    #[serde(default, deserialize_with = "read::or_default")]
    pub type_hierarchy: Vec<String>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub properties: Map<String, Value>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub source_operations: BTreeMap<String, Operation>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub target_operations: BTreeMap<String, Operation>,
}

/// A plugin as a node uses it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plugin {
    /// The key of the plugin in the blueprint's `plugins` section.
    pub name: String,
    #[serde(default)]
    pub package_name: Option<String>,
    #[serde(default)]
    pub package_version: Option<String>,
    #[serde(default)]
    pub executor: Option<Executor>,
    #[serde(default)]
    pub source: Option<String>,
    #[serde(default)]
    pub install: Option<bool>,
    #[serde(default)]
    pub install_arguments: Option<String>,
    #[serde(default)]
    pub supported_platform: Option<String>,
    #[serde(default)]
    pub distribution: Option<String>,
    #[serde(default)]
    pub distribution_version: Option<String>,
    #[serde(default)]
    pub distribution_release: Option<String>,
    #[serde(default, deserialize_with = "read::or_default")]
    pub properties: Map<String, Value>,
}

/// A workflow that a blueprint offers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    #[serde(default, deserialize_with = "read::or_default")]
    pub plugin: String,
    /// What runs it (`cloudify.plugins.workflows.install`).
    #[serde(default, deserialize_with = "read::or_default")]
    pub operation: String,
    #[serde(default, deserialize_with = "read::or_default")]
    pub parameters: BTreeMap<String, Parameter>,
}

/// A parameter that a workflow declares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// `Some(null)` is a default, `None` is none.
    #[serde(default, deserialize_with = "read::present", skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    #[serde(rename = "type", default)]
    pub type_: Option<String>,
    /// Whether a value must be given where there is no default.
    #[serde(default)]
    pub required: Option<bool>,
}

// === impl Node ===

impl Node {
    /// Says whether the node is of a type, or of one derived from it.
    pub fn is_a(&self, type_name: &str) -> bool {
        self.type_hierarchy.iter().any(|name| name == type_name)
    }

    /// Returns an operation that does something.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.get(name).filter(|operation| !operation.is_empty())
    }
}

// === impl ScalableProperties ===

impl Default for ScalableProperties {
    fn default() -> Self {
        Self {
            min_instances: 0,
            max_instances: -1,
            default_instances: 1,
            current_instances: 1,
            planned_instances: 1,
        }
    }
}

// === impl Operation ===

impl Operation {
    /// Says whether the operation is declared but not implemented.
    pub fn is_empty(&self) -> bool {
        self.operation.is_empty()
    }
}

// === impl Relationship ===

impl Relationship {
    /// Says whether the relationship is of a type, or of one derived from it.
    pub fn is_a(&self, type_name: &str) -> bool {
        self.type_hierarchy.iter().any(|name| name == type_name)
    }
}

#[cfg(test)]
mod tests;

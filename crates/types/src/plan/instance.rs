//! Node instances: what a deployment is made of.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::read;

/// One instance of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Read")]
pub struct NodeInstance {
    pub id: String,
    pub node_id: String,
    pub host_id: Option<String>,
    pub relationships: Vec<InstanceRelationship>,
    pub state: InstanceState,
    pub index: Option<i64>,
    pub scaling_groups: Vec<ScalingGroupInstance>,
    /// What workflows note about the instance: status, drift.
    pub system_properties: Map<String, Value>,
}

/// A relationship of an instance to another instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceRelationship {
    /// The id of the target instance.
    pub target_id: String,
    /// The id of the target's node.
    #[serde(default, deserialize_with = "read::or_default")]
    pub target_name: String,
    #[serde(rename = "type", default, deserialize_with = "read::or_default")]
    pub type_: String,
}

/// The instance of a scaling group that a node instance belongs to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScalingGroupInstance {
    pub id: String,
    #[serde(default, deserialize_with = "read::or_default")]
    pub name: String,
}

/// Where an instance is in its life (`cloudify/plugins/lifecycle.py` sets these).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    #[default]
    Uninitialized,
    Initializing,
    Creating,
    Created,
    Configuring,
    Configured,
    Starting,
    Started,
    Stopping,
    Stopped,
    Deleting,
    Deleted,
}

/// `dsl_parser` calls the node of an instance `name`, the REST API `node_id`; some write both.
#[derive(Deserialize)]
struct Read {
    id: String,
    #[serde(default)]
    node_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    host_id: Option<String>,
    #[serde(default, deserialize_with = "read::or_default")]
    relationships: Vec<InstanceRelationship>,
    #[serde(default, deserialize_with = "read::or_default")]
    state: InstanceState,
    #[serde(default)]
    index: Option<i64>,
    #[serde(default, deserialize_with = "read::or_default")]
    scaling_groups: Vec<ScalingGroupInstance>,
    #[serde(default, deserialize_with = "read::or_default")]
    system_properties: Map<String, Value>,
}

// === impl NodeInstance ===

impl From<Read> for NodeInstance {
    fn from(read: Read) -> Self {
        Self {
            id: read.id,
            node_id: read.node_id.or(read.name).unwrap_or_default(),
            host_id: read.host_id,
            relationships: read.relationships,
            state: read.state,
            index: read.index,
            scaling_groups: read.scaling_groups,
            system_properties: read.system_properties,
        }
    }
}

// === impl InstanceState ===

impl InstanceState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uninitialized => "uninitialized",
            Self::Initializing => "initializing",
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Configuring => "configuring",
            Self::Configured => "configured",
            Self::Starting => "starting",
            Self::Started => "started",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

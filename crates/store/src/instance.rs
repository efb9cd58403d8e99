//! Node instances, and the optimistic version of their runtime properties.

use rusqlite::{Connection, Row, params, params_from_iter};
use serde_json::{Map, Value};
use waggoner_types::{
    DeploymentId, TenantName,
    plan::{InstanceRelationship, InstanceState, ScalingGroupInstance},
};

use crate::{
    Error, Kind, Page, PageRequest, Store, Thing,
    column::{Columns as _, OrExists as _, all, enough, json_text, one, run},
    error::Stop,
    filter::{Filtered, text},
};

/// A node instance.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeInstance {
    pub tenant: TenantName,
    pub deployment_id: DeploymentId,
    /// Its id, unique in the tenant.
    pub id: String,
    pub node_id: String,
    /// The node instance of the host it lives on.
    pub host_id: Option<String>,
    /// Its place among the node's instances, from 1.
    pub index: u32,
    pub state: InstanceState,
    /// Grows with each real change of its runtime properties; 1 at first.
    pub version: i64,
    pub runtime_properties: Map<String, Value>,
    /// What workflows note about it: status, drift.
    pub system_properties: Map<String, Value>,
    pub relationships: Vec<InstanceRelationship>,
    pub scaling_groups: Vec<ScalingGroupInstance>,
}

/// A change of a node instance, asked for by somebody who read it at a version.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceUpdate {
    pub tenant: TenantName,
    pub id: String,
    /// The version that was read.
    pub version: i64,
    /// Whether it is done although the properties changed since.
    pub force: bool,
    /// All runtime properties. Absent leaves them.
    pub runtime_properties: Option<Map<String, Value>>,
    /// Absent leaves it. A new state does not change the version.
    pub state: Option<InstanceState>,
    /// All system properties. Absent leaves them. They do not change the version.
    pub system_properties: Option<Map<String, Value>>,
}

/// Why a node instance was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    #[error(
        "the node instance `{}` changed since it was read: it is at version {} and the update was \
         made from version {sent}{}; read it again and repeat the change",
        stored.id, stored.version, differing(keys)
    )]
    Conflict {
        stored: Box<NodeInstance>,
        sent: i64,
        /// The runtime properties that are not as the update would have them.
        keys: Vec<String>,
    },
    #[error(transparent)]
    Store(#[from] Error),
}

/// Unconditional changes of a node instance, by the workflow itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceChange {
    pub id: String,
    /// Absent leaves it.
    pub state: Option<InstanceState>,
    /// All runtime properties. Absent leaves them.
    pub runtime_properties: Option<Map<String, Value>>,
    /// System properties to put in the place of those of the same names; `null` takes one away.
    pub system_properties: Option<Map<String, Value>>,
}

/// The columns that may be long.
const HEAVY: &[&str] = &["runtime_properties", "system_properties", "relationships"];

// === impl Store ===

impl Store {
    /// Returns a node instance.
    pub async fn node_instance(
        &self,
        tenant: TenantName,
        id: String,
    ) -> Result<NodeInstance, Error> {
        self.read("read the node instance", move |connection| require(connection, &tenant, &id))
            .await
    }

    /// Lists node instances, of one deployment or one node if asked, by deployment, node and index.
    /// A page ends early where their properties are long.
    pub async fn node_instances(
        &self,
        tenant: TenantName,
        deployment_id: Option<DeploymentId>,
        node_id: Option<String>,
        page: &PageRequest,
    ) -> Result<Page<NodeInstance>, Error> {
        let cut = page.cut("node instances", ["", "", "0", ""])?;
        let place: i64 = cut.after[2].parse().map_err(|_| Error::InvalidPageToken)?;
        self.read("list node instances", move |connection| {
            let [deployment, node, _, id] = cut.after.each_ref().map(text);
            let (query, key) =
                Filtered::new("SELECT * FROM node_instances WHERE tenant = ?", [text(&tenant)])
                    .and_if("deployment = ?", deployment_id.as_ref())
                    .and_if("node = ?", node_id.as_ref())
                    .and_with(
                        "(deployment, node, place, id) > (?, ?, ?, ?)",
                        [deployment, node, place.into(), id],
                    )
                    .ordered("deployment, node, place, id", cut.limit());
            let rows = enough(connection, &query, params_from_iter(key), HEAVY, node_instance)?;
            Ok(cut.page(rows, |instance| {
                let deployment = instance.deployment_id.to_string();
                let index = instance.index.to_string();
                [deployment, instance.node_id.clone(), index, instance.id.clone()]
            }))
        })
        .await
    }

    /// Returns all node instances of a deployment, by node and index.
    pub async fn all_node_instances(
        &self,
        tenant: TenantName,
        deployment_id: DeploymentId,
    ) -> Result<Vec<NodeInstance>, Error> {
        self.read("read the deployment's node instances", move |connection| {
            let query = "SELECT * FROM node_instances WHERE tenant = ?1 AND deployment = ?2
                         ORDER BY node, place, id";
            let key = params![tenant.as_str(), deployment_id.as_str()];
            Ok(all(connection, query, key, node_instance)?)
        })
        .await
    }

    /// Changes a node instance by Cloudify's optimistic rule: refused if, and only if, the stored
    /// version is greater than the one that was read and the update is not forced
    /// (cloudify-manager, `rest/resources_v1/nodes.py`). Returns the node instance as it is now.
    ///
    /// The version grows by one when runtime properties really change. Unlike Cloudify's it does
    /// not grow with the state, so that a workflow that moves the state makes no reader stale.
    pub async fn update_node_instance(
        &self,
        update: InstanceUpdate,
    ) -> Result<NodeInstance, UpdateError> {
        self.write("change the node instance", move |tx| judge(tx, update)).await?
    }
}

/// Changes a node instance, or says what is in the way.
pub(crate) fn judge(
    connection: &Connection,
    update: InstanceUpdate,
) -> Result<Result<NodeInstance, UpdateError>, Stop> {
    let stored = require(connection, &update.tenant, &update.id)?;
    if is_stale(&stored, &update) {
        let keys = keys_that_differ(&stored.runtime_properties, update.runtime_properties.as_ref());
        let (stored, sent) = (Box::new(stored), update.version);
        return Ok(Err(UpdateError::Conflict { stored, sent, keys }));
    }
    let after = updated(stored.clone(), update);
    put(connection, &stored, &after)?;
    Ok(Ok(after))
}

/// Adds a node instance.
pub(crate) fn insert(connection: &Connection, instance: &NodeInstance) -> Result<(), Stop> {
    run(
        connection,
        "INSERT INTO node_instances
            (tenant, id, deployment, node, place, host, state, version, runtime_properties,
             system_properties, relationships, scaling_groups)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            instance.tenant.as_str(),
            instance.id,
            instance.deployment_id.as_str(),
            instance.node_id,
            instance.index,
            instance.host_id,
            instance.state.as_str(),
            instance.version,
            json_text(&instance.runtime_properties),
            json_text(&instance.system_properties),
            json_text(&instance.relationships),
            json_text(&instance.scaling_groups),
        ],
    )
    .or_exists(|| Thing::of(&instance.tenant, Kind::NodeInstance, &instance.id))?;
    Ok(())
}

/// Changes a node instance, whatever its version.
pub(crate) fn apply(
    connection: &Connection,
    tenant: &TenantName,
    change: InstanceChange,
) -> Result<(), Stop> {
    let stored = require(connection, tenant, &change.id)?;
    let after = changed(stored.clone(), change);
    Ok(put(connection, &stored, &after)?)
}

/// The names under which an update has something else, or nothing, or something more.
fn keys_that_differ(stored: &Map<String, Value>, sent: Option<&Map<String, Value>>) -> Vec<String> {
    let Some(sent) = sent else { return Vec::new() };
    let names = stored.keys().chain(sent.keys().filter(|name| !stored.contains_key(*name)));
    names.filter(|name| stored.get(*name) != sent.get(*name)).cloned().collect()
}

/// Where an update and what is stored differ, for the middle of a sentence.
fn differing(keys: &[String]) -> String {
    /// As many as a sentence bears.
    const MOST: usize = 5;
    let mut quoted: Vec<String> = keys.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    match keys.len() {
        0 => return String::new(),
        count if count > MOST => quoted.push(format!("{} more", count - MOST)),
        _ => {}
    }
    format!("; they differ in {}", quoted.join(", "))
}

/// Writes what has changed.
fn put(
    connection: &Connection,
    before: &NodeInstance,
    after: &NodeInstance,
) -> rusqlite::Result<()> {
    if after == before {
        return Ok(());
    }
    let statement = "UPDATE node_instances
         SET state = ?3, version = ?4, runtime_properties = ?5, system_properties = ?6
         WHERE tenant = ?1 AND id = ?2";
    let values = params![
        after.tenant.as_str(),
        after.id,
        after.state.as_str(),
        after.version,
        json_text(&after.runtime_properties),
        json_text(&after.system_properties),
    ];
    run(connection, statement, values).map(drop)
}

fn require(connection: &Connection, tenant: &TenantName, id: &str) -> Result<NodeInstance, Stop> {
    let query = "SELECT * FROM node_instances WHERE tenant = ?1 AND id = ?2";
    one(connection, query, params![tenant.as_str(), id], node_instance)?
        .ok_or_else(|| Stop::missing(Thing::of(tenant, Kind::NodeInstance, id)))
}

fn is_stale(stored: &NodeInstance, update: &InstanceUpdate) -> bool {
    stored.version > update.version && !update.force
}

fn updated(stored: NodeInstance, update: InstanceUpdate) -> NodeInstance {
    let after = with_properties(stored, update.runtime_properties);
    NodeInstance {
        state: update.state.unwrap_or(after.state),
        system_properties: update.system_properties.unwrap_or(after.system_properties),
        ..after
    }
}

fn changed(stored: NodeInstance, change: InstanceChange) -> NodeInstance {
    let mut after = with_properties(stored, change.runtime_properties);
    for (name, value) in change.system_properties.into_iter().flatten() {
        if value.is_null() {
            after.system_properties.remove(&name);
        } else {
            after.system_properties.insert(name, value);
        }
    }
    NodeInstance { state: change.state.unwrap_or(after.state), ..after }
}

/// Counts the version up if the properties really change.
fn with_properties(stored: NodeInstance, properties: Option<Map<String, Value>>) -> NodeInstance {
    match properties {
        Some(runtime_properties) if runtime_properties != stored.runtime_properties => {
            NodeInstance { version: stored.version + 1, runtime_properties, ..stored }
        }
        _ => stored,
    }
}

fn node_instance(row: &Row<'_>) -> rusqlite::Result<NodeInstance> {
    Ok(NodeInstance {
        tenant: row.text("tenant")?,
        deployment_id: row.text("deployment")?,
        id: row.get("id")?,
        node_id: row.get("node")?,
        host_id: row.get("host")?,
        index: row.get("place")?,
        state: row.word("state")?,
        version: row.get("version")?,
        runtime_properties: row.json("runtime_properties")?,
        system_properties: row.json("system_properties")?,
        relationships: row.json("relationships")?,
        scaling_groups: row.json("scaling_groups")?,
    })
}

#[cfg(test)]
mod tests;

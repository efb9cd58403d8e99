//! Changes of what a deployment is made of: by scaling it, and by updating it.
//!
//! An execution that reshapes a deployment does so twice: what comes is there when it starts, and
//! what goes is gone when it has ended well. In between the deployment has both in it.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use waggoner_types::{
    BlueprintId, DeploymentId, ExecutionId, TenantName, plan::InstanceRelationship,
};

use crate::{
    Error, Store,
    column::{Columns as _, json_text, one, run},
    deployment,
    error::Stop,
    instance::{self, NodeInstance},
};

/// A change of what a deployment is made of. All of it is stored, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reshape {
    /// Ids of node instances that go.
    pub remove: Vec<String>,
    /// Node instances that come, of the same tenant and deployment. Not kept with a reshape that
    /// is kept itself.
    #[serde(skip)]
    pub add: Vec<NodeInstance>,
    /// All relationships of a node instance, by its id, where they change.
    pub relate: BTreeMap<String, Vec<InstanceRelationship>>,
    /// Absent leaves the plan.
    pub plan: Option<NewPlan>,
    /// Whether the same execution has to finish this, or take it back.
    pub is_open: bool,
}

/// What a deployment is to be from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewPlan {
    pub blueprint_id: BlueprintId,
    /// Its inputs, a JSON object.
    pub inputs: Value,
    /// The names of its workflows.
    pub workflows: Vec<String>,
    /// Its plan, a JSON object.
    pub plan: Value,
}

/// Which shape a deployment is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Grows with each change of it; 1 at first.
    pub revision: i64,
    /// The execution whose change is neither finished nor taken back.
    pub reshaped_by: Option<ExecutionId>,
}

// === impl Store ===

impl Store {
    /// Returns which shape a deployment is in.
    pub async fn deployment_shape(
        &self,
        tenant: TenantName,
        id: DeploymentId,
    ) -> Result<Shape, Error> {
        self.read("read the deployment's shape", move |connection| shape(connection, &tenant, &id))
            .await
    }
}

/// Returns which shape a deployment is in.
pub(crate) fn shape(
    connection: &Connection,
    tenant: &TenantName,
    id: &DeploymentId,
) -> Result<Shape, Stop> {
    let query = "SELECT revision, reshaped_by FROM deployments WHERE tenant = ?1 AND id = ?2";
    let found = one(connection, query, params![tenant.as_str(), id.as_str()], |row| {
        Ok(Shape { revision: row.get("revision")?, reshaped_by: row.maybe_text("reshaped_by")? })
    })?;
    found.ok_or_else(|| deployment::missing(tenant, id))
}

/// Changes a deployment, for an execution. Returns its revision then.
pub(crate) fn apply(
    connection: &Connection,
    tenant: &TenantName,
    id: &DeploymentId,
    execution: ExecutionId,
    reshape: &Reshape,
) -> Result<i64, Stop> {
    for gone in &reshape.remove {
        let statement = "DELETE FROM node_instances WHERE tenant = ?1 AND id = ?2";
        run(connection, statement, params![tenant.as_str(), gone])?;
    }
    for new in &reshape.add {
        instance::insert(connection, new)?;
    }
    for (related, relationships) in &reshape.relate {
        let statement =
            "UPDATE node_instances SET relationships = ?3 WHERE tenant = ?1 AND id = ?2";
        run(connection, statement, params![tenant.as_str(), related, json_text(relationships)])?;
    }
    if let Some(plan) = &reshape.plan {
        let statement = "UPDATE deployments SET blueprint = ?3, inputs = ?4, workflows = ?5,
                             plan = ?6 WHERE tenant = ?1 AND id = ?2";
        let values = params![
            tenant.as_str(),
            id.as_str(),
            plan.blueprint_id.as_str(),
            json_text(&plan.inputs),
            json_text(&plan.workflows),
            json_text(&plan.plan),
        ];
        run(connection, statement, values)?;
    }
    let open = reshape.is_open.then(|| execution.to_string());
    let statement = "UPDATE deployments SET revision = revision + 1, reshaped_by = ?3
                     WHERE tenant = ?1 AND id = ?2";
    run(connection, statement, params![tenant.as_str(), id.as_str(), open])?;
    Ok(shape(connection, tenant, id)?.revision)
}

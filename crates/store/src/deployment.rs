//! Deployments: blueprints with inputs, and the node instances they are made of.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params, params_from_iter};
use serde_json::Value;
use waggoner_types::{BlueprintId, DeploymentId, TenantName};

use crate::{
    Deletion, Error, Kind, Page, PageRequest, Store, Thing, Users, blueprint,
    column::{Columns as _, OrExists as _, all, enough, first, json_text, micros, one, run},
    dependency,
    error::Stop,
    filter::{Filtered, text},
    instance::{self, NodeInstance},
    label::{self, Labelled},
    site::{self, DeploymentNote},
    tenant,
};

/// A deployment, without its plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    pub tenant: TenantName,
    pub id: DeploymentId,
    pub blueprint_id: BlueprintId,
    pub created_at: Timestamp,
    /// Its inputs, a JSON object.
    pub inputs: Value,
    /// The names of its workflows.
    pub workflows: Vec<String>,
    /// How many node instances it has.
    pub node_instances: u32,
    /// How many of them are started.
    pub node_instances_started: u32,
}

/// A deployment to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDeployment {
    pub tenant: TenantName,
    pub id: DeploymentId,
    pub blueprint_id: BlueprintId,
    pub created_at: Timestamp,
    /// Its inputs, a JSON object.
    pub inputs: Value,
    /// The names of its workflows.
    pub workflows: Vec<String>,
    /// Its plan: the blueprint's with the inputs filled in, a JSON object.
    pub plan: Value,
    /// Its node instances, all of this tenant and deployment.
    pub instances: Vec<NodeInstance>,
}

/// What is noted beside a deployment that is created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Labels, keys and values, beside those of its plan.
    pub labels: Vec<(String, String)>,
    pub note: DeploymentNote,
}

const SELECT: &str = "SELECT d.tenant, d.id, d.blueprint, d.created_at, d.inputs, d.workflows,
        (SELECT count(*) FROM node_instances n
          WHERE n.tenant = d.tenant AND n.deployment = d.id) AS instances,
        (SELECT count(*) FROM node_instances n
          WHERE n.tenant = d.tenant AND n.deployment = d.id AND n.state = 'started') AS started
    FROM deployments d";

// === impl Store ===

impl Store {
    /// Creates a deployment with its node instances.
    pub async fn create_deployment(&self, new: NewDeployment) -> Result<(), Error> {
        self.create_noted_deployment(new, Noted::default()).await
    }

    /// The same, with what is noted beside it.
    pub async fn create_noted_deployment(
        &self,
        new: NewDeployment,
        noted: Noted,
    ) -> Result<(), Error> {
        self.write("store the deployment", move |tx| create(tx, &new, &noted)).await
    }

    /// Returns a deployment.
    pub async fn deployment(
        &self,
        tenant: TenantName,
        id: DeploymentId,
    ) -> Result<Deployment, Error> {
        self.read("read the deployment", move |connection| {
            let query = format!("{SELECT} WHERE d.tenant = ?1 AND d.id = ?2");
            one(connection, &query, params![tenant.as_str(), id.as_str()], deployment)?
                .ok_or_else(|| missing(&tenant, &id))
        })
        .await
    }

    /// Returns a deployment's plan.
    pub async fn deployment_plan(
        &self,
        tenant: TenantName,
        id: DeploymentId,
    ) -> Result<Value, Error> {
        self.read("read the deployment's plan", move |connection| {
            let query = "SELECT plan FROM deployments WHERE tenant = ?1 AND id = ?2";
            let key = params![tenant.as_str(), id.as_str()];
            one(connection, query, key, |row| row.json("plan"))?
                .ok_or_else(|| missing(&tenant, &id))
        })
        .await
    }

    /// Lists a tenant's deployments, or those of one blueprint, by id.
    pub async fn deployments(
        &self,
        tenant: TenantName,
        blueprint_id: Option<BlueprintId>,
        page: &PageRequest,
    ) -> Result<Page<Deployment>, Error> {
        let cut = page.cut("deployments", [""])?;
        self.read("list deployments", move |connection| {
            let (query, key) =
                Filtered::new(&format!("{SELECT} WHERE d.tenant = ?"), [text(&tenant)])
                    .and_if("d.blueprint = ?", blueprint_id.as_ref())
                    .and_with("d.id > ?", cut.after.each_ref().map(text))
                    .ordered("d.id", cut.limit());
            let rows = enough(connection, &query, params_from_iter(key), &["inputs"], deployment)?;
            Ok(cut.page(rows, |deployment| [deployment.id.to_string()]))
        })
        .await
    }

    /// Deletes a deployment with its node instances, executions and events.
    ///
    /// Refused while an execution has not ended, and, unless forced, while other deployments depend
    /// on it or node instances live: while their state is neither uninitialized nor deleted.
    pub async fn delete_deployment(
        &self,
        tenant: TenantName,
        id: DeploymentId,
        deletion: Deletion,
    ) -> Result<(), Error> {
        self.write("delete the deployment", move |tx| delete(tx, &tenant, &id, deletion)).await
    }
}

/// Creates a deployment with what is noted beside it.
pub(crate) fn create(
    connection: &Connection,
    new: &NewDeployment,
    noted: &Noted,
) -> Result<(), Stop> {
    let NewDeployment { tenant, id, created_at, .. } = new;
    tenant::require(connection, tenant)?;
    insert(connection, new)?;
    let of = Labelled::Deployment(id.clone());
    label::insert_all(connection, tenant, &of, &noted.labels, *created_at)?;
    if noted.note == DeploymentNote::default() {
        return Ok(());
    }
    site::put_note(connection, tenant, id, &noted.note)
}

/// Deletes a deployment, as [`Store::delete_deployment`] says.
pub(crate) fn delete(
    connection: &Connection,
    tenant: &TenantName,
    id: &DeploymentId,
    deletion: Deletion,
) -> Result<(), Stop> {
    require(connection, tenant, id)?;
    let key = params![tenant.as_str(), id.as_str()];
    let thing = || Thing::of(tenant, Kind::Deployment, id);

    let query = "SELECT id FROM executions
         WHERE tenant = ?1 AND deployment = ?2 AND ended_at IS NULL ORDER BY id";
    Users::refuse(thing, Kind::Execution, all(connection, query, key, first)?)?;
    if deletion == Deletion::IfUnused {
        let dependents = dependency::dependents(connection, tenant, id)?;
        Users::refuse(thing, Kind::Deployment, dependents)?;
        let query = "SELECT id FROM node_instances WHERE tenant = ?1 AND deployment = ?2
             AND state NOT IN ('uninitialized', 'deleted') ORDER BY id";
        Users::refuse(thing, Kind::NodeInstance, all(connection, query, key, first)?)?;
    }
    label::forget(connection, tenant, &Labelled::Deployment(id.clone()))?;
    dependency::release(connection, tenant, id)?;
    run(connection, "DELETE FROM events WHERE tenant = ?1 AND deployment = ?2", key)?;
    run(connection, "DELETE FROM deployments WHERE tenant = ?1 AND id = ?2", key)?;
    Ok(())
}

/// Refuses what is meant for a deployment that is not there.
pub(crate) fn require(
    connection: &Connection,
    tenant: &TenantName,
    id: &DeploymentId,
) -> Result<(), Stop> {
    let query = "SELECT 1 FROM deployments WHERE tenant = ?1 AND id = ?2";
    let key = params![tenant.as_str(), id.as_str()];
    match one(connection, query, key, first::<i64>)? {
        Some(_) => Ok(()),
        None => Err(missing(tenant, id)),
    }
}

pub(crate) fn missing(tenant: &TenantName, id: &DeploymentId) -> Stop {
    Stop::missing(Thing::of(tenant, Kind::Deployment, id))
}

fn insert(connection: &Connection, new: &NewDeployment) -> Result<(), Stop> {
    let query = "SELECT 1 FROM blueprints WHERE tenant = ?1 AND id = ?2";
    let key = params![new.tenant.as_str(), new.blueprint_id.as_str()];
    if one(connection, query, key, first::<i64>)?.is_none() {
        return Err(blueprint::missing(&new.tenant, &new.blueprint_id));
    }
    run(
        connection,
        "INSERT INTO deployments (tenant, id, blueprint, created_at, inputs, workflows, plan)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            new.tenant.as_str(),
            new.id.as_str(),
            new.blueprint_id.as_str(),
            micros(new.created_at),
            json_text(&new.inputs),
            json_text(&new.workflows),
            json_text(&new.plan),
        ],
    )
    .or_exists(|| Thing::of(&new.tenant, Kind::Deployment, &new.id))?;
    let of = Labelled::Deployment(new.id.clone());
    label::insert_planned(connection, &new.tenant, &of, &new.plan["labels"], new.created_at)?;
    new.instances.iter().try_for_each(|instance| instance::insert(connection, instance))
}

fn deployment(row: &Row<'_>) -> rusqlite::Result<Deployment> {
    Ok(Deployment {
        tenant: row.text("tenant")?,
        id: row.text("id")?,
        blueprint_id: row.text("blueprint")?,
        created_at: row.time("created_at")?,
        inputs: row.json("inputs")?,
        workflows: row.json("workflows")?,
        node_instances: row.get("instances")?,
        node_instances_started: row.get("started")?,
    })
}

//! Groups of deployments.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde_json::Value;
use waggoner_types::{BlueprintId, DeploymentId, TenantName};

use crate::{
    Deletion, Error, Kind, Store, Thing,
    column::{Columns as _, all, first, json_text, micros, one, run},
    deployment::{self, NewDeployment, Noted},
    error::Stop,
    tenant,
    writer::Tx,
};

/// A group of deployments, and what further ones are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub tenant: TenantName,
    pub id: String,
    pub description: Option<String>,
    /// The blueprint of further deployments.
    pub blueprint: Option<BlueprintId>,
    /// The inputs of further deployments, a JSON object.
    pub inputs: Value,
    /// The labels of further deployments: a JSON array of objects with `key` and `value`.
    pub labels: Value,
    pub created_at: Timestamp,
    /// Its deployments by id. [`Store::change_group`] does not look at them.
    pub deployments: Vec<DeploymentId>,
}

/// What becomes of a group, in this order. All of it is stored, or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupChange {
    /// Stored over one of the same id, whose deployments and time stay. Absent leaves it.
    pub group: Option<Group>,
    /// All of its deployments. Absent leaves them.
    pub set: Option<Vec<DeploymentId>>,
    pub remove: Vec<DeploymentId>,
    pub add: Vec<DeploymentId>,
    /// Deployments that are created and added.
    pub create: Vec<(NewDeployment, Noted)>,
}

// === impl Store ===

impl Store {
    /// Changes a group, or stores a new one. Returns the group.
    pub async fn change_group(
        &self,
        tenant: TenantName,
        id: String,
        change: GroupChange,
    ) -> Result<Group, Error> {
        self.write("change the group", move |tx| {
            let GroupChange { group, set, remove, add, create } = change;
            if let Some(group) = group {
                put(tx, &group)?;
            }
            require(tx, &tenant, &id)?;
            if let Some(deployments) = set {
                let statement = "DELETE FROM deployment_group_members
                                 WHERE tenant = ?1 AND deployment_group = ?2";
                run(tx, statement, params![tenant.as_str(), id])?;
                join(tx, &tenant, &id, &deployments)?;
            }
            for deployment in remove {
                let statement = "DELETE FROM deployment_group_members
                     WHERE tenant = ?1 AND deployment_group = ?2 AND deployment = ?3";
                run(tx, statement, params![tenant.as_str(), id, deployment.as_str()])?;
            }
            join(tx, &tenant, &id, &add)?;
            for (new, noted) in create {
                deployment::create(tx, &new, &noted)?;
                join(tx, &tenant, &id, &[new.id])?;
            }
            require(tx, &tenant, &id)
        })
        .await
    }

    /// Returns a group.
    pub async fn group(&self, tenant: TenantName, id: String) -> Result<Group, Error> {
        self.read("read the group", move |connection| require(connection, &tenant, &id)).await
    }

    /// Returns all groups of a tenant by id.
    pub async fn groups(&self, tenant: TenantName) -> Result<Vec<Group>, Error> {
        self.read("list groups", move |connection| {
            let query = "SELECT * FROM deployment_groups WHERE tenant = ?1 ORDER BY id";
            let mut groups = all(connection, query, [tenant.as_str()], group)?;
            let query = "SELECT deployment_group, deployment FROM deployment_group_members
                         WHERE tenant = ?1 ORDER BY deployment_group, deployment";
            let members = all(connection, query, [tenant.as_str()], |row| {
                Ok((row.get("deployment_group")?, row.text("deployment")?))
            })?;
            for (of, deployment) in members {
                let of: String = of;
                if let Ok(at) = groups.binary_search_by(|group| group.id.cmp(&of)) {
                    groups[at].deployments.push(deployment);
                }
            }
            Ok(groups)
        })
        .await
    }

    /// Returns the ids of the groups that a deployment is in.
    pub async fn groups_of(
        &self,
        tenant: TenantName,
        id: DeploymentId,
    ) -> Result<Vec<String>, Error> {
        self.read("read the deployment's groups", move |connection| {
            let query = "SELECT deployment_group FROM deployment_group_members
                         WHERE tenant = ?1 AND deployment = ?2 ORDER BY deployment_group";
            Ok(all(connection, query, params![tenant.as_str(), id.as_str()], first)?)
        })
        .await
    }

    /// Deletes a group, and its deployments where `deployments` says how.
    pub async fn delete_group(
        &self,
        tenant: TenantName,
        id: String,
        deployments: Option<Deletion>,
    ) -> Result<(), Error> {
        self.write("delete the group", move |tx| {
            let group = require(tx, &tenant, &id)?;
            if let Some(deletion) = deployments {
                for deployment in &group.deployments {
                    deployment::delete(tx, &tenant, deployment, deletion)?;
                }
            }
            let statement = "DELETE FROM deployment_groups WHERE tenant = ?1 AND id = ?2";
            run(tx, statement, params![tenant.as_str(), id])?;
            Ok(())
        })
        .await
    }
}

fn put(tx: &Tx<'_>, group: &Group) -> Result<(), Stop> {
    tenant::require(tx, &group.tenant)?;
    run(
        tx,
        "INSERT INTO deployment_groups
             (tenant, id, description, blueprint, inputs, labels, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET description = excluded.description,
             blueprint = excluded.blueprint, inputs = excluded.inputs, labels = excluded.labels",
        params![
            group.tenant.as_str(),
            group.id,
            group.description,
            group.blueprint.as_ref().map(BlueprintId::as_str),
            json_text(&group.inputs),
            json_text(&group.labels),
            micros(group.created_at),
        ],
    )?;
    Ok(())
}

fn join(
    tx: &Tx<'_>,
    tenant: &TenantName,
    id: &str,
    deployments: &[DeploymentId],
) -> Result<(), Stop> {
    for deployment in deployments {
        deployment::require(tx, tenant, deployment)?;
        let statement = "INSERT OR IGNORE INTO deployment_group_members
                             (tenant, deployment, deployment_group) VALUES (?1, ?2, ?3)";
        run(tx, statement, params![tenant.as_str(), deployment.as_str(), id])?;
    }
    Ok(())
}

fn require(connection: &Connection, tenant: &TenantName, id: &str) -> Result<Group, Stop> {
    let query = "SELECT * FROM deployment_groups WHERE tenant = ?1 AND id = ?2";
    let found = one(connection, query, params![tenant.as_str(), id], group)?;
    let found = found.ok_or_else(|| Stop::missing(Thing::of(tenant, Kind::DeploymentGroup, id)))?;
    Ok(with_members(connection, found)?)
}

fn with_members(connection: &Connection, group: Group) -> rusqlite::Result<Group> {
    let query = "SELECT deployment FROM deployment_group_members
                 WHERE tenant = ?1 AND deployment_group = ?2 ORDER BY deployment";
    let key = params![group.tenant.as_str(), group.id];
    let deployments = all(connection, query, key, |row| row.text("deployment"))?;
    Ok(Group { deployments, ..group })
}

fn group(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        tenant: row.text("tenant")?,
        id: row.get("id")?,
        description: row.get("description")?,
        blueprint: row.maybe_text("blueprint")?,
        inputs: row.json("inputs")?,
        labels: row.json("labels")?,
        created_at: row.time("created_at")?,
        deployments: Vec::new(),
    })
}

//! Groups of deployments.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde_json::Value;
use waggoner_types::{BlueprintId, DeploymentId, TenantName};

use crate::{
    Error, Kind, Store, Thing,
    column::{Columns as _, all, json_text, micros, one, run},
    deployment,
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
    /// Its deployments by id. [`Store::put_group`] does not look at them.
    pub deployments: Vec<DeploymentId>,
}

/// What becomes of a group's deployments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    Set(Vec<DeploymentId>),
    Add(Vec<DeploymentId>),
    Remove(Vec<DeploymentId>),
}

// === impl Store ===

impl Store {
    /// Stores a group, over one of the same id, whose deployments and time stay. Returns it.
    pub async fn put_group(&self, group: Group) -> Result<Group, Error> {
        self.write("store the group", move |tx| {
            tenant::require(tx, &group.tenant)?;
            run(
                tx,
                "INSERT INTO deployment_groups
                     (tenant, id, description, blueprint, inputs, labels, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO UPDATE SET description = excluded.description,
                     blueprint = excluded.blueprint, inputs = excluded.inputs,
                     labels = excluded.labels",
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
            require(tx, &group.tenant, &group.id)
        })
        .await
    }

    /// Changes which deployments a group has. Returns the group.
    pub async fn change_group(
        &self,
        tenant: TenantName,
        id: String,
        members: Members,
    ) -> Result<Group, Error> {
        self.write("change the group", move |tx| {
            require(tx, &tenant, &id)?;
            match &members {
                Members::Set(deployments) => {
                    let statement = "DELETE FROM deployment_group_members
                                     WHERE tenant = ?1 AND deployment_group = ?2";
                    run(tx, statement, params![tenant.as_str(), id])?;
                    add(tx, &tenant, &id, deployments)?;
                }
                Members::Add(deployments) => add(tx, &tenant, &id, deployments)?,
                Members::Remove(deployments) => {
                    for deployment in deployments {
                        let statement = "DELETE FROM deployment_group_members
                             WHERE tenant = ?1 AND deployment_group = ?2 AND deployment = ?3";
                        run(tx, statement, params![tenant.as_str(), id, deployment.as_str()])?;
                    }
                }
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
            let groups = all(connection, query, [tenant.as_str()], group)?;
            let whole = groups.into_iter().map(|group| with_members(connection, group));
            Ok(whole.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Deletes a group, and none of its deployments.
    pub async fn delete_group(&self, tenant: TenantName, id: String) -> Result<(), Error> {
        self.write("delete the group", move |tx| {
            require(tx, &tenant, &id)?;
            let statement = "DELETE FROM deployment_groups WHERE tenant = ?1 AND id = ?2";
            run(tx, statement, params![tenant.as_str(), id])?;
            Ok(())
        })
        .await
    }
}

fn add(
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

//! Which deployments depend on which, as plugins note it.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde_json::Value;
use uuid::Uuid;
use waggoner_types::{DeploymentId, TenantName};

use crate::{
    Error, Kind, Store, Thing,
    column::{Columns as _, all, json_text, micros, one, run},
    deployment,
    error::Stop,
    verdict::{self, Asked},
};

/// A deployment's dependency on another one. A creator notes one of a deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    pub id: Uuid,
    pub tenant: TenantName,
    /// Who or what depends: `component.db_x1y2z3`.
    pub creator: String,
    pub source: DeploymentId,
    /// Absent for one of another manager, and for one that is not known yet.
    pub target: Option<DeploymentId>,
    /// The function that says which deployment it is.
    pub target_function: Option<Value>,
    pub external_source: Option<Value>,
    pub external_target: Option<Value>,
    pub created_at: Timestamp,
}

// === impl Store ===

impl Store {
    /// Stores dependencies, each over the one that its creator noted of the same deployment: that
    /// one's id and time stay. `replaces` is the deployment that has no others then. `tell` makes
    /// the verdict of them, which is stored with them and is the same however often it is asked.
    /// Returns the first verdict.
    pub async fn put_dependencies(
        &self,
        asked: Option<Asked>,
        tenant: TenantName,
        replaces: Option<DeploymentId>,
        dependencies: Vec<Dependency>,
        tell: impl FnOnce(&[Dependency]) -> Value + Send + 'static,
    ) -> Result<Value, Error> {
        self.write("store the deployment's dependencies", move |tx| {
            verdict::decide_once(tx, asked.as_ref(), || {
                if let Some(source) = replaces {
                    deployment::require(tx, &tenant, &source)?;
                    let statement = "DELETE FROM dependencies WHERE tenant = ?1 AND source = ?2";
                    run(tx, statement, params![tenant.as_str(), source.as_str()])?;
                }
                let stored = dependencies.iter().map(|dependency| put(tx, dependency));
                Ok(tell(&stored.collect::<Result<Vec<_>, Stop>>()?))
            })
        })
        .await
    }

    /// Returns all dependencies of a tenant's deployments, oldest first.
    pub async fn dependencies(&self, tenant: TenantName) -> Result<Vec<Dependency>, Error> {
        self.read("list dependencies", move |connection| {
            let query = "SELECT * FROM dependencies WHERE tenant = ?1 ORDER BY created_at, id";
            Ok(all(connection, query, [tenant.as_str()], dependency)?)
        })
        .await
    }

    /// Deletes the dependency that a creator noted of a deployment.
    pub async fn delete_dependency(
        &self,
        tenant: TenantName,
        source: DeploymentId,
        creator: String,
    ) -> Result<(), Error> {
        self.write("delete the dependency", move |tx| {
            let found = require(tx, &tenant, &source, &creator)?;
            run(tx, "DELETE FROM dependencies WHERE id = ?1", [found.id.to_string()])?;
            Ok(())
        })
        .await
    }
}

fn put(connection: &Connection, dependency: &Dependency) -> Result<Dependency, Stop> {
    let Dependency { tenant, creator, source, .. } = dependency;
    deployment::require(connection, tenant, source)?;
    if let Some(target) = &dependency.target {
        deployment::require(connection, tenant, target)?;
    }
    let optional = |value: &Option<Value>| value.as_ref().map(json_text);
    run(
        connection,
        "INSERT INTO dependencies (id, tenant, creator, source, target, target_function,
                     external_source, external_target, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (tenant, source, creator) DO UPDATE SET target = excluded.target,
                     target_function = excluded.target_function,
                     external_source = excluded.external_source,
                     external_target = excluded.external_target",
        params![
            dependency.id.to_string(),
            tenant.as_str(),
            creator,
            source.as_str(),
            dependency.target.as_ref().map(DeploymentId::as_str),
            optional(&dependency.target_function),
            optional(&dependency.external_source),
            optional(&dependency.external_target),
            micros(dependency.created_at),
        ],
    )?;
    require(connection, tenant, source, creator)
}

/// Returns the other deployments that depend on one.
pub(crate) fn dependents(
    connection: &Connection,
    tenant: &TenantName,
    target: &DeploymentId,
) -> rusqlite::Result<Vec<String>> {
    let query = "SELECT DISTINCT source FROM dependencies
                 WHERE tenant = ?1 AND target = ?2 AND source <> ?2 ORDER BY source";
    all(connection, query, params![tenant.as_str(), target.as_str()], |row| row.get(0))
}

/// Lets dependencies on a deployment that is deleted name none.
pub(crate) fn release(
    connection: &Connection,
    tenant: &TenantName,
    target: &DeploymentId,
) -> rusqlite::Result<()> {
    let statement = "UPDATE dependencies SET target = NULL WHERE tenant = ?1 AND target = ?2";
    run(connection, statement, params![tenant.as_str(), target.as_str()]).map(drop)
}

fn require(
    connection: &Connection,
    tenant: &TenantName,
    source: &DeploymentId,
    creator: &str,
) -> Result<Dependency, Stop> {
    let query = "SELECT * FROM dependencies WHERE tenant = ?1 AND source = ?2 AND creator = ?3";
    one(connection, query, params![tenant.as_str(), source.as_str(), creator], dependency)?
        .ok_or_else(|| Stop::missing(Thing::of(tenant, Kind::Dependency, creator)))
}

fn dependency(row: &Row<'_>) -> rusqlite::Result<Dependency> {
    Ok(Dependency {
        id: row.text("id")?,
        tenant: row.text("tenant")?,
        creator: row.get("creator")?,
        source: row.text("source")?,
        target: row.maybe_text("target")?,
        target_function: row.maybe_json("target_function")?,
        external_source: row.maybe_json("external_source")?,
        external_target: row.maybe_json("external_target")?,
        created_at: row.time("created_at")?,
    })
}

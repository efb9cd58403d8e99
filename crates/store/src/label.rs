//! Labels of deployments and blueprints.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde_json::Value;
use waggoner_types::{BlueprintId, DeploymentId, TenantName};

use crate::{
    Error, Store, blueprint,
    column::{Columns as _, all, first, micros, one, run},
    deployment,
    error::Stop,
};

/// A label. A thing may have several of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// In lower case.
    pub key: String,
    pub value: String,
    pub created_at: Timestamp,
}

/// What has labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labelled {
    Deployment(DeploymentId),
    Blueprint(BlueprintId),
}

// === impl Labelled ===

impl Labelled {
    fn kind(&self) -> &'static str {
        match self {
            Self::Deployment(_) => "deployment",
            Self::Blueprint(_) => "blueprint",
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Deployment(id) => id.as_str(),
            Self::Blueprint(id) => id.as_str(),
        }
    }

    fn require(&self, connection: &Connection, tenant: &TenantName) -> Result<(), Stop> {
        match self {
            Self::Deployment(id) => deployment::require(connection, tenant, id),
            Self::Blueprint(id) => {
                let query = "SELECT 1 FROM blueprints WHERE tenant = ?1 AND id = ?2";
                let key = params![tenant.as_str(), id.as_str()];
                match one(connection, query, key, first::<i64>)? {
                    Some(_) => Ok(()),
                    None => Err(blueprint::missing(tenant, id)),
                }
            }
        }
    }
}

// === impl Store ===

impl Store {
    /// Returns the labels of a thing by key and value; none of what is not there.
    pub async fn labels(&self, tenant: TenantName, of: Labelled) -> Result<Vec<Label>, Error> {
        self.read("read labels", move |connection| Ok(read(connection, &tenant, &of)?)).await
    }

    /// Lets a thing have these labels, keys and values, and no others. Those that it had keep
    /// their time. Returns them as they are then.
    pub async fn set_labels(
        &self,
        tenant: TenantName,
        of: Labelled,
        labels: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<Vec<Label>, Error> {
        self.write("store labels", move |tx| {
            of.require(tx, &tenant)?;
            set(tx, &tenant, &of, labels, now)?;
            Ok(read(tx, &tenant, &of)?)
        })
        .await
    }
}

/// Lets a thing that is there have these labels, and no others.
pub(crate) fn set(
    connection: &Connection,
    tenant: &TenantName,
    of: &Labelled,
    labels: Vec<(String, String)>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let wanted: Vec<(String, String)> =
        labels.into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect();
    for Label { key, value, .. } in read(connection, tenant, of)? {
        if !wanted.iter().any(|(name, text)| *name == key && *text == value) {
            let statement = "DELETE FROM labels WHERE tenant = ?1 AND kind = ?2
                             AND owner = ?3 AND key = ?4 AND value = ?5";
            let values = params![tenant.as_str(), of.kind(), of.id(), key, value];
            run(connection, statement, values)?;
        }
    }
    for (key, value) in &wanted {
        insert(connection, tenant, of, key, value, now)?;
    }
    Ok(())
}

/// Adds the labels that a plan gives: an object of keys, each with a list of `values`.
pub(crate) fn insert_planned(
    connection: &Connection,
    tenant: &TenantName,
    of: &Labelled,
    planned: &Value,
    now: Timestamp,
) -> rusqlite::Result<()> {
    for (key, label) in planned.as_object().into_iter().flatten() {
        // What is no text is a function, which nobody has evaluated.
        let values = label["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for value in values {
            insert(connection, tenant, of, &key.to_lowercase(), value, now)?;
        }
    }
    Ok(())
}

/// Forgets the labels of what is deleted.
pub(crate) fn forget(
    connection: &Connection,
    tenant: &TenantName,
    of: &Labelled,
) -> rusqlite::Result<()> {
    let statement = "DELETE FROM labels WHERE tenant = ?1 AND kind = ?2 AND owner = ?3";
    run(connection, statement, params![tenant.as_str(), of.kind(), of.id()]).map(drop)
}

/// Adds labels, keys and values.
pub(crate) fn insert_all(
    connection: &Connection,
    tenant: &TenantName,
    of: &Labelled,
    labels: &[(String, String)],
    now: Timestamp,
) -> rusqlite::Result<()> {
    labels.iter().try_for_each(|(key, value)| {
        insert(connection, tenant, of, &key.to_lowercase(), value, now)
    })
}

fn insert(
    connection: &Connection,
    tenant: &TenantName,
    of: &Labelled,
    key: &str,
    value: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let statement = "INSERT OR IGNORE INTO labels (tenant, kind, owner, key, value, created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = params![tenant.as_str(), of.kind(), of.id(), key, value, micros(now)];
    run(connection, statement, values).map(drop)
}

fn read(
    connection: &Connection,
    tenant: &TenantName,
    of: &Labelled,
) -> rusqlite::Result<Vec<Label>> {
    let query = "SELECT key, value, created_at FROM labels
                 WHERE tenant = ?1 AND kind = ?2 AND owner = ?3 ORDER BY key, value";
    all(connection, query, params![tenant.as_str(), of.kind(), of.id()], label)
}

fn label(row: &Row<'_>) -> rusqlite::Result<Label> {
    Ok(Label {
        key: row.get("key")?,
        value: row.get("value")?,
        created_at: row.time("created_at")?,
    })
}

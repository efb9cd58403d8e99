//! Tenants: what belongs to one is invisible to the others.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use waggoner_types::TenantName;

use crate::{
    Error, Kind, Page, PageRequest, Store, Thing, Users,
    column::{Columns as _, OrExists as _, all, first, micros, one, run},
    error::Stop,
};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub name: TenantName,
    pub created_at: Timestamp,
}

/// What keeps a tenant from being deleted, and how to find it by name.
const CONTENTS: [(Kind, &str); 6] = [
    (Kind::Deployment, "SELECT id FROM deployments WHERE tenant = ?1 ORDER BY id"),
    (Kind::Blueprint, "SELECT id FROM blueprints WHERE tenant = ?1 ORDER BY id"),
    (Kind::Plugin, "SELECT package_name FROM plugins WHERE tenant = ?1 ORDER BY package_name"),
    (Kind::Agent, "SELECT name FROM agents WHERE tenant = ?1 ORDER BY name"),
    (Kind::Secret, "SELECT key FROM secrets WHERE tenant = ?1 ORDER BY key"),
    (Kind::ApiToken, "SELECT id FROM api_tokens WHERE tenant = ?1 ORDER BY id"),
];

// === impl Store ===

impl Store {
    /// Creates a tenant.
    pub async fn create_tenant(&self, name: TenantName, now: Timestamp) -> Result<Tenant, Error> {
        self.write("create the tenant", move |tx| {
            run(
                tx,
                "INSERT INTO tenants (name, created_at) VALUES (?1, ?2)",
                params![name.as_str(), micros(now)],
            )
            .or_exists(|| Thing::new(Kind::Tenant, &name))?;
            Ok(Tenant { name, created_at: now })
        })
        .await
    }

    /// Returns a tenant.
    pub async fn tenant(&self, name: TenantName) -> Result<Tenant, Error> {
        self.read("read the tenant", move |connection| {
            one(connection, "SELECT * FROM tenants WHERE name = ?1", [name.as_str()], tenant)?
                .ok_or_else(|| Stop::missing(Thing::new(Kind::Tenant, &name)))
        })
        .await
    }

    /// Lists tenants by name.
    pub async fn tenants(&self, page: &PageRequest) -> Result<Page<Tenant>, Error> {
        let cut = page.cut("tenants", [""])?;
        self.read("list tenants", move |connection| {
            let query = "SELECT * FROM tenants WHERE name > ?1 ORDER BY name LIMIT ?2";
            let rows = all(connection, query, params![cut.after[0], cut.limit()], tenant)?;
            Ok(cut.page(rows, |tenant| [tenant.name.to_string()]))
        })
        .await
    }

    /// Deletes an empty tenant. Its join tokens go with it; anything else is in the way.
    pub async fn delete_tenant(&self, name: TenantName) -> Result<(), Error> {
        self.write("delete the tenant", move |tx| {
            require(tx, &name)?;
            for (kind, query) in CONTENTS {
                let names = all(tx, query, [name.as_str()], first)?;
                Users::refuse(|| Thing::new(Kind::Tenant, &name), kind, names)?;
            }
            run(tx, "DELETE FROM events WHERE tenant = ?1", [name.as_str()])?;
            run(tx, "DELETE FROM tenants WHERE name = ?1", [name.as_str()])?;
            Ok(())
        })
        .await
    }
}

/// Refuses what is meant for a tenant that is not there.
pub(crate) fn require(connection: &Connection, name: &TenantName) -> Result<(), Stop> {
    let found: Option<i64> =
        one(connection, "SELECT 1 FROM tenants WHERE name = ?1", [name.as_str()], first)?;
    match found {
        Some(_) => Ok(()),
        None => Err(Stop::missing(Thing::new(Kind::Tenant, name))),
    }
}

fn tenant(row: &Row<'_>) -> rusqlite::Result<Tenant> {
    Ok(Tenant { name: row.text("name")?, created_at: row.time("created_at")? })
}

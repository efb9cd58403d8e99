//! Blueprints: what there is to be deployed. Their archives are artifacts.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde_json::Value;
use waggoner_types::{BlueprintId, Digest, PluginId, TenantName};

use crate::{
    Error, Kind, Page, PageRequest, Store, Thing, Users,
    column::{Columns as _, OrExists as _, all, first, json_text, micros, one, run},
    error::Stop,
    label::{self, Labelled},
    plugin, tenant,
};

/// A blueprint, without its plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blueprint {
    pub tenant: TenantName,
    pub id: BlueprintId,
    pub description: String,
    /// The path of its main file in the archive.
    pub main_file: String,
    /// The digest of its archive.
    pub digest: Digest,
    pub created_at: Timestamp,
    /// The plugins that it uses.
    pub plugins: Vec<PluginId>,
}

// === impl Store ===

impl Store {
    /// Stores a blueprint with its plan, a JSON object. Each plugin it uses has to be there.
    pub async fn create_blueprint(&self, blueprint: Blueprint, plan: Value) -> Result<(), Error> {
        self.create_labelled_blueprint(blueprint, plan, Vec::new()).await
    }

    /// The same, with labels beside those of its plan.
    pub async fn create_labelled_blueprint(
        &self,
        blueprint: Blueprint,
        plan: Value,
        labels: Vec<(String, String)>,
    ) -> Result<(), Error> {
        self.write("store the blueprint", move |tx| {
            let Blueprint { tenant, id, created_at, .. } = &blueprint;
            tenant::require(tx, tenant)?;
            insert(tx, &blueprint, &plan)?;
            let of = Labelled::Blueprint(id.clone());
            Ok(label::insert_all(tx, tenant, &of, &labels, *created_at)?)
        })
        .await
    }

    /// Returns a blueprint.
    pub async fn blueprint(&self, tenant: TenantName, id: BlueprintId) -> Result<Blueprint, Error> {
        self.read("read the blueprint", move |connection| {
            let query = "SELECT * FROM blueprints WHERE tenant = ?1 AND id = ?2";
            let found = one(connection, query, params![tenant.as_str(), id.as_str()], blueprint)?;
            let mut blueprint = found.ok_or_else(|| missing(&tenant, &id))?;
            blueprint.plugins = plugins(connection, &blueprint)?;
            Ok(blueprint)
        })
        .await
    }

    /// Returns a blueprint's plan.
    pub async fn blueprint_plan(
        &self,
        tenant: TenantName,
        id: BlueprintId,
    ) -> Result<Value, Error> {
        self.read("read the blueprint's plan", move |connection| {
            let query = "SELECT plan FROM blueprints WHERE tenant = ?1 AND id = ?2";
            let key = params![tenant.as_str(), id.as_str()];
            one(connection, query, key, |row| row.json("plan"))?
                .ok_or_else(|| missing(&tenant, &id))
        })
        .await
    }

    /// Lists a tenant's blueprints by id.
    pub async fn blueprints(
        &self,
        tenant: TenantName,
        page: &PageRequest,
    ) -> Result<Page<Blueprint>, Error> {
        let cut = page.cut("blueprints", [""])?;
        self.read("list blueprints", move |connection| {
            let query = "SELECT tenant, id, description, main_file, digest, created_at
                         FROM blueprints WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
            let key = params![tenant.as_str(), cut.after[0], cut.limit()];
            let mut blueprints = all(connection, query, key, blueprint)?;
            for blueprint in &mut blueprints {
                blueprint.plugins = plugins(connection, blueprint)?;
            }
            Ok(cut.page(blueprints, |blueprint| [blueprint.id.to_string()]))
        })
        .await
    }

    /// Deletes a blueprint. Refused while deployments use it. Its archive goes with the next sweep.
    pub async fn delete_blueprint(&self, tenant: TenantName, id: BlueprintId) -> Result<(), Error> {
        self.write("delete the blueprint", move |tx| {
            let key = params![tenant.as_str(), id.as_str()];
            let query =
                "SELECT id FROM deployments WHERE tenant = ?1 AND blueprint = ?2 ORDER BY id";
            let users = all(tx, query, key, first)?;
            Users::refuse(|| Thing::of(&tenant, Kind::Blueprint, &id), Kind::Deployment, users)?;
            label::forget(tx, &tenant, &Labelled::Blueprint(id.clone()))?;
            match run(tx, "DELETE FROM blueprints WHERE tenant = ?1 AND id = ?2", key)? {
                0 => Err(missing(&tenant, &id)),
                _ => Ok(()),
            }
        })
        .await
    }
}

pub(crate) fn missing(tenant: &TenantName, id: &BlueprintId) -> Stop {
    Stop::missing(Thing::of(tenant, Kind::Blueprint, id))
}

fn insert(connection: &Connection, blueprint: &Blueprint, plan: &Value) -> Result<(), Stop> {
    let (tenant, id) = (&blueprint.tenant, &blueprint.id);
    run(
        connection,
        "INSERT INTO blueprints (tenant, id, description, main_file, digest, created_at, plan)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            tenant.as_str(),
            id.as_str(),
            blueprint.description,
            blueprint.main_file,
            blueprint.digest.0,
            micros(blueprint.created_at),
            json_text(plan),
        ],
    )
    .or_exists(|| Thing::of(tenant, Kind::Blueprint, id))?;
    for plugin in &blueprint.plugins {
        let text = plugin.to_string();
        let query = "SELECT 1 FROM plugins WHERE tenant = ?1 AND id = ?2";
        let found: Option<i64> = one(connection, query, params![tenant.as_str(), text], first)?;
        if found.is_none() {
            return Err(plugin::missing(tenant, *plugin));
        }
        let statement = "INSERT OR IGNORE INTO blueprint_plugins (tenant, blueprint, plugin)
                         VALUES (?1, ?2, ?3)";
        run(connection, statement, params![tenant.as_str(), id.as_str(), text])?;
    }
    let (of, labels) = (Labelled::Blueprint(id.clone()), &plan["blueprint_labels"]);
    Ok(label::insert_planned(connection, tenant, &of, labels, blueprint.created_at)?)
}

fn plugins(connection: &Connection, blueprint: &Blueprint) -> rusqlite::Result<Vec<PluginId>> {
    let query = "SELECT plugin FROM blueprint_plugins WHERE tenant = ?1 AND blueprint = ?2
                 ORDER BY plugin";
    let key = params![blueprint.tenant.as_str(), blueprint.id.as_str()];
    all(connection, query, key, |row| row.text("plugin"))
}

/// Reads a row, without the plugins of the other table.
fn blueprint(row: &Row<'_>) -> rusqlite::Result<Blueprint> {
    Ok(Blueprint {
        tenant: row.text("tenant")?,
        id: row.text("id")?,
        description: row.get("description")?,
        main_file: row.get("main_file")?,
        digest: row.digest("digest")?,
        created_at: row.time("created_at")?,
        plugins: Vec::new(),
    })
}

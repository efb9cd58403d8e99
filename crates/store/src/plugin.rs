//! Plugins: wagons with their plugin.yaml files. The wagons themselves are artifacts.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params, params_from_iter};
use waggoner_types::{Digest, PluginId, TenantName};

use crate::{
    Deletion, Error, Kind, Page, PageRequest, Store, Thing, Users,
    column::{Columns as _, OrExists as _, all, first, json_text, micros, one, run, signed},
    error::Stop,
    filter::{Filtered, text},
    tenant,
};

/// A plugin. One package, version, platform and distribution exists once in a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    pub id: PluginId,
    pub tenant: TenantName,
    /// The title for people.
    pub title: String,
    pub package_name: String,
    /// By PEP 440; compared as text here.
    pub package_version: String,
    /// The platform the wheels were built for: any, `linux_x86_64`.
    pub supported_platform: String,
    /// The distribution the wagon was built on; empty for any.
    pub distribution: String,
    pub distribution_version: String,
    pub distribution_release: String,
    /// As tags: py311.
    pub supported_python_versions: Vec<String>,
    /// The file names of the wheels.
    pub wheels: Vec<String>,
    /// The wagon's own file name.
    pub archive_name: String,
    /// The wagon's digest.
    pub digest: Digest,
    /// The wagon's size in bytes.
    pub size: u64,
    pub uploaded_at: Timestamp,
    pub yamls: Vec<PluginYaml>,
}

/// A plugin.yaml file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginYaml {
    pub name: String,
    /// Its text; empty in lists.
    pub text: String,
}

// === impl Store ===

impl Store {
    /// Stores a plugin.
    pub async fn create_plugin(&self, plugin: Plugin) -> Result<(), Error> {
        self.write("store the plugin", move |tx| {
            tenant::require(tx, &plugin.tenant)?;
            insert(tx, &plugin)
        })
        .await
    }

    /// Returns a plugin with its plugin.yaml files.
    pub async fn plugin(&self, tenant: TenantName, id: PluginId) -> Result<Plugin, Error> {
        self.read("read the plugin", move |connection| {
            find(connection, &tenant, id)?.ok_or_else(|| missing(&tenant, id))
        })
        .await
    }

    /// Lists a tenant's plugins, or those of one package, by package name and version, without the
    /// texts of their plugin.yaml files.
    pub async fn plugins(
        &self,
        tenant: TenantName,
        package_name: Option<String>,
        page: &PageRequest,
    ) -> Result<Page<Plugin>, Error> {
        let cut = page.cut("plugins", ["", "", ""])?;
        self.read("list plugins", move |connection| {
            let (query, key) =
                Filtered::new("SELECT * FROM plugins WHERE tenant = ?", [text(&tenant)])
                    .and_if("package_name = ?", package_name.as_ref())
                    .and_with(
                        "(package_name, package_version, id) > (?, ?, ?)",
                        cut.after.each_ref().map(text),
                    )
                    .ordered("package_name, package_version, id", cut.limit());
            let mut plugins = all(connection, &query, params_from_iter(key), plugin)?;
            for plugin in &mut plugins {
                let query = "SELECT name, '' AS text FROM plugin_yamls WHERE plugin = ?1
                             ORDER BY position";
                plugin.yamls = all(connection, query, [plugin.id.to_string()], yaml)?;
            }
            Ok(cut.page(plugins, |plugin| {
                [plugin.package_name.clone(), plugin.package_version.clone(), plugin.id.to_string()]
            }))
        })
        .await
    }

    /// Returns every version and platform of a package, with plugin.yaml files, for the caller to
    /// choose from.
    pub async fn plugin_candidates(
        &self,
        tenant: TenantName,
        package_name: String,
    ) -> Result<Vec<Plugin>, Error> {
        self.read("look for plugins", move |connection| {
            let query = "SELECT * FROM plugins WHERE tenant = ?1 AND package_name = ?2
                         ORDER BY package_version, id";
            let mut plugins =
                all(connection, query, params![tenant.as_str(), package_name], plugin)?;
            for plugin in &mut plugins {
                plugin.yamls = yamls(connection, plugin.id)?;
            }
            Ok(plugins)
        })
        .await
    }

    /// Deletes a plugin. Refused while blueprints use it, unless forced. Returns what it was; its
    /// wagon goes with the next sweep.
    pub async fn delete_plugin(
        &self,
        tenant: TenantName,
        id: PluginId,
        deletion: Deletion,
    ) -> Result<Plugin, Error> {
        self.write("delete the plugin", move |tx| {
            let plugin = find(tx, &tenant, id)?.ok_or_else(|| missing(&tenant, id))?;
            if deletion == Deletion::IfUnused {
                let query =
                    "SELECT blueprint FROM blueprint_plugins WHERE plugin = ?1 ORDER BY blueprint";
                let users = all(tx, query, [id.to_string()], first)?;
                let name = format!("{} {}", plugin.package_name, plugin.package_version);
                Users::refuse(|| Thing::of(&tenant, Kind::Plugin, name), Kind::Blueprint, users)?;
            }
            run(tx, "DELETE FROM plugins WHERE id = ?1", [id.to_string()])?;
            Ok(plugin)
        })
        .await
    }
}

pub(crate) fn missing(tenant: &TenantName, id: PluginId) -> Stop {
    Stop::missing(Thing::of(tenant, Kind::Plugin, id))
}

fn insert(connection: &Connection, plugin: &Plugin) -> Result<(), Stop> {
    let id = plugin.id.to_string();
    run(
        connection,
        "INSERT INTO plugins
            (id, tenant, title, package_name, package_version, supported_platform, distribution,
             distribution_version, distribution_release, supported_python_versions, wheels,
             archive_name, digest, size, uploaded_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            id,
            plugin.tenant.as_str(),
            plugin.title,
            plugin.package_name,
            plugin.package_version,
            plugin.supported_platform,
            plugin.distribution,
            plugin.distribution_version,
            plugin.distribution_release,
            json_text(&plugin.supported_python_versions),
            json_text(&plugin.wheels),
            plugin.archive_name,
            plugin.digest.0,
            signed(plugin.size),
            micros(plugin.uploaded_at),
        ],
    )
    .or_exists(|| {
        let (name, version) = (&plugin.package_name, &plugin.package_version);
        Thing::of(&plugin.tenant, Kind::Plugin, format_args!("{name} {version}"))
    })?;
    for (position, yaml) in (0_i64..).zip(&plugin.yamls) {
        let statement =
            "INSERT INTO plugin_yamls (plugin, position, name, text) VALUES (?1, ?2, ?3, ?4)";
        run(connection, statement, params![id, position, yaml.name, yaml.text])?;
    }
    Ok(())
}

fn find(
    connection: &Connection,
    tenant: &TenantName,
    id: PluginId,
) -> rusqlite::Result<Option<Plugin>> {
    let query = "SELECT * FROM plugins WHERE tenant = ?1 AND id = ?2";
    let found = one(connection, query, params![tenant.as_str(), id.to_string()], plugin)?;
    found.map(|plugin| Ok(Plugin { yamls: yamls(connection, id)?, ..plugin })).transpose()
}

fn yamls(connection: &Connection, plugin: PluginId) -> rusqlite::Result<Vec<PluginYaml>> {
    let query = "SELECT name, text FROM plugin_yamls WHERE plugin = ?1 ORDER BY position";
    all(connection, query, [plugin.to_string()], yaml)
}

fn yaml(row: &Row<'_>) -> rusqlite::Result<PluginYaml> {
    Ok(PluginYaml { name: row.get("name")?, text: row.get("text")? })
}

/// Reads a row, without the files of other tables.
fn plugin(row: &Row<'_>) -> rusqlite::Result<Plugin> {
    Ok(Plugin {
        id: row.text("id")?,
        tenant: row.text("tenant")?,
        title: row.get("title")?,
        package_name: row.get("package_name")?,
        package_version: row.get("package_version")?,
        supported_platform: row.get("supported_platform")?,
        distribution: row.get("distribution")?,
        distribution_version: row.get("distribution_version")?,
        distribution_release: row.get("distribution_release")?,
        supported_python_versions: row.json("supported_python_versions")?,
        wheels: row.json("wheels")?,
        archive_name: row.get("archive_name")?,
        digest: row.digest("digest")?,
        size: row.unsigned("size")?,
        uploaded_at: row.time("uploaded_at")?,
        yamls: Vec::new(),
    })
}

//! How plugins stand on agents.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use waggoner_types::{AgentName, Digest, PluginId, TenantName};

use crate::{
    Error, Store,
    column::{Columns as _, all, first, micros, run},
    error::Stop,
};

/// How a plugin stands on an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    pub plugin: PluginId,
    pub agent: AgentName,
    pub state: InstallState,
    /// Why it is not installed, a sentence; empty where there is nothing to say.
    pub error: String,
    pub updated_at: Timestamp,
}

/// The states of a plugin on an agent (`cloudify/models_states.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallState {
    /// It is to be installed as soon as the agent has a link.
    PendingInstall,
    Installing,
    Installed,
    Error,
    Uninstalling,
    Uninstalled,
}

/// What an agent tells of a plugin, which it knows by its wagon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub wagon: Digest,
    pub state: InstallState,
    pub error: String,
}

// === impl InstallState ===

impl InstallState {
    /// Cloudify's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingInstall => "pending-install",
            Self::Installing => "installing",
            Self::Installed => "installed",
            Self::Error => "error",
            Self::Uninstalling => "uninstalling",
            Self::Uninstalled => "uninstalled",
        }
    }
}

// === impl Store ===

impl Store {
    /// Notes how a plugin stands on an agent. Nothing happens where one of them is not there.
    pub async fn note_installation(
        &self,
        tenant: TenantName,
        installation: Installation,
    ) -> Result<(), Error> {
        self.write("note an installation", move |tx| {
            let query = "SELECT 1 FROM plugins, agents
                         WHERE plugins.tenant = ?1 AND id = ?2 AND agents.tenant = ?1 AND name = ?3";
            let Installation { plugin, agent, .. } = &installation;
            let there = params![tenant.as_str(), plugin.to_string(), agent.as_str()];
            if all(tx, query, there, first::<i64>)?.is_empty() {
                return Ok(());
            }
            put(tx, &tenant, &installation)?;
            Ok(())
        })
        .await
    }

    /// Notes what an agent tells of all its plugins. What it does not tell of is not there any
    /// more, unless it waits to be installed.
    pub async fn hear_installations(
        &self,
        tenant: TenantName,
        agent: AgentName,
        told: Vec<Told>,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.write("note an agent's plugins", move |tx| hear(tx, &tenant, &agent, &told, at)).await
    }

    /// Returns how some plugins stand on the agents that have heard of them, by plugin and agent.
    pub async fn installations(
        &self,
        tenant: TenantName,
        plugins: Vec<PluginId>,
    ) -> Result<Vec<Installation>, Error> {
        self.read("read installations", move |connection| {
            let query = "SELECT * FROM installations WHERE tenant = ?1 AND plugin = ?2
                         ORDER BY agent";
            let mut found = Vec::new();
            for plugin in &plugins {
                let key = params![tenant.as_str(), plugin.to_string()];
                found.extend(all(connection, query, key, installation)?);
            }
            Ok(found)
        })
        .await
    }

    /// Returns the plugins that wait to be installed on an agent, and those that were being
    /// installed when it was last heard of.
    pub async fn pending_installations(
        &self,
        tenant: TenantName,
        agent: AgentName,
    ) -> Result<Vec<PluginId>, Error> {
        self.read("read installations", move |connection| {
            let query = "SELECT * FROM installations WHERE tenant = ?1 AND agent = ?2
                         AND state IN (?3, ?4) ORDER BY plugin";
            let [pending, installing] =
                [InstallState::PendingInstall, InstallState::Installing].map(InstallState::as_str);
            let key = params![tenant.as_str(), agent.as_str(), pending, installing];
            let waiting = all(connection, query, key, installation)?;
            Ok(waiting.into_iter().map(|installation| installation.plugin).collect())
        })
        .await
    }
}

fn hear(
    tx: &Connection,
    tenant: &TenantName,
    agent: &AgentName,
    told: &[Told],
    at: Timestamp,
) -> Result<(), Stop> {
    let query = "SELECT * FROM installations WHERE tenant = ?1 AND agent = ?2";
    let known = all(tx, query, params![tenant.as_str(), agent.as_str()], installation)?;
    let mut there = Vec::new();
    for Told { wagon, state, error } in told {
        let query = "SELECT id FROM plugins WHERE tenant = ?1 AND digest = ?2";
        let ids: Vec<String> = all(tx, query, params![tenant.as_str(), wagon.0], first)?;
        for plugin in ids.iter().filter_map(|id| id.parse::<PluginId>().ok()) {
            there.push(plugin);
            let before = known.iter().find(|known| known.plugin == plugin);
            if before.is_some_and(|known| known.state == *state && known.error == *error) {
                continue;
            }
            let (agent, error) = (agent.clone(), error.clone());
            put(tx, tenant, &Installation { plugin, agent, state: *state, error, updated_at: at })?;
        }
    }
    for gone in known.into_iter().filter(|known| !there.contains(&known.plugin)) {
        use InstallState::{Installed, Installing, Uninstalled, Uninstalling};
        if matches!(gone.state, Installed | Installing | Uninstalling) {
            let gone = Installation { state: Uninstalled, updated_at: at, ..gone };
            put(tx, tenant, &gone)?;
        }
    }
    Ok(())
}

fn put(
    tx: &Connection,
    tenant: &TenantName,
    installation: &Installation,
) -> rusqlite::Result<usize> {
    let Installation { plugin, agent, state, error, updated_at } = installation;
    let statement = "INSERT OR REPLACE INTO installations
                        (plugin, tenant, agent, state, error, updated_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = params![
        plugin.to_string(),
        tenant.as_str(),
        agent.as_str(),
        state.as_str(),
        error,
        micros(*updated_at),
    ];
    run(tx, statement, values)
}

fn installation(row: &Row<'_>) -> rusqlite::Result<Installation> {
    Ok(Installation {
        plugin: row.text("plugin")?,
        agent: row.text("agent")?,
        state: row.word("state")?,
        error: row.get("error")?,
        updated_at: row.time("updated_at")?,
    })
}

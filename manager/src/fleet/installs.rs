//! Plugins on agents: installed before an operation needs them, removed, and how they stand.
//!
//! An agent tells of all its plugins, however they came to be there; what it tells is noted. Who
//! asks for one on an agent without a link leaves a note, which is read when there is a link.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::sleep;
use tonic::{Code, Status};
use tracing::warn;
use waggoner_proto::agent::v1::{
    Environment, PluginState, Plugins, PrepareEnvironmentRequest, RemovePluginRequest,
};
use waggoner_store::{
    Deletion, Store,
    installation::{InstallState, Installation, Told},
    plugin::Plugin,
};
use waggoner_task::Backoff;
use waggoner_types::{Chain, Digest, PluginId, TenantName};
use waggoner_wagon::{PluginManifest, Requirement, choose};
use waggoner_wire::Reason;

use crate::{
    catalog::plugins::Candidate,
    executions::environment::{RUNTIME, carries_common},
    fleet::{
        AgentKey, Link,
        artifacts::{self, BringError},
    },
    home::Home,
};

/// Notes what an agent tells of its plugins.
pub(crate) async fn hear(home: &Home, link: &Link, plugins: Plugins) {
    let told = plugins.plugins.into_iter().filter_map(|plugin| {
        let state = match plugin.state() {
            PluginState::Installing => InstallState::Installing,
            PluginState::Installed => InstallState::Installed,
            PluginState::Error => InstallState::Error,
            PluginState::Unspecified => return None,
        };
        let wagon: Digest = plugin.wagon_digest.parse().ok()?;
        Some(Told { wagon, state, error: plugin.error })
    });
    let AgentKey { tenant, name } = link.key.clone();
    let heard = home.store.hear_installations(tenant, name, told.collect(), Timestamp::now());
    if let Err(error) = heard.await {
        warn!(agent = %link.key, error = %Chain(&error), "failed to note the agent's plugins");
    }
}

/// Installs what waits for an agent that has a link now, and what the last link did not get to.
pub(crate) async fn resume(home: &Arc<Home>, link: &Arc<Link>) {
    let AgentKey { tenant, name } = link.key.clone();
    let waiting = home.store.pending_installations(tenant, name).await;
    for plugin in waiting.unwrap_or_default() {
        // Before the agent tells that it is not there.
        note(home, &link.key, plugin, InstallState::PendingInstall, String::new()).await;
        begin(home, Arc::clone(link), plugin);
    }
}

/// Begins to install a plugin on an agent that has a link. If that is lost, the next one goes on.
pub(crate) fn begin(home: &Arc<Home>, mut link: Arc<Link>, plugin: PluginId) {
    let work = Arc::clone(home);
    home.tasks.spawn("install", async move {
        let stop = work.tasks.token();
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            let why = tokio::select! {
                biased;
                // It waits for the next manager.
                () = stop.cancelled() => return,
                installed = install(&work, &link, plugin) => match installed {
                    Ok(()) => return,
                    Err(why) => why,
                },
            };
            let (state, why) = match why {
                NotInstalled::Refused(why) => (InstallState::Error, why),
                NotInstalled::Unheard => (InstallState::PendingInstall, String::new()),
            };
            note(&work, &link.key, plugin, state, why).await;
            if state == InstallState::Error {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = link.ended.cancelled() => {}
                () = sleep(backoff.next()) => {}
            }
            // A link that comes after this one has been looked for finds the note.
            let Some(next) = work.fleet.link(&link.key) else { return };
            link = next;
            if !waits(&work, &link.key, plugin).await {
                return;
            }
        }
    });
}

/// Says whether a plugin that is asked for on an agent is on its way there.
pub(crate) fn is_under_way(state: InstallState) -> bool {
    matches!(state, InstallState::PendingInstall | InstallState::Installing)
}

async fn waits(home: &Home, key: &AgentKey, plugin: PluginId) -> bool {
    let known = home.store.installations(key.tenant.clone(), vec![plugin]).await;
    let here = |known: &Installation| known.agent == key.name && is_under_way(known.state);
    known.unwrap_or_default().iter().any(here)
}

/// Removes a plugin from an agent, and returns how it stands then.
pub(crate) async fn remove(home: &Home, link: &Link, plugin: &Plugin) -> Installation {
    note(home, &link.key, plugin.id, InstallState::Uninstalling, String::new()).await;
    artifacts::forget(link, plugin.digest).await;
    let request = RemovePluginRequest { wagon_digest: plugin.digest.to_string() };
    let (state, why) = match link.client().remove_plugin(request).await {
        Ok(answer) if answer.get_ref().removed => (InstallState::Uninstalled, String::new()),
        Ok(_) => {
            let why = format!(
                "the plugin `{}` {} is in use on agent `{}`, or is being installed there: remove \
                 it when its operations have ended",
                plugin.package_name, plugin.package_version, link.key.name
            );
            (InstallState::Error, why)
        }
        Err(status) => (InstallState::Error, status.message().to_owned()),
    };
    note(home, &link.key, plugin.id, state, why).await
}

/// Deletes a plugin, and what agents have of it where no operation uses it; `store` deletes it.
pub(crate) async fn delete(
    home: &Arc<Home>,
    store: &Store,
    tenant: TenantName,
    id: PluginId,
    deletion: Deletion,
) -> Result<(), waggoner_store::Error> {
    let standing = store.installations(tenant.clone(), vec![id]).await?;
    let (work, store) = (Arc::clone(home), store.clone());
    // Also where whoever asks has gone meanwhile: nobody could name the plugin any more.
    let deleted = home.tasks.whole(async move {
        let gone = store.delete_plugin(tenant.clone(), id, deletion).await?;
        let mut links = work.fleet.links_of(&tenant);
        links.retain(|link| standing.iter().any(|it| it.agent == link.key.name));
        let home = Arc::clone(&work);
        work.tasks.spawn("uninstall", async move {
            for link in links {
                remove(&home, &link, &gone).await;
            }
        });
        Ok(())
    });
    let unknown = || waggoner_store::Error::Failed {
        attempt: "learn whether the plugin is deleted",
        source: "the manager is about to end: ask the next one".into(),
    };
    deleted.await.unwrap_or_else(|| Err(unknown()))
}

/// Notes how a plugin stands on an agent.
pub(crate) async fn note(
    home: &Home,
    key: &AgentKey,
    plugin: PluginId,
    state: InstallState,
    error: String,
) -> Installation {
    let (agent, updated_at) = (key.name.clone(), Timestamp::now());
    let installation = Installation { plugin, agent, state, error, updated_at };
    let noted = home.store.note_installation(key.tenant.clone(), installation.clone()).await;
    if let Err(error) = noted {
        warn!(agent = %key, error = %Chain(&error), "failed to note how a plugin stands");
    }
    installation
}

/// Why a plugin is not on an agent.
#[derive(Debug)]
enum NotInstalled {
    /// A sentence.
    Refused(String),
    /// Nobody knows: the link is gone.
    Unheard,
}

async fn install(home: &Home, link: &Link, plugin: PluginId) -> Result<(), NotInstalled> {
    let told = |error: &dyn std::error::Error| NotInstalled::Refused(Chain(error).to_string());
    let tenant = link.key.tenant.clone();
    let plugin = home.store.plugin(tenant, plugin).await.map_err(|error| told(&error))?;
    let extra = if carries_common(&plugin) { None } else { runtime(home, link).await };
    let wagons: Vec<_> =
        std::iter::once(plugin.digest).chain(extra.as_ref().map(|extra| extra.digest)).collect();
    let brought = artifacts::bring(link, home.store.artifacts(), &wagons).await;
    brought.map_err(|error| match &error {
        BringError::Ask { status, .. } | BringError::Refused { status, .. }
            if is_unheard(status) =>
        {
            NotInstalled::Unheard
        }
        error => told(error),
    })?;
    let environment = Environment {
        package_name: plugin.package_name.clone(),
        package_version: plugin.package_version.clone(),
        wagon_digest: plugin.digest.to_string(),
        extra_wagon_digests: extra.iter().map(|extra| extra.digest.to_string()).collect(),
        install_arguments: install_arguments(&plugin),
        source_digest: String::new(),
    };
    let request = PrepareEnvironmentRequest { environment: Some(environment) };
    match link.client().prepare_environment(request).await {
        Ok(_) => {
            // The agent tells of it as well; who asked hears it here, whichever comes first.
            note(home, &link.key, plugin.id, InstallState::Installed, String::new()).await;
            Ok(())
        }
        Err(status) if is_unheard(&status) => Err(NotInstalled::Unheard),
        Err(status) => Err(NotInstalled::Refused(status.message().to_owned())),
    }
}

/// Says whether a status is of a link that broke off, and not the agent's word.
fn is_unheard(status: &Status) -> bool {
    let breaks = [Code::Unavailable, Code::Cancelled, Code::Unknown, Code::Internal];
    breaks.contains(&status.code()) && !Reason::is_in(status)
}

/// The wagon of the Python runtime for a host, if one was uploaded.
async fn runtime(home: &Home, link: &Link) -> Option<Plugin> {
    let found = home.store.plugin_candidates(link.key.tenant.clone(), RUNTIME.to_owned()).await;
    let candidates: Vec<_> = found.ok()?.into_iter().map(Candidate::new).collect();
    let chosen = choose(&candidates, &Requirement::of(RUNTIME), &link.host).ok()?;
    Some(chosen.candidate.plugin.clone())
}

/// What the plugin's own plugin.yaml wants given to pip.
fn install_arguments(plugin: &Plugin) -> String {
    let manifests =
        plugin.yamls.iter().filter_map(|yaml| PluginManifest::read(&yaml.name, &yaml.text).ok());
    manifests
        .flat_map(|manifest| manifest.plugins)
        .filter(|entry| entry.package_name.as_ref() == Some(&plugin.package_name))
        .find_map(|entry| entry.install_arguments)
        .unwrap_or_default()
}

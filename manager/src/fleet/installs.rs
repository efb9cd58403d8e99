//! Plugins on agents: installed before an operation needs them, removed, and how they stand.
//!
//! An agent tells of all its plugins, however they came to be there; what it tells is noted. Who
//! asks for one on an agent without a link leaves a note, which is read when there is a link.

use std::sync::Arc;

use jiff::Timestamp;
use tonic::Code;
use tracing::warn;
use waggoner_proto::agent::v1::{
    Environment, PluginState, Plugins, PrepareEnvironmentRequest, RemovePluginRequest,
};
use waggoner_store::{
    installation::{InstallState, Installation, Told},
    plugin::Plugin,
};
use waggoner_types::{Chain, Digest, PluginId};
use waggoner_wagon::{PluginManifest, Requirement, choose};

use crate::{
    catalog::plugins::Candidate,
    executions::prepare::{RUNTIME, carries_common},
    fleet::{AgentKey, Link, artifacts},
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

/// Installs what waits for an agent that has a link now.
pub(crate) async fn resume(home: &Arc<Home>, link: &Arc<Link>) {
    let AgentKey { tenant, name } = link.key.clone();
    let waiting = home.store.pending_installations(tenant, name).await;
    for plugin in waiting.unwrap_or_default() {
        begin(home, Arc::clone(link), plugin);
    }
}

/// Begins to install a plugin on an agent that has a link.
pub(crate) fn begin(home: &Arc<Home>, link: Arc<Link>, plugin: PluginId) {
    let work = Arc::clone(home);
    home.tasks.spawn("install", async move {
        if let Err(why) = install(&work, &link, plugin).await {
            note(&work, &link.key, plugin, InstallState::Error, why).await;
        }
    });
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
                "the plugin `{}` {} is in use on agent `{}`: remove it when its operations have \
                 ended",
                plugin.package_name, plugin.package_version, link.key.name
            );
            (InstallState::Error, why)
        }
        Err(status) => (InstallState::Error, status.message().to_owned()),
    };
    note(home, &link.key, plugin.id, state, why).await
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

async fn install(home: &Home, link: &Link, plugin: PluginId) -> Result<(), String> {
    let told = |error: &dyn std::error::Error| Chain(error).to_string();
    let tenant = link.key.tenant.clone();
    let plugin = home.store.plugin(tenant, plugin).await.map_err(|error| told(&error))?;
    let extra = if carries_common(&plugin) { None } else { runtime(home, link).await };
    let wagons: Vec<_> =
        std::iter::once(plugin.digest).chain(extra.as_ref().map(|extra| extra.digest)).collect();
    artifacts::bring(link, home.store.artifacts(), &wagons).await.map_err(|error| told(&error))?;
    let environment = Environment {
        package_name: plugin.package_name.clone(),
        package_version: plugin.package_version.clone(),
        wagon_digest: plugin.digest.to_string(),
        extra_wagon_digests: extra.iter().map(|extra| extra.digest.to_string()).collect(),
        install_arguments: install_arguments(&plugin),
    };
    let request = PrepareEnvironmentRequest { environment: Some(environment) };
    match link.client().prepare_environment(request).await {
        Ok(_) => {
            // The agent tells of it as well; who asked hears it here, whichever comes first.
            note(home, &link.key, plugin.id, InstallState::Installed, String::new()).await;
            Ok(())
        }
        // The link has gone: the next one goes on.
        Err(status) if status.code() == Code::Cancelled || link.ended.is_cancelled() => Ok(()),
        Err(status) => Err(status.message().to_owned()),
    }
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

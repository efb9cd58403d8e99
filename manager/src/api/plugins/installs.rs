//! Plugins on agents, as asked for.

use waggoner_proto::v1::{PluginInstallState, PluginInstallation};
use waggoner_store::{
    installation::{InstallState, Installation},
    plugin::Plugin,
};
use waggoner_types::{AgentName, Host, PluginId, TenantName};
use waggoner_wagon::{Requirement, VersionSpec, choose};
use waggoner_wire::{At as _, Reason, Refused, timestamp};

use crate::{
    api::{Api, refused},
    catalog::plugins::Candidate,
    fleet::{AgentKey, installs},
};

// === impl Api ===

impl Api {
    /// Has a plugin installed on some agents, which all have to be there.
    pub(super) async fn install_on(
        &self,
        tenant: &TenantName,
        plugin: &str,
        version: &str,
        agents: &[String],
    ) -> Result<Vec<PluginInstallation>, Refused> {
        let mut wanted = Vec::new();
        for (key, host) in self.agents(tenant, agents).await? {
            let plugin = self.chosen(tenant, plugin, version, &host).await?;
            wanted.push((key, plugin));
        }
        let mut begun = Vec::new();
        for (key, plugin) in wanted {
            let pending = InstallState::PendingInstall;
            let noted = installs::note(&self.home, &key, plugin, pending, String::new()).await;
            if let Some(link) = self.home.fleet.link(&key) {
                installs::begin(&self.home, link, plugin);
            }
            begun.push(message(noted));
        }
        Ok(begun)
    }

    /// Has a plugin removed from some agents, which all have to be there.
    pub(super) async fn uninstall_from(
        &self,
        tenant: &TenantName,
        plugin: &str,
        version: &str,
        agents: &[String],
    ) -> Result<Vec<PluginInstallation>, Refused> {
        let agents = self.agents(tenant, agents).await?;
        let plugins = self.named(tenant, plugin, version).await?;
        let ids: Vec<_> = plugins.iter().map(|plugin| plugin.id).collect();
        let store = &self.home.store;
        let known = store.installations(tenant.clone(), ids).await.map_err(refused)?;
        let mut left = Vec::new();
        for (key, _) in agents {
            let here = known.iter().filter(|installation| installation.agent == key.name);
            for installation in here {
                let plugin = plugins.iter().find(|plugin| plugin.id == installation.plugin);
                let Some(plugin) = plugin else { continue };
                let stands = match self.home.fleet.link(&key) {
                    Some(_) if installs::is_under_way(installation.state) => {
                        let why = format!(
                            "the plugin `{}` {} is being installed on agent `{}`: uninstall it \
                             when that has ended",
                            plugin.package_name, plugin.package_version, key.name
                        );
                        return Err(Refused::new(Reason::PluginInUse, why));
                    }
                    Some(link) => installs::remove(&self.home, &link, plugin).await,
                    None if installation.state == InstallState::PendingInstall => {
                        let state = InstallState::Uninstalled;
                        installs::note(&self.home, &key, plugin.id, state, String::new()).await
                    }
                    None => {
                        let why = format!(
                            "agent `{}` has no link, so nothing can be removed from it: see \
                             `wag agents list`",
                            key.name
                        );
                        return Err(Refused::new(Reason::Unavailable, why));
                    }
                };
                left.push(message(stands));
            }
        }
        Ok(left)
    }

    /// How some plugins stand on agents.
    pub(super) async fn standing(
        &self,
        tenant: &TenantName,
        plugins: Vec<PluginId>,
    ) -> Result<Vec<Installation>, Refused> {
        self.home.store.installations(tenant.clone(), plugins).await.map_err(refused)
    }

    async fn agents(
        &self,
        tenant: &TenantName,
        names: &[String],
    ) -> Result<Vec<(AgentKey, Host)>, Refused> {
        if names.is_empty() {
            return Err(Refused::field("agents", "it names no agent"));
        }
        let mut found = Vec::new();
        for name in names {
            let name: AgentName = name.parse().at("agents")?;
            let agent = self.home.store.agent(tenant.clone(), name.clone()).await;
            let agent = agent.map_err(refused)?;
            found.push((AgentKey { tenant: tenant.clone(), name }, agent.host));
        }
        Ok(found)
    }

    async fn chosen(
        &self,
        tenant: &TenantName,
        plugin: &str,
        version: &str,
        host: &Host,
    ) -> Result<PluginId, Refused> {
        if let Ok(id) = plugin.parse::<PluginId>() {
            let there = self.home.store.plugin(tenant.clone(), id).await.map_err(refused)?;
            return Ok(there.id);
        }
        let candidates = self.named(tenant, plugin, version).await?;
        let candidates: Vec<_> = candidates.into_iter().map(Candidate::new).collect();
        let mut requirement = Requirement::of(plugin);
        if !version.is_empty() {
            requirement.version = VersionSpec::Exactly(version.to_owned());
        }
        let chosen = choose(&candidates, &requirement, host).map_err(|none| {
            Refused::new(Reason::NotFound, waggoner_types::Chain(&none).to_string())
        })?;
        Ok(chosen.candidate.plugin.id)
    }

    async fn named(
        &self,
        tenant: &TenantName,
        plugin: &str,
        version: &str,
    ) -> Result<Vec<Plugin>, Refused> {
        let store = &self.home.store;
        if let Ok(id) = plugin.parse::<PluginId>() {
            return Ok(vec![store.plugin(tenant.clone(), id).await.map_err(refused)?]);
        }
        let found = store.plugin_candidates(tenant.clone(), plugin.to_owned()).await;
        let mut found = found.map_err(refused)?;
        found.retain(|found| version.is_empty() || found.package_version == version);
        Ok(found)
    }
}

pub(super) fn message(installation: Installation) -> PluginInstallation {
    let Installation { plugin, agent, state, error, updated_at } = installation;
    let state = match state {
        InstallState::PendingInstall => PluginInstallState::PendingInstall,
        InstallState::Installing => PluginInstallState::Installing,
        InstallState::Installed => PluginInstallState::Installed,
        InstallState::Error => PluginInstallState::Error,
        InstallState::Uninstalling => PluginInstallState::Uninstalling,
        InstallState::Uninstalled => PluginInstallState::Uninstalled,
    };
    PluginInstallation {
        agent: agent.to_string(),
        plugin_id: plugin.to_string(),
        state: state.into(),
        error,
        updated_at: Some(timestamp(updated_at)),
    }
}

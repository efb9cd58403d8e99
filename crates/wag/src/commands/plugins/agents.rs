//! `wag plugins install` and `uninstall`: plugins on agents.

use std::time::Duration;

use tokio::time::sleep;
use waggoner_proto::v1::{
    InstallPluginRequest, PluginInstallState as State, PluginInstallation, UninstallPluginRequest,
};

use super::get;
use crate::{
    Error,
    cli::OnAgents,
    client::{ClientError, Manager, ask, request_id},
    commands::Context,
};

/// How often is asked how far an installation is.
const GLANCE: Duration = Duration::from_millis(300);

/// Installs a plugin, and waits where an agent has a link.
pub(super) async fn install(context: &mut Context<'_>, wanted: OnAgents) -> Result<(), Error> {
    let manager = context.manager().await?;
    let request = InstallPluginRequest {
        tenant: manager.tenant(),
        plugin: wanted.plugin,
        package_version: wanted.version.unwrap_or_default(),
        agents: wanted.agents,
        request_id: request_id(),
    };
    let call = async |request| manager.plugins().install_plugin(request).await;
    let begun = ask(request, call).await?.installations;
    let mut ended = Vec::new();
    for installation in begun {
        ended.push(settled(&manager, installation).await?);
    }
    conclude(context, &ended)
}

/// Removes a plugin.
pub(super) async fn uninstall(context: &mut Context<'_>, wanted: OnAgents) -> Result<(), Error> {
    let manager = context.manager().await?;
    let request = UninstallPluginRequest {
        tenant: manager.tenant(),
        plugin: wanted.plugin,
        package_version: wanted.version.unwrap_or_default(),
        agents: wanted.agents,
        request_id: request_id(),
    };
    let call = async |request| manager.plugins().uninstall_plugin(request).await;
    let left = ask(request, call).await?.installations;
    conclude(context, &left)
}

/// Waits until an installation has ended well or not, unless its agent has no link.
async fn settled(
    manager: &Manager,
    mut installation: PluginInstallation,
) -> Result<PluginInstallation, ClientError> {
    loop {
        let is_open = match installation.state() {
            State::Installing => true,
            State::PendingInstall => is_linked(manager, &installation.agent).await?,
            _ => false,
        };
        if !is_open {
            return Ok(installation);
        }
        sleep(GLANCE).await;
        let plugin = get(manager, installation.plugin_id.clone()).await?;
        let mut all = plugin.installations.into_iter();
        if let Some(now) = all.find(|it| it.agent == installation.agent) {
            installation = now;
        }
    }
}

async fn is_linked(manager: &Manager, agent: &str) -> Result<bool, ClientError> {
    let request =
        waggoner_proto::v1::GetAgentRequest { tenant: manager.tenant(), name: agent.to_owned() };
    let answer = ask(request, async |request| manager.fleet().get_agent(request).await).await?;
    Ok(answer.agent.is_some_and(|agent| agent.connected))
}

/// Shows what came of it; an installation that failed fails the command.
fn conclude(context: &mut Context<'_>, ended: &[PluginInstallation]) -> Result<(), Error> {
    context.ui.list(ended)?;
    let failed = ended.iter().find(|installation| installation.state() == State::Error);
    match failed {
        Some(installation) => Err(Error::NotInstalled {
            agent: installation.agent.clone(),
            why: installation.error.clone(),
        }),
        None => Ok(()),
    }
}

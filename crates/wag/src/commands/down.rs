//! `wag down`: takes back what `wag up` did.

use serde_json::json;

use super::{Context, blueprints, deployments, executions};
use waggoner_types::Chain;

use crate::{
    Error,
    cli::Down,
    client::Manager,
    profile::Target,
    record,
    site::{Deployed, Made, Site},
};

/// What a failure to uninstall means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// Nothing is deleted.
    Stops,
    /// All is deleted, and what was made elsewhere is left behind.
    IsPassedOver,
}

pub(super) async fn run(context: &mut Context<'_>, command: Down) -> Result<(), Error> {
    let Down { deployment, all, purge, force, logs } = command;
    let failing = if force { Failing::IsPassedOver } else { Failing::Stops };
    let all = all || purge;
    let site = match context.target()? {
        Target::DataDir(dir) => Some(Site::new(dir)),
        Target::Profile(_) => None,
    };
    let made = site.as_ref().map_or_else(|| Ok(Made::default()), Made::read)?;
    let mut meant = made.clone();
    if let Some(tenant) = &context.global.tenant {
        meant.deployments.retain(|one| one.tenant == *tenant);
    }
    let chosen = choose(&meant, deployment.as_deref(), all)?;

    let mut taken = Vec::new();
    for given in chosen {
        let deployed = match (context.manager().await, given) {
            (Ok(manager), given) => {
                let deployed = deployed(&manager, given).await?;
                let manager = manager.for_tenant(&deployed.tenant);
                take_back(context, &manager, &deployed, failing, logs).await?;
                deployed
            }
            (Err(error), Given::Made(deployed)) if failing == Failing::IsPassedOver => {
                pass_over(context, &error);
                deployed
            }
            (Err(error), _) => return Err(error),
        };
        if let Some(site) = &site {
            Made::remove(site, &deployed)?;
        }
        taken.push(deployed.deployment);
    }

    let mut stopped = Vec::new();
    if let Some(site) = &site
        && Made::read(site)?.deployments.is_empty()
        && (all || !made.deployments.is_empty() || deployment.is_none())
    {
        stopped = stop(context, site, purge).await?;
    }
    if context.ui.is_json() {
        context.ui.json(&json!({ "deployments": taken, "stopped": stopped, "purged": purge }))?;
    } else if taken.is_empty() && stopped.is_empty() && !purge {
        context.ui.say("Nothing is up.");
    }
    Ok(())
}

/// A deployment to take back.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    Made(Deployed),
    Named(String),
}

/// Decides which deployments are meant.
fn choose(made: &Made, named: Option<&str>, all: bool) -> Result<Vec<Given>, Error> {
    let known = made.deployments.iter();
    if all {
        // The last one made goes first: it may build on earlier ones.
        return Ok(known.rev().cloned().map(Given::Made).collect());
    }
    let Some(named) = named else {
        return match made.deployments.as_slice() {
            [] => Ok(Vec::new()),
            [one] => Ok(vec![Given::Made(one.clone())]),
            several => {
                let all: Vec<_> = several.iter().map(|one| one.deployment.as_str()).collect();
                Err(Error::WhichDeployment(all.join(", ")))
            }
        };
    };
    let mut same = known.filter(|one| one.deployment == named);
    Ok(vec![match same.next() {
        Some(deployed) => Given::Made(deployed.clone()),
        None => Given::Named(named.to_owned()),
    }])
}

async fn deployed(manager: &Manager, given: Given) -> Result<Deployed, Error> {
    match given {
        Given::Made(deployed) => Ok(deployed),
        Given::Named(deployment) => {
            let blueprint = deployments::get(manager, &deployment).await?.blueprint_id;
            Ok(Deployed { tenant: manager.tenant(), deployment, blueprint })
        }
    }
}

/// Uninstalls a deployment and deletes it, and its blueprint unless others use it. What is gone
/// already is passed over.
pub(crate) async fn take_back(
    context: &mut Context<'_>,
    manager: &Manager,
    deployed: &Deployed,
    failing: Failing,
    logs: bool,
) -> Result<(), Error> {
    let Deployed { tenant: _, deployment, blueprint } = deployed;
    let is_there = match deployments::get(manager, deployment).await {
        Ok(_) => true,
        Err(error) if error.is_not_found() => false,
        Err(error) => return Err(error.into()),
    };
    if is_there {
        match uninstall(context, manager, deployment, logs).await {
            Err(error) if failing == Failing::IsPassedOver => pass_over(context, &error),
            uninstalled => uninstalled?,
        }
        deployments::delete(manager, deployment, failing == Failing::IsPassedOver).await?;
        context.ui.step("Deleted", format!("deployment {deployment}"));
    }
    if !deployments::list(manager, blueprint).await?.is_empty() {
        return Ok(());
    }
    match blueprints::delete(manager, blueprint).await {
        Ok(()) => context.ui.step("Deleted", format!("blueprint {blueprint}")),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn uninstall(
    context: &mut Context<'_>,
    manager: &Manager,
    deployment: &str,
    logs: bool,
) -> Result<(), Error> {
    context.ui.step("Uninstalling", deployment);
    let executions = executions::list(manager, deployment).await?;
    let running = executions
        .into_iter()
        .find(|execution| execution.workflow_id == "uninstall" && !record::is_ended(execution));
    let execution = match running {
        Some(running) => running,
        None => executions::start_plain(manager, deployment, "uninstall", json!({})).await?,
    };
    let execution = executions::watch(manager, context.ui, &execution, logs).await?;
    executions::judge(&execution)
}

fn pass_over(context: &mut Context<'_>, error: &Error) {
    context.ui.step("Passed over", Chain(error).to_string());
}

async fn stop(context: &mut Context<'_>, site: &Site, purge: bool) -> Result<Vec<String>, Error> {
    if !site.dir().is_dir() {
        return Ok(Vec::new());
    }
    let turn = site.turn().await?;
    let stopped = site.stop().await?;
    for name in &stopped {
        context.ui.step("Stopped", format!("the {name}"));
    }
    if purge {
        site.purge()?;
        context.ui.step("Removed", site.dir());
    }
    drop(turn);
    Ok(stopped)
}

#[cfg(test)]
mod tests;

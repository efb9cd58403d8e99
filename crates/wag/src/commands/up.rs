//! `wag up`: from a blueprint on disk to an installed deployment.
//!
//! ```text
//!  manager ─▶ agent ─▶ plugins beside the blueprint ─▶ blueprint ─▶ deployment ─▶ install ─▶ outputs
//! ```
//!
//! Each step is left out where it was done before, so that `wag up` may be repeated after any
//! failure.

use serde_json::{Map, Value, json};
use waggoner_proto::v1::{Blueprint, Deployment, Execution};

use super::{Context, blueprints, deployments, down, executions};
use crate::{
    Error,
    cli::Up,
    client::{ClientError, Manager, Parcel},
    inputs,
    profile::Target,
    record::{self, Record as _},
    site::{Deployed, Made, Site},
    source::Source,
};

mod plugins;
mod standing;

use self::standing::{Standing, holds, standing};

/// What is wanted.
struct Wish {
    source: Source,
    parcel: Parcel,
    blueprint_id: String,
    deployment_id: String,
    inputs_json: String,
}

pub(super) async fn run(context: &mut Context<'_>, command: Up) -> Result<(), Error> {
    let Up { blueprint, inputs, blueprint_id, deployment_id, listen, logs } = command;
    let inputs_json = inputs::read(&inputs.inputs, &inputs.input)?;
    let source = Source::open(&blueprint)?;
    let blueprint_id = blueprint_id.map_or_else(|| source.id(), Ok)?;
    let deployment_id = deployment_id.unwrap_or_else(|| blueprint_id.clone());
    let parcel = source.pack()?;
    let wish = Wish { source, parcel, blueprint_id, deployment_id, inputs_json };

    let (manager, site) = match context.target()? {
        Target::Profile(_) => (context.manager().await?, None),
        Target::DataDir(dir) => {
            let site = Site::new(dir);
            site.prepare()?;
            let turn = site.turn().await?;
            let tenant = context.global.tenant.clone();
            let manager = site.manager(context.ui, listen, tenant).await?;
            site.agent(context.ui, &manager).await?;
            drop(turn);
            (manager, Some(site))
        }
    };
    install(context, &manager, site.as_ref(), wish, logs).await
}

async fn install(
    context: &mut Context<'_>,
    manager: &Manager,
    site: Option<&Site>,
    wish: Wish,
    logs: bool,
) -> Result<(), Error> {
    let (blueprint_id, deployment_id) = (wish.blueprint_id.clone(), wish.deployment_id.clone());
    let stored = found(blueprints::get(manager, &blueprint_id).await)?;
    let is_changed =
        stored.as_ref().is_some_and(|one| one.digest != wish.parcel.digest.to_string());
    let standing = standing(manager, &deployment_id, &blueprint_id).await?;

    let (deployment, execution) = match standing {
        Standing::Installed(deployment, execution) => {
            context.ui.step("Installed", format!("{deployment_id} already; nothing to do"));
            if is_changed || !holds(&deployment, &wish.inputs_json) {
                let what = if is_changed { "the blueprint" } else { "the inputs" };
                context.ui.say(format!(
                    "{what} changed since: `{}` and `wag up` again to apply it",
                    context.ui.command(&format!("down {deployment_id}")),
                ));
            }
            (*deployment, execution.map(|execution| *execution))
        }
        Standing::Installing(deployment, execution) => {
            context.ui.step("Following", format!("the installation of {deployment_id}"));
            let execution = executions::watch(manager, context.ui, &execution, logs).await?;
            (*deployment, Some(execution))
        }
        Standing::Partial(deployment) if !is_changed && holds(&deployment, &wish.inputs_json) => {
            let execution = start(context, manager, &deployment_id, logs).await?;
            (*deployment, Some(execution))
        }
        Standing::Partial(_) => {
            check(context, manager, site, &wish.source).await?;
            context.ui.step("Replacing", format!("{deployment_id}, which is not installed"));
            let deployed = deployed(manager, &deployment_id, &blueprint_id);
            down::take_back(context, manager, &deployed, down::Failing::Stops, logs).await?;
            let deployment = create(context, manager, site, wish).await?;
            (deployment, Some(start(context, manager, &deployment_id, logs).await?))
        }
        Standing::Absent => {
            if is_changed && deployments::list(manager, &blueprint_id).await?.is_empty() {
                check(context, manager, site, &wish.source).await?;
                blueprints::delete(manager, &blueprint_id).await?;
            }
            let deployment = create(context, manager, site, wish).await?;
            (deployment, Some(start(context, manager, &deployment_id, logs).await?))
        }
    };
    if let Some(execution) = &execution {
        executions::judge(execution)?;
    }
    finish(context, manager, deployment, execution).await
}

/// Checks a blueprint before an older one makes way for it.
async fn check(
    context: &mut Context<'_>,
    manager: &Manager,
    site: Option<&Site>,
    source: &Source,
) -> Result<(), Error> {
    plugins::provide(context.ui, manager, site, source).await?;
    Ok(blueprints::validate(manager, source, source.pack()?).await?)
}

/// Uploads what lacks and creates the deployment.
async fn create(
    context: &mut Context<'_>,
    manager: &Manager,
    site: Option<&Site>,
    wish: Wish,
) -> Result<Deployment, Error> {
    let Wish { source, parcel, blueprint_id, deployment_id, inputs_json } = wish;
    plugins::provide(context.ui, manager, site, &source).await?;
    match found(blueprints::get(manager, &blueprint_id).await)? {
        Some(stored) if stored.digest == parcel.digest.to_string() => {}
        _ => {
            blueprints::upload(manager, &source, &blueprint_id, parcel).await?;
            context.ui.step("Uploaded", format!("blueprint {blueprint_id}"));
        }
    }
    // Before the deployment is there, so that `wag down` finds it whatever happens.
    if let Some(site) = site {
        Made::add(site, deployed(manager, &deployment_id, &blueprint_id))?;
    }
    let deployment =
        deployments::create(manager, &deployment_id, &blueprint_id, &inputs_json).await?;
    context.ui.step("Created", format!("deployment {deployment_id}"));
    Ok(deployment)
}

async fn start(
    context: &mut Context<'_>,
    manager: &Manager,
    deployment_id: &str,
    logs: bool,
) -> Result<Execution, Error> {
    context.ui.step("Installing", deployment_id);
    let execution = executions::start_plain(manager, deployment_id, "install", json!({})).await?;
    executions::watch(manager, context.ui, &execution, logs).await
}

/// Prints the outputs and what to do next.
async fn finish(
    context: &mut Context<'_>,
    manager: &Manager,
    deployment: Deployment,
    execution: Option<Execution>,
) -> Result<(), Error> {
    let deployment = deployments::get(manager, &deployment.id).await?;
    let outputs = deployments::outputs(manager, &deployment.id).await?;
    let outputs = outputs.get("outputs").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    if context.ui.is_json() {
        let blueprint = blueprints::get(manager, &deployment.blueprint_id).await?;
        let blueprint = Blueprint { plan_json: String::new(), ..blueprint };
        return context.ui.json(&json!({
            "blueprint": blueprint.shape(),
            "deployment": deployment.shape(),
            "execution": execution.as_ref().map(record::Record::shape),
            "outputs": outputs,
        }));
    }
    context.ui.step("Ready", &deployment.id);
    if outputs.as_object().is_some_and(|outputs| !outputs.is_empty()) {
        context.ui.shape(&outputs)?;
    }
    for (what, command) in [
        ("What it did", "events -d"),
        ("What it made", "node-instances list -d"),
        ("Take it back", "down"),
    ] {
        let command = context.ui.command(&format!("{command} {}", deployment.id));
        context.ui.say(format!("{what:>12}: {command}"));
    }
    Ok(())
}

/// What is not there is no error here.
fn found<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Err(error) if error.is_not_found() => Ok(None),
        answer => answer.map(Some),
    }
}

fn deployed(manager: &Manager, deployment_id: &str, blueprint_id: &str) -> Deployed {
    Deployed {
        tenant: manager.tenant(),
        deployment: deployment_id.to_owned(),
        blueprint: blueprint_id.to_owned(),
    }
}

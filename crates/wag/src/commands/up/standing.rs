//! How a deployment that is there is related to what is wanted.

use serde_json::{Map, Value};
use waggoner_proto::v1::{Deployment, Execution, ExecutionStatus};

use super::found;
use crate::{
    Error,
    client::Manager,
    commands::{deployments, executions},
    record,
};

/// How a deployment that is there is related to what is wanted.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is installed.
    Installed(Box<Deployment>, Option<Box<Execution>>),
    /// It is being installed.
    Installing(Box<Deployment>, Box<Execution>),
    /// It is not installed, or not whole.
    Partial(Box<Deployment>),
    Absent,
}

/// Finds out how it stands with a deployment.
pub(super) async fn standing(
    manager: &Manager,
    deployment_id: &str,
    blueprint_id: &str,
) -> Result<Standing, Error> {
    let Some(deployment) = found(deployments::get(manager, deployment_id).await)? else {
        return Ok(Standing::Absent);
    };
    if deployment.blueprint_id != blueprint_id {
        let blueprint = deployment.blueprint_id;
        return Err(Error::OtherBlueprint { deployment: deployment_id.to_owned(), blueprint });
    }
    let executions = executions::list(manager, deployment_id).await?;
    Ok(decide(deployment, executions))
}

/// Decides by the last execution, newest first, that installs or uninstalls.
fn decide(deployment: Deployment, executions: Vec<Execution>) -> Standing {
    let deployment = Box::new(deployment);
    let last = executions
        .into_iter()
        .find(|execution| matches!(execution.workflow_id.as_str(), "install" | "uninstall"));
    let is_whole = deployment.node_instances == deployment.node_instances_started;
    match last {
        Some(last) if last.workflow_id == "install" && !record::is_ended(&last) => {
            Standing::Installing(deployment, Box::new(last))
        }
        Some(last)
            if last.workflow_id == "install"
                && last.status() == ExecutionStatus::Terminated
                && is_whole =>
        {
            Standing::Installed(deployment, Some(Box::new(last)))
        }
        _ if is_whole && deployment.node_instances > 0 => Standing::Installed(deployment, None),
        _ => Standing::Partial(deployment),
    }
}

/// Whether the deployment was made with the inputs that are wanted, as far as these go.
pub(super) fn holds(deployment: &Deployment, inputs_json: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let has = read(&deployment.inputs_json);
    read(inputs_json).iter().all(|(name, value)| has.get(name) == Some(value))
}

#[cfg(test)]
mod tests;

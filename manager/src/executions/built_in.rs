//! The operations that Cloudify's `types.yaml` maps to plugins of the manager's own.
//!
//! `agent`: what is done about the agent of a host. An agent is brought onto its host by whoever
//! makes the host; these operations find it, wait for it, and take leave of it.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use waggoner_engine::Dispatch;
use waggoner_store::instance::{InstanceUpdate, UpdateError};
use waggoner_types::{Chain, OperationError, plan::InstanceState};

use crate::{
    executions::{Stage, answers::Answers, prepare::host_agent},
    fleet::AgentKey,
    home::Home,
};

/// How long the start of a host waits for its agent
/// (`cloudify_agent/installer/operations.py` waits for an hour, in steps).
const PATIENCE: Duration = Duration::from_mins(5);

/// Says whether the manager runs a plugin's operations itself.
pub(crate) fn has(plugin: &str) -> bool {
    matches!(plugin, "agent" | "cfy_extensions" | "default_workflows")
}

/// Runs an operation.
pub(crate) async fn run(
    home: &Arc<Home>,
    stage: &Stage,
    dispatch: &Dispatch,
    answers: &Answers,
) -> Result<Value, OperationError> {
    if dispatch.operation.plugin != "agent" {
        return Err(OperationError::non_recoverable(format!(
            "operation `{}` of plugin `{}` is not possible on this manager yet",
            dispatch.operation.operation, dispatch.operation.plugin
        )));
    }
    let host = dispatch.host.as_deref().unwrap_or(&dispatch.instance);
    let name = host_agent(home, stage, Some(host), &dispatch.node).await?;
    let step = dispatch.operation.operation.rsplit('.').next().unwrap_or_default();
    match step {
        "create" | "create_agent_amqp" => {
            let agent = json!({
                "name": name.as_str(),
                "queue": name.as_str(),
                "tenant": { "name": stage.scene.tenant.as_str() },
            });
            note(home, stage, answers, host, Some(agent)).await
        }
        "start" | "restart" => {
            let key = AgentKey { tenant: stage.scene.tenant.clone(), name };
            let link = home.fleet.wait_for(|fleet| fleet.link(&key), PATIENCE).await;
            match link {
                Some(_) => Ok(Value::Null),
                None => Err(OperationError::recoverable(format!(
                    "agent `{}` has no link yet: start it on its host with a token of `wag agents \
                     token create --name {}`",
                    key.name, key.name
                ))),
            }
        }
        "delete" => note(home, stage, answers, host, None).await,
        // Environments are made when an operation needs them.
        _ => Ok(Value::Null),
    }
}

/// Notes the agent in the host's runtime properties, or takes it out.
async fn note(
    home: &Home,
    stage: &Stage,
    answers: &Answers,
    host: &str,
    agent: Option<Value>,
) -> Result<Value, OperationError> {
    let failed = |why: String| OperationError::recoverable(why);
    let instance = answers.stored(host).await.map_err(|unanswered| failed(unanswered.message))?;
    let mut properties: Map<String, Value> = instance.runtime_properties;
    match agent {
        Some(agent) => properties.insert("cloudify_agent".to_owned(), agent),
        None => properties.remove("cloudify_agent"),
    };
    let update = InstanceUpdate {
        tenant: stage.scene.tenant.clone(),
        id: host.to_owned(),
        version: instance.version,
        force: false,
        runtime_properties: Some(properties),
        state: None::<InstanceState>,
        system_properties: None,
    };
    match home.store.update_node_instance(update).await {
        Ok(_) => Ok(Value::Null),
        Err(error @ UpdateError::Conflict { .. }) => Err(failed(error.to_string())),
        Err(UpdateError::Store(error)) => Err(failed(Chain(&error).to_string())),
    }
}

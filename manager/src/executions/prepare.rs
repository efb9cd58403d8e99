//! From a task to what an agent is told: which agent, which environment, which inputs.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use tracing::debug;
use uuid::Uuid;
use waggoner_engine::Dispatch;
use waggoner_proto::agent::v1::{
    PythonOperation, ScriptOperation, Start, script_operation, start::Implementation,
};
use waggoner_store::instance::NodeInstance;
use waggoner_types::{
    AgentName, AttemptId, Chain, Digest, OperationError, OperationId,
    plan::{Executor, Plugin},
};

use crate::{
    executions::{
        Stage, answers::Answers, context::context, environment, evaluate, policy::Policy,
    },
    fleet::{AgentKey, Link, artifacts},
    home::Home,
};

/// How long a task waits for its agent's link before it counts as failed
/// (`cloudify/workflows/amqp_dispatcher.py` waits as long for an answer to its ping).
const PATIENCE: Duration = Duration::from_secs(30);

/// The name of the plugin that runs scripts, and its one function.
const SCRIPT: (&str, &str) = ("script", "script_runner.tasks.run");

/// An attempt that is ready to be started.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) agent: AgentKey,
    pub(crate) start: Start,
}

/// Makes an operation ready for its agent; artifacts it needs are on the agent then.
pub(crate) async fn prepare(
    home: &Home,
    stage: &Stage,
    dispatch: &Dispatch,
    answers: &Answers,
    operation: OperationId,
) -> Result<Ready, OperationError> {
    let plugin = stage.plugin(&dispatch.node, &dispatch.operation.plugin);
    let (link, host) = link(home, stage, dispatch).await?;
    let mut inputs = inputs(home, stage, dispatch, answers).await?;
    let policy = Policy::take(&mut inputs)?;
    let (implementation, wagons) =
        implementation(home, stage, &link, dispatch, &plugin, &inputs).await?;
    artifacts::bring(&link, home.store.artifacts(), &wagons)
        .await
        .map_err(|error| OperationError::recoverable(Chain(&error).to_string()))?;
    let env = execution_env(home, stage, host.as_ref());
    let context = context(&stage.scene, dispatch, operation, &plugin, &link.key.name, &env);
    let (nodes, instances) = seen(dispatch, answers).await?;
    let timeout = dispatch.operation.timeout.map(|seconds| {
        waggoner_wire::duration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    });
    let start = Start {
        attempt_id: attempt_id(operation).to_string(),
        epoch: u64::from(dispatch.retry_number) + 1,
        context_json: context.to_string(),
        inputs_json: Value::Object(inputs).to_string(),
        implementation: Some(implementation),
        timeout,
        grace: None,
        node_jsons: nodes,
        node_instance_jsons: instances,
        queue_timeout: policy.queued.map(waggoner_wire::duration),
        idle_timeout: policy.idle.map(waggoner_wire::duration),
        unlinked_timeout: policy.unlinked.map(waggoner_wire::duration),
    };
    Ok(Ready { agent: link.key.clone(), start })
}

/// Returns the id of the attempt at an operation: one operation is delivered once.
pub(crate) fn attempt_id(operation: OperationId) -> AttemptId {
    AttemptId(Uuid::new_v5(&operation.0, b"attempt"))
}

/// Says whether a central agent runs the operation.
pub(crate) fn is_central(dispatch: &Dispatch) -> bool {
    match (dispatch.executor, &dispatch.host) {
        (Executor::CentralDeploymentAgent, _) | (Executor::Auto, None) => true,
        (Executor::HostAgent | Executor::Auto, _) => false,
    }
}

/// Returns the variables that the operation's process gets: the host node's own, or the manager's
/// for central ones (`bootstrap_context.cloudify_agent.env` of Cloudify).
fn execution_env(home: &Home, stage: &Stage, host: Option<&NodeInstance>) -> Map<String, Value> {
    let Some(host) = host else {
        let env = home.execution_env.iter();
        return env.map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    };
    let node = stage.node(&host.node_id);
    let env = node.and_then(|node| node.properties.get("agent_config")?.get("env")?.as_object());
    let text = |value: &Value| match value {
        Value::String(text) => Value::String(text.clone()),
        other => Value::String(other.to_string()),
    };
    let env = env.into_iter().flatten();
    env.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Waits until an agent that may run the operation takes new ones.
///
/// Who drains an agent knows that what is for it waits, for as long as that takes.
pub(crate) async fn undrained(
    home: &Home,
    stage: &Stage,
    dispatch: &Dispatch,
) -> Result<(), OperationError> {
    let tenant = &stage.scene.tenant;
    if !home.fleet.has_drained() {
    } else if is_central(dispatch) {
        home.fleet.until(|fleet| !fleet.is_central_drained(tenant)).await;
    } else {
        let name = host_agent(home, stage, dispatch.host.as_deref(), &dispatch.node).await?;
        let key = AgentKey { tenant: tenant.clone(), name };
        home.fleet.until(|fleet| !fleet.is_drained(&key)).await;
    }
    Ok(())
}

/// Finds the agent that runs the operation: its link, and its host unless it is a central one.
async fn link(
    home: &Home,
    stage: &Stage,
    dispatch: &Dispatch,
) -> Result<(Arc<Link>, Option<NodeInstance>), OperationError> {
    let tenant = &stage.scene.tenant;
    undrained(home, stage, dispatch).await?;
    if is_central(dispatch) {
        let link = home.fleet.wait_for(|fleet| fleet.central(tenant), PATIENCE).await;
        return link.map(|link| (link, None)).ok_or_else(|| {
            OperationError::recoverable(format!(
                "no central agent of tenant `{tenant}` has a link: start one with a token of \
                 `wag agents token create --role central`"
            ))
        });
    }
    let host = host(home, stage, dispatch.host.as_deref(), &dispatch.node).await?;
    let key = AgentKey { tenant: tenant.clone(), name: agent_of(stage, &host)? };
    let link = home.fleet.wait_for(|fleet| fleet.link(&key), PATIENCE).await;
    // In Cloudify's words (`cloudify/workflows/amqp_dispatcher.py`), with what to do.
    link.map(|link| (link, Some(host))).ok_or_else(|| {
        OperationError::recoverable(format!(
            "Timed out waiting for agent: {}. Start it, or give it a link: see `wag agents list`",
            key.name
        ))
    })
}

/// Returns the name of the agent of a host: what its runtime properties say, else what its node
/// says, else the id of the host itself (`cloudify_agent/installer/config`).
pub(crate) async fn host_agent(
    home: &Home,
    stage: &Stage,
    host: Option<&str>,
    node: &str,
) -> Result<AgentName, OperationError> {
    agent_of(stage, &self::host(home, stage, host, node).await?)
}

async fn host(
    home: &Home,
    stage: &Stage,
    host: Option<&str>,
    node: &str,
) -> Result<NodeInstance, OperationError> {
    let host = host.ok_or_else(|| {
        OperationError::non_recoverable(format!(
            "node `{node}` is not contained in a host, so it has no host agent: give the operation \
             the executor `central_deployment_agent`, or contain the node in a Compute node"
        ))
    })?;
    let instance = home.store.node_instance(stage.scene.tenant.clone(), host.to_owned()).await;
    instance.map_err(|error| OperationError::recoverable(Chain(&error).to_string()))
}

fn agent_of(stage: &Stage, host: &NodeInstance) -> Result<AgentName, OperationError> {
    let nothing = Value::Null;
    let properties = stage.node_json(&host.node_id).map_or(&nothing, |node| &node["properties"]);
    let name = named_agent(host, properties);
    name.parse().map_err(|why| OperationError::non_recoverable(format!("{why}")))
}

/// Returns the name that a host's runtime properties give its agent, else its node's properties,
/// else the id of the host itself.
pub(crate) fn named_agent<'n>(host: &'n NodeInstance, properties: &'n Value) -> &'n str {
    let told = host.runtime_properties.get("cloudify_agent");
    let told = told.and_then(|agent| agent["name"].as_str().or_else(|| agent["queue"].as_str()));
    let declared = ["agent_config", "cloudify_agent"].iter().find_map(|key| {
        let config = properties.get(*key)?;
        config["service_name"].as_str().or_else(|| config["name"].as_str())
    });
    told.or(declared).filter(|name| !name.is_empty()).unwrap_or(&host.id)
}

/// Returns the operation's inputs with their functions evaluated.
async fn inputs(
    home: &Home,
    stage: &Stage,
    dispatch: &Dispatch,
    answers: &Answers,
) -> Result<Map<String, Value>, OperationError> {
    let inputs = Value::Object(dispatch.operation.inputs.clone());
    if !dispatch.operation.has_intrinsic_functions {
        return Ok(dispatch.operation.inputs.clone());
    }
    match evaluate::value(home, stage, &answers.viewpoint, inputs).await {
        Ok(Value::Object(inputs)) => Ok(inputs),
        Ok(_) => Err(OperationError::non_recoverable("the evaluated inputs are no object")),
        Err(unanswered) => Err(OperationError::recoverable(format!(
            "failed to evaluate the inputs: {}",
            unanswered.message
        ))),
    }
}

/// Returns what the agent runs, and the wagons it needs for it.
async fn implementation(
    home: &Home,
    stage: &Stage,
    link: &Link,
    dispatch: &Dispatch,
    plugin: &Plugin,
    inputs: &Map<String, Value>,
) -> Result<(Implementation, Vec<Digest>), OperationError> {
    let function = dispatch.operation.operation.as_str();
    if (plugin.name.as_str(), function) == SCRIPT {
        let text = |key: &str| inputs.get(key).and_then(Value::as_str).map(str::to_owned);
        let script = match (text("script_path"), text("script_source")) {
            (_, Some(source)) => script_operation::Script::Source(source),
            (Some(path), None) => script_operation::Script::Path(path),
            (None, None) => {
                let why = "a script operation needs `script_path` or `script_source`";
                return Err(OperationError::non_recoverable(why));
            }
        };
        // Only scripts in Python need it; the agent says so where it is missing.
        let runtime = environment::runtime(home, stage, &link.host).await?;
        let wagons = runtime.iter().map(|candidate| candidate.plugin.digest).collect();
        let process = inputs.get("process").filter(|process| !process.is_null());
        let script = ScriptOperation {
            script: Some(script),
            process_json: process.map_or_else(|| "{}".to_owned(), ToString::to_string),
            environment: runtime.as_ref().map(|candidate| environment::of(candidate, None, plugin)),
        };
        return Ok((Implementation::Script(script), wagons));
    }
    let (environment, artifacts) = environment::of_plugin(home, stage, link, plugin).await?;
    debug!(agent = %link.key, function, ?artifacts, "a Python operation");
    let python = PythonOperation { task_name: function.to_owned(), environment: Some(environment) };
    Ok((Implementation::Python(python), artifacts))
}

/// Returns the nodes and node instances that the operation sees at once: its own, and the other
/// side's of a relationship.
async fn seen(
    dispatch: &Dispatch,
    answers: &Answers,
) -> Result<(Vec<String>, Vec<String>), OperationError> {
    let mut sides = vec![(dispatch.node.as_str(), dispatch.instance.as_str())];
    if let Some(of) = &dispatch.relationship {
        let both = [
            (of.source_node.as_str(), of.source_instance.as_str()),
            (of.target_node.as_str(), of.target_instance.as_str()),
        ];
        sides.extend(both.into_iter().filter(|side| side.1 != dispatch.instance));
    }
    let (mut nodes, mut instances) = (Vec::new(), Vec::new());
    for (node, instance) in sides {
        let node = answers.shown_node(node, Some(instance)).await;
        let instance = answers.stored(instance).await;
        let failed = |unanswered: crate::executions::answers::Unanswered| {
            OperationError::recoverable(unanswered.message)
        };
        nodes.push(node.map_err(failed)?.to_string());
        let instance = instance.map_err(failed)?;
        instances.push(crate::executions::shapes::node_instance(&instance).to_string());
    }
    Ok((nodes, instances))
}

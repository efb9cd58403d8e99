//! What an operation is told of itself: Cloudify's `__cloudify_context`.
//!
//! The keys and their meaning are those of `cloudify/workflows/workflow_context.py` and
//! `cloudify/workflows/tasks.py`.

use serde_json::{Map, Value, json};
use waggoner_engine::{Dispatch, Side};
use waggoner_types::{
    AgentName, BlueprintId, DeploymentId, ExecutionId, OperationId, TenantName,
    plan::{Executor, Plugin},
};

/// The execution that an operation belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) tenant: TenantName,
    pub(crate) execution: ExecutionId,
    pub(crate) workflow: String,
    pub(crate) parameters: Map<String, Value>,
    pub(crate) deployment: DeploymentId,
    pub(crate) blueprint: BlueprintId,
}

/// Returns the context of one operation.
pub(crate) fn context(
    scene: &Scene,
    dispatch: &Dispatch,
    operation: OperationId,
    plugin: &Plugin,
    agent: &AgentName,
    execution_env: &Map<String, Value>,
) -> Value {
    let Scene { tenant, execution, workflow, parameters, deployment, blueprint } = scene;
    let mut context = json!({
        "__cloudify_context": "0.3",
        "type": "operation",
        "task_id": operation.to_string(),
        "task_name": dispatch.operation.operation,
        "task_queue": agent.as_str(),
        "task_target": agent.as_str(),
        "execution_id": execution.to_string(),
        "workflow_id": workflow,
        "workflow_parameters": parameters,
        "tenant": { "name": tenant.as_str() },
        "timeout": dispatch.operation.timeout,
        "timeout_recoverable": dispatch.operation.timeout_recoverable,
        "node_id": dispatch.instance,
        "node_name": dispatch.node,
        "plugin": told_plugin(plugin, tenant),
        "operation": {
            "name": dispatch.operation_name,
            "retry_number": dispatch.retry_number,
            "max_retries": dispatch.total_retries,
        },
        "has_intrinsic_functions": false,
        "host_id": dispatch.host,
        "executor": executor(dispatch.executor),
        "execution_env": execution_env,
        "local": false,
        "bypass_maintenance": false,
        "execution_creator_username": "admin",
        "blueprint_id": blueprint.as_str(),
        "deployment_id": deployment.as_str(),
        "deployment_display_name": deployment.as_str(),
        "deployment_creator": "admin",
        // Plugins call `.update` on it: it has to be an object.
        "deployment_resource_tags": {},
        "resume": dispatch.again,
    });
    if let Some(relationship) = &dispatch.relationship {
        let (instance, node, is_target) = match relationship.side {
            Side::Source => (&relationship.target_instance, &relationship.target_node, true),
            Side::Target => (&relationship.source_instance, &relationship.source_node, false),
        };
        context["related"] =
            json!({ "node_id": instance, "node_name": node, "is_target": is_target });
        context["operation"]["relationship"] = relationship.side.as_str().into();
    }
    context
}

fn told_plugin(plugin: &Plugin, tenant: &TenantName) -> Value {
    json!({
        "name": plugin.name,
        "package_name": plugin.package_name,
        "package_version": plugin.package_version,
        "visibility": "tenant",
        "tenant_name": tenant.as_str(),
        "source": plugin.source,
        "properties": plugin.properties,
    })
}

fn executor(executor: Executor) -> &'static str {
    match executor {
        Executor::CentralDeploymentAgent => "central_deployment_agent",
        Executor::HostAgent => "host_agent",
        Executor::Auto => "auto",
    }
}

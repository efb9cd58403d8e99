//! What an execution runs on: its deployment's plan, and what never changes while it runs.

use std::sync::Arc;

use serde_json::Value;
use waggoner_store::{blueprint::Blueprint, instance::NodeInstance};
use waggoner_types::{
    ExecutionId, OperationId,
    plan::{Node, Plan, Plugin},
};
use waggoner_wire::{Reason, Refused};

use crate::{
    api::refused,
    executions::{Asked, context::Scene},
    home::Home,
};

/// What an execution runs on.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) scene: Scene,
    pub(crate) plan: Arc<Plan>,
    /// The plan as it is stored, for what the typed view leaves out.
    pub(crate) plan_json: Arc<Value>,
    /// The deployment's inputs.
    pub(crate) inputs: Value,
    pub(crate) blueprint: Blueprint,
    /// The one before, while an update runs: what goes is still made of its files.
    pub(crate) before: Option<Blueprint>,
}

// === impl Stage ===

impl Stage {
    pub(crate) async fn load(
        home: &Home,
        asked: &Asked,
        execution: ExecutionId,
    ) -> Result<Self, Refused> {
        let (tenant, id) = (&asked.tenant, &asked.deployment);
        let store = &home.store;
        let deployment = store.deployment(tenant.clone(), id.clone()).await.map_err(refused)?;
        let plan_json = store.deployment_plan(tenant.clone(), id.clone()).await.map_err(refused)?;
        let blueprint = deployment.blueprint_id;
        let blueprint = store.blueprint(tenant.clone(), blueprint).await.map_err(refused)?;
        let plan: Plan = serde_json::from_value(plan_json.clone()).map_err(|error| {
            let why = format!("failed to read the plan of deployment `{id}`: {error}");
            Refused::new(Reason::Internal, why)
        })?;
        Ok(Self {
            scene: Scene {
                tenant: tenant.clone(),
                execution,
                workflow: asked.workflow.clone(),
                parameters: asked.parameters.clone(),
                deployment: id.clone(),
                blueprint: blueprint.id.clone(),
            },
            plan: Arc::new(plan),
            plan_json: Arc::new(plan_json),
            inputs: deployment.inputs,
            blueprint,
            before: None,
        })
    }

    /// Returns the deployment's node instances as they are now.
    pub(crate) async fn instances(&self, home: &Home) -> Result<Vec<NodeInstance>, Refused> {
        let (tenant, deployment) = (self.scene.tenant.clone(), self.scene.deployment.clone());
        home.store.all_node_instances(tenant, deployment).await.map_err(refused)
    }

    /// Returns a node of the plan.
    pub(crate) fn node(&self, id: &str) -> Option<&Node> {
        self.plan.nodes.iter().find(|node| node.id == id)
    }

    /// Returns a node of the plan with all that was stored of it.
    pub(crate) fn node_json(&self, id: &str) -> Option<&Value> {
        self.plan_json["nodes"].as_array()?.iter().find(|node| node["id"] == id)
    }

    /// Returns the plugin that an operation of a node names.
    pub(crate) fn plugin(&self, node: &str, name: &str) -> Plugin {
        let plugins = self.node(node).into_iter().flat_map(|node| &node.plugins);
        let found = plugins.rev().find(|plugin| plugin.name == name);
        found.cloned().unwrap_or_else(|| Plugin { name: name.to_owned(), ..Plugin::default() })
    }

    /// Returns the id of an operation: the same whenever it is asked for, so that an operation
    /// that was dispatched before a crash is found again.
    pub(crate) fn operation(&self, task: u64, retry: u32) -> OperationId {
        operation_id(self.scene.execution, task, retry)
    }
}

/// Returns the id of an operation of an execution.
pub(crate) fn operation_id(execution: ExecutionId, task: u64, retry: u32) -> OperationId {
    let name = format!("{task}/{retry}");
    OperationId(uuid::Uuid::new_v5(&execution.0, name.as_bytes()))
}

//! Deployments, executions, events and node instances.

use serde_json::{Map, Value, json};
use waggoner_proto::v1::{
    Deployment, Event, Execution, ExecutionStatus, GetDeploymentOutputsResponse, NodeInstance,
    NodeInstanceRelationship,
};

use super::{Mood, Record, free, time, word};
use crate::ui::Clock;

impl Record for Deployment {
    const COLUMNS: &'static [&'static str] = &["id", "blueprint", "started", "created"];

    fn shape(&self) -> Value {
        let Self {
            id,
            tenant,
            blueprint_id,
            created_at,
            inputs_json,
            workflows,
            node_instances,
            node_instances_started,
        } = self;
        json!({
            "id": id,
            "tenant": tenant,
            "blueprint_id": blueprint_id,
            "created_at": time(created_at.as_ref()),
            "inputs": free(inputs_json, json!({})),
            "workflows": workflows,
            "node_instances": node_instances,
            "node_instances_started": node_instances_started,
        })
    }

    fn row(&self, clock: &Clock) -> Vec<String> {
        vec![
            self.id.clone(),
            self.blueprint_id.clone(),
            format!("{} of {}", self.node_instances_started, self.node_instances),
            clock.day(self.created_at.as_ref()),
        ]
    }
}

impl Record for Execution {
    const COLUMNS: &'static [&'static str] =
        &["id", "workflow", "deployment", "status", "operations", "created"];

    fn shape(&self) -> Value {
        let Self {
            id,
            tenant,
            deployment_id,
            workflow_id,
            status: _,
            parameters_json,
            error,
            created_at,
            started_at,
            ended_at,
            total_operations,
            finished_operations,
            priority,
            dry_run,
            scheduled_for,
        } = self;
        json!({
            "id": id,
            "tenant": tenant,
            "deployment_id": deployment_id,
            "workflow_id": workflow_id,
            "status": status_word(self.status()),
            "parameters": free(parameters_json, json!({})),
            "error": error,
            "created_at": time(created_at.as_ref()),
            "started_at": time(started_at.as_ref()),
            "ended_at": time(ended_at.as_ref()),
            "total_operations": total_operations,
            "finished_operations": finished_operations,
            "priority": priority,
            "dry_run": dry_run,
            "scheduled_for": time(scheduled_for.as_ref()),
        })
    }

    fn row(&self, clock: &Clock) -> Vec<String> {
        vec![
            self.id.clone(),
            self.workflow_id.clone(),
            self.deployment_id.clone(),
            status_word(self.status()).as_str().unwrap_or("-").to_owned(),
            format!("{} of {}", self.finished_operations, self.total_operations),
            clock.day(self.created_at.as_ref()),
        ]
    }

    fn mood(&self) -> Mood {
        match self.status() {
            ExecutionStatus::Failed => Mood::Bad,
            ExecutionStatus::Terminated | ExecutionStatus::Unspecified => Mood::Plain,
            ExecutionStatus::Cancelled => Mood::Gone,
            _ => Mood::Busy,
        }
    }
}

/// The shape of an event; for people it is a line, see [`crate::ui::event_line`].
pub(crate) fn event(event: &Event) -> Value {
    let Event {
        id,
        time: happened,
        reported_at,
        message,
        event_type,
        level,
        logger,
        execution_id,
        deployment_id,
        workflow_id,
        node_id,
        node_instance_id,
        operation,
        attempt_id,
        sequence,
        causes_json,
        agent,
        target_id,
    } = event;
    json!({
        "id": id,
        "time": time(happened.as_ref()),
        "reported_at": time(reported_at.as_ref()),
        "message": message,
        "event_type": event_type,
        "level": level,
        "logger": logger,
        "execution_id": execution_id,
        "deployment_id": deployment_id,
        "workflow_id": workflow_id,
        "node_id": node_id,
        "node_instance_id": node_instance_id,
        "operation": operation,
        "attempt_id": attempt_id,
        "sequence": sequence,
        "causes": free(causes_json, json!([])),
        "agent": agent,
        "target_id": target_id,
    })
}

impl Record for NodeInstance {
    const COLUMNS: &'static [&'static str] = &["id", "node", "deployment", "state", "host"];

    fn shape(&self) -> Value {
        let Self {
            id,
            tenant,
            deployment_id,
            node_id,
            host_id,
            state,
            runtime_properties_json,
            version,
            index,
            relationships,
        } = self;
        let relationships = relationships.iter().map(|relationship| {
            let NodeInstanceRelationship { r#type, target_name, target_id } = relationship;
            json!({ "type": r#type, "target_name": target_name, "target_id": target_id })
        });
        json!({
            "id": id,
            "tenant": tenant,
            "deployment_id": deployment_id,
            "node_id": node_id,
            "host_id": host_id,
            "state": state,
            "runtime_properties": free(runtime_properties_json, json!({})),
            "version": version,
            "index": index,
            "relationships": relationships.collect::<Vec<_>>(),
        })
    }

    fn row(&self, _: &Clock) -> Vec<String> {
        let Self { id, node_id, deployment_id, state, host_id, .. } = self;
        [id, node_id, deployment_id, state, host_id].map(Clone::clone).into()
    }

    fn mood(&self) -> Mood {
        match self.state.as_str() {
            "started" => Mood::Plain,
            "uninitialized" | "deleted" => Mood::Gone,
            _ => Mood::Busy,
        }
    }
}

/// The shape of a deployment's outputs and capabilities.
pub(crate) fn outputs(answer: &GetDeploymentOutputsResponse) -> Value {
    let GetDeploymentOutputsResponse { outputs_json, capabilities_json } = answer;
    json!({
        "outputs": free(outputs_json, Value::Object(Map::new())),
        "capabilities": free(capabilities_json, Value::Object(Map::new())),
    })
}

/// Whether an execution has ended.
pub(crate) fn is_ended(execution: &Execution) -> bool {
    use ExecutionStatus::{Cancelled, Failed, Terminated};
    matches!(execution.status(), Cancelled | Failed | Terminated)
}

/// How an execution that did not end well ended.
pub(crate) fn outcome(execution: &Execution) -> Option<&'static str> {
    match execution.status() {
        ExecutionStatus::Terminated => None,
        ExecutionStatus::Cancelled => Some("was cancelled"),
        ExecutionStatus::Failed => Some("failed"),
        _ => Some("has not ended"),
    }
}

pub(super) fn status_word(status: ExecutionStatus) -> Value {
    word(status.as_str_name(), "EXECUTION_STATUS_")
}

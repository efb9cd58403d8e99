//! `/operations` (`rest/resources_v3_1/operations.py`): those of the operation's own execution.

use serde_json::{Value, json};
use waggoner_store::execution::Operation;

use crate::executions::{
    answers::Unanswered,
    rest::{
        list::{included, list},
        reply::{Answered, Reply, owned, time},
        request::Call,
        system::MANAGER,
    },
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, call.path) {
        ("GET", []) => list(call.query, listed(call).await?),
        ("GET", [id]) => Reply::ok(included(call.query, find(call, id).await?)?),
        // The engine alone says how far an operation is. Stock workers and `ctx` tell it all the
        // same, and hear what Cloudify answers.
        ("PATCH", [id]) => {
            find(call, id).await?;
            Reply::ok(json!({}))
        }
        // Cloudify rewrites operations of stored graphs after an update: there are none here.
        ("POST", []) if call.text("action").as_deref() == Some("update-stored") => Reply::none(),
        _ => call.unknown("operations"),
    }
}

async fn listed(call: &Call<'_>) -> Result<Vec<Value>, Unanswered> {
    let execution = call.answers.stage.scene.execution;
    // A graph has its execution's id.
    let graph = call.query.get("graph_id").or(call.query.get("execution_id"));
    if graph.is_some_and(|graph| *graph != execution.to_string()) {
        return Ok(Vec::new());
    }
    let operations = call.home().store.operations(execution).await?;
    Ok(operations.iter().map(|operation| shown(call, operation)).collect())
}

async fn find(call: &Call<'_>, id: &str) -> Result<Value, Unanswered> {
    let operations = call.home().store.operations(call.answers.stage.scene.execution).await?;
    let found = operations.iter().find(|operation| operation.id.to_string() == id);
    found
        .map(|operation| shown(call, operation))
        .ok_or_else(|| Unanswered::not_found("Operation", id))
}

fn shown(call: &Call<'_>, operation: &Operation) -> Value {
    let state = match &operation.outcome {
        None => "started",
        Some(outcome) if outcome.get("error").is_none_or(Value::is_null) => "succeeded",
        Some(_) => "failed",
    };
    let shown = json!({
        "id": operation.id.to_string(),
        "name": operation.name,
        "state": state,
        "type": "RemoteWorkflowTask",
        "created_at": time(operation.created_at),
        "dependencies": [],
        "parameters": {
            "current_retries": operation.retry,
            "info": null,
            "error": null,
        },
        "manager_name": MANAGER,
        "agent_name": null,
        "tasks_graph_id": call.answers.stage.scene.execution.to_string(),
    });
    owned(&call.tenant(), shown)
}

//! `/tasks_graphs` (`rest/resources_v3_1/tasks_graphs.py`): an execution has one, of its own id.

use serde_json::json;
use waggoner_types::ExecutionId;

use crate::executions::rest::{
    list::list,
    reply::{Answered, owned, time},
    request::Call,
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let ("GET", []) = (call.method, call.path) else {
        return call.unknown("tasks_graphs");
    };
    let asked = call.query.get("execution_id").and_then(|id| id.parse::<ExecutionId>().ok());
    let id = asked.unwrap_or(call.answers.stage.scene.execution);
    let found = call.home().store.execution(call.tenant(), id).await;
    let found = found.ok().filter(|one| call.answers.reach.reaches(call.own(), &one.deployment_id));
    // Cloudify names a graph by what was asked for: whoever asks gets the name back.
    let graph = found.map(|execution| {
        let name = call.query.get("name").unwrap_or(&execution.workflow_id);
        let shown = json!({
            "id": execution.id.to_string(),
            "name": name,
            "execution_id": execution.id.to_string(),
            "created_at": time(execution.created_at),
        });
        owned(&execution.tenant, shown)
    });
    list(call.query, graph.into_iter().collect())
}

//! `/deployment-updates` (`rest/resources_v3_1/deployment_update.py`).
//!
//! An update is an execution of the workflow `update`, and has its id.

use serde_json::{Map, Value, json};
use waggoner_store::execution::Execution;
use waggoner_types::{BlueprintId, ExecutionId, ExecutionStatus};

use crate::executions::{
    self, UpdateAsked,
    answers::Unanswered,
    rest::{
        deployments::Seen,
        list::{Chosen, Rows, included},
        reply::{Answered, Reply, owned, time},
        request::Call,
    },
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, call.path) {
        ("GET", []) => {
            let store = &call.home().store;
            let page = |page| async move { store.executions(call.tenant(), None, &page).await };
            let (mut chosen, mut executions) = (Chosen::new(call.query), Rows::new(page));
            while let Some(execution) = executions.next().await? {
                if is_update(call, &execution) {
                    chosen.take(shown(call, &execution).await?)?;
                }
            }
            chosen.answer()
        }
        ("GET", [id]) => Reply::ok(included(call.query, one(call, id).await?)?),
        ("POST", [deployment, "update", "initiate"]) => initiate(call, deployment).await,
        // The execution's end is its end.
        ("POST", [id, "update", "finalize"]) => {
            let parsed: Result<ExecutionId, _> = id.parse();
            let parsed = parsed.map_err(|_| Unanswered::not_found("DeploymentUpdate", id))?;
            let found = call.home().store.execution(call.tenant(), parsed).await?;
            Reply::ok(shown(call, &found).await?)
        }
        _ => call.unknown("deployment-updates"),
    }
}

fn is_update(call: &Call<'_>, execution: &Execution) -> bool {
    execution.workflow_id == "update"
        && call.answers.reach.reaches(call.own(), &execution.deployment_id)
}

async fn initiate(call: &Call<'_>, deployment: &str) -> Answered {
    call.require_tenant("update deployments")?;
    let seen = Seen::load(call, deployment).await?;
    let blueprint = match call.text("blueprint_id") {
        None => None,
        Some(id) => {
            Some(id.parse::<BlueprintId>().map_err(|_| Unanswered::not_found("Blueprint", &id))?)
        }
    };
    let inputs = match call.field("inputs") {
        Value::Null => Map::new(),
        Value::Object(inputs) => inputs.clone(),
        _ => return Err(Unanswered::invalid("`inputs` has to be a JSON object")),
    };
    let flags = [
        "skip_install",
        "skip_uninstall",
        "skip_reinstall",
        "skip_drift_check",
        "ignore_failure",
        "install_first",
    ];
    let flags = flags.into_iter().filter(|name| call.flag(name));
    let reinstall = call.field("reinstall_list").as_array().into_iter().flatten();
    let asked = UpdateAsked {
        tenant: call.tenant(),
        deployment: seen.row.id.clone(),
        blueprint,
        inputs,
        reinstall: reinstall.filter_map(Value::as_str).map(str::to_owned).collect(),
        parameters: flags.map(|name| (name.to_owned(), true.into())).collect(),
        force: call.flag("force"),
        preview: call.flag("preview"),
    };
    let id = executions::new_id();
    let reply = Reply::changed("deployment-updates", id.to_string());
    let store = call.deciding(&reply);
    let updated = Box::pin(executions::update_as(call.home(), store, id, asked)).await?;
    if updated.execution.is_some() {
        return Ok(reply);
    }
    let preview = json!({
        "id": null,
        "deployment_id": deployment,
        "state": "preview",
        "steps": [],
        "execution_id": null,
    });
    Reply::ok(owned(&call.tenant(), preview))
}

/// An update as it is shown.
pub(super) async fn one(call: &Call<'_>, id: &str) -> Result<Value, Unanswered> {
    let missing = || Unanswered::not_found("DeploymentUpdate", id);
    let parsed: ExecutionId = id.parse().map_err(|_| missing())?;
    let found = call.home().store.execution(call.tenant(), parsed).await;
    let found = found.ok().filter(|one| is_update(call, one)).ok_or_else(missing)?;
    shown(call, &found).await
}

/// An update as it is shown. What it did step by step is in its execution's events.
async fn shown(call: &Call<'_>, execution: &Execution) -> Result<Value, Unanswered> {
    let seen = Seen::load(call, execution.deployment_id.as_str()).await?;
    let blueprint = seen.row.blueprint_id.as_str();
    let mut shown = json!({
        "id": execution.id.to_string(),
        "execution_id": execution.id.to_string(),
        "deployment_id": execution.deployment_id.as_str(),
        "state": match execution.status {
            ExecutionStatus::Terminated => "successful",
            status if status.is_end() => "failed",
            _ => "updating",
        },
        "created_at": time(execution.created_at),
        "old_blueprint_id": blueprint,
        "new_blueprint_id": blueprint,
        "old_inputs": seen.row.inputs,
        "new_inputs": seen.row.inputs,
        "runtime_only_evaluation": false,
        "keep_old_deployment_dependencies": false,
        "steps": [],
        "recursive_dependencies": null,
        "schedules_to_create": null,
        "schedules_to_delete": null,
        "labels_to_create": null,
        "deployment_update_deployment_p": null,
        "old_inputs_p": null,
        "new_inputs_p": null,
    });
    for name in [
        "deployment_plan",
        "deployment_update_node_instances",
        "deployment_update_nodes",
        "central_plugins_to_install",
        "central_plugins_to_uninstall",
        "modified_entity_ids",
    ] {
        shown[name] = Value::Null;
        shown[format!("{name}_p")] = Value::Null;
    }
    Ok(owned(&execution.tenant, shown))
}

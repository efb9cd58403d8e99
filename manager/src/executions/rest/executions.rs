//! `/executions` (`rest/resources_v3/executions.py`).

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use waggoner_engine::Resume;
use waggoner_store::execution::Execution;
use waggoner_types::{CancelMode, ExecutionId, ExecutionStatus};

use crate::executions::{
    self, Asked, When,
    answers::Unanswered,
    kept::Kept,
    rest::{
        list::{Chosen, Rows, included},
        reply::{Answered, Reply, maybe_time, owned, time},
        request::Call,
    },
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, call.path) {
        ("GET", []) => listed(call).await?.answer(),
        ("GET", [id]) => {
            let execution = find(call, id).await?;
            Reply::ok(included(call.query, shown(call, &execution).await?)?)
        }
        ("GET", [id, "should-start"]) => {
            // The engine begins what it has to begin by itself.
            find(call, id).await?;
            Reply::ok(Value::Bool(false))
        }
        ("POST", []) => start(call).await,
        ("POST", [id]) => act(call, id).await,
        // A status is the engine's to change; stock workflow code is told that it is as it is.
        ("PATCH", [id]) => {
            let execution = find(call, id).await?;
            let status = call.required("status")?;
            if status != execution.status.as_str() {
                return Err(Unanswered::refused(
                    "illegal_action_error",
                    format!(
                        "execution `{id}` is {}, and only the manager itself changes that",
                        execution.status
                    ),
                ));
            }
            Reply::ok(shown(call, &execution).await?)
        }
        _ => call.unknown("executions"),
    }
}

async fn listed<'c>(call: &Call<'c>) -> Result<Chosen<'c>, Unanswered> {
    let mut chosen = Chosen::new(call.query);
    let store = &call.home().store;
    let of = match call.query.get("deployment_id") {
        Some(id) => match call.deployment(id) {
            Ok(id) => Some(id),
            // In Cloudify there are none of what is not there.
            Err(_) => return Ok(chosen),
        },
        None => None,
    };
    let page = |page| {
        let of = of.clone();
        async move { store.executions(call.tenant(), of, &page).await }
    };
    let mut executions = Rows::new(page);
    while let Some(execution) = executions.next().await? {
        if call.answers.reach.reaches(call.own(), &execution.deployment_id) {
            chosen.take(shown(call, &execution).await?)?;
        }
    }
    Ok(chosen)
}

async fn find(call: &Call<'_>, id: &str) -> Result<Execution, Unanswered> {
    let missing = || Unanswered::not_found("Execution", id);
    let parsed: ExecutionId = id.parse().map_err(|_| missing())?;
    let execution = call.home().store.execution(call.tenant(), parsed).await?;
    if call.answers.reach.reaches(call.own(), &execution.deployment_id) {
        Ok(execution)
    } else {
        Err(missing())
    }
}

async fn start(call: &Call<'_>) -> Answered {
    call.require_tenant("start executions")?;
    let deployment = call.deployment(&call.required("deployment_id")?)?;
    let workflow = call.required("workflow_id")?;
    if workflow == "update" {
        let why = "workflow `update` is run by an update of the deployment";
        return Err(Unanswered::refused("unavailable_workflow_error", why));
    }
    let parameters = match call.field("parameters") {
        Value::Null => Map::new(),
        Value::Object(parameters) => parameters.clone(),
        _ => {
            let why = "`parameters` has to be a JSON object";
            return Err(Unanswered::refused("illegal_execution_parameters_error", why));
        }
    };
    let when = match call.text("scheduled_time") {
        Some(time) => {
            let wrong = |error| Unanswered::invalid(&format!("`scheduled_time`: {error}"));
            When::At(time.parse::<Timestamp>().map_err(wrong)?)
        }
        None if call.flag("queue") => When::Queued,
        None => When::Now,
    };
    let asked = Asked {
        parameters,
        allow_custom_parameters: call.flag("allow_custom_parameters"),
        dry_run: call.flag("dry_run"),
        force: call.flag("force"),
        when,
        ..Asked::new(call.tenant(), deployment, workflow)
    };
    let id = executions::new_id();
    let reply = Reply::made("executions", id.to_string());
    let store = call.deciding(&reply);
    Box::pin(executions::start_as(call.home(), store, id, asked)).await?;
    Ok(reply)
}

async fn act(call: &Call<'_>, id: &str) -> Answered {
    call.require_tenant("change executions")?;
    let id = find(call, id).await?.id;
    let reply = Reply::changed("executions", id.to_string());
    let resume = |resume| {
        let store = call.deciding(&reply);
        Box::pin(executions::resume_as(call.home(), store, call.tenant(), id, resume))
    };
    match call.required("action")?.as_str() {
        "cancel" => cancel(call, id, CancelMode::Cancel).await?,
        "force-cancel" => cancel(call, id, CancelMode::Force).await?,
        "kill" => cancel(call, id, CancelMode::Kill).await?,
        "resume" => resume(Resume::Unfinished).await.map(drop)?,
        "force-resume" => resume(Resume::Force).await.map(drop)?,
        action => {
            let why = format!("`{action}` is no action on an execution");
            return Err(Unanswered::refused("illegal_action_error", why));
        }
    }
    Ok(reply)
}

async fn cancel(call: &Call<'_>, id: ExecutionId, mode: CancelMode) -> Result<(), Unanswered> {
    call.begin().await?;
    let Err(refusal) = executions::cancel(call.home(), call.tenant(), id, mode).await else {
        return Ok(());
    };
    // It may be this very request that has ended it.
    let now = call.home().store.execution(call.tenant(), id).await?;
    if call.was_tried && now.status.is_end() {
        return Ok(());
    }
    Err(refusal.into())
}

/// An execution as it is shown.
pub(super) async fn one(call: &Call<'_>, id: &str) -> Result<Value, Unanswered> {
    shown(call, &find(call, id).await?).await
}

/// An execution as it is shown.
pub(super) async fn shown(call: &Call<'_>, execution: &Execution) -> Result<Value, Unanswered> {
    let store = &call.home().store;
    let of = store.deployment(call.tenant(), execution.deployment_id.clone()).await?;
    let kept = Kept::load(call.home(), execution.id).await;
    let shown = json!({
        "id": execution.id.to_string(),
        "status": execution.status.as_str(),
        "status_display": displayed(execution.status),
        "workflow_id": execution.workflow_id,
        "deployment_id": execution.deployment_id.as_str(),
        "deployment_display_name": execution.deployment_id.as_str(),
        "blueprint_id": of.blueprint_id.as_str(),
        "created_at": time(execution.created_at),
        "started_at": maybe_time(execution.started_at),
        "ended_at": maybe_time(execution.ended_at),
        "scheduled_for": maybe_time(execution.scheduled_for),
        "error": match (&execution.error, execution.started_at) {
            (Some(error), _) => Value::from(error.as_str()),
            // Cloudify's workflows write an empty one when they begin.
            (None, Some(_)) => "".into(),
            (None, None) => Value::Null,
        },
        "is_system_workflow": false,
        "parameters_p": null,
        "parameters": execution.parameters,
        "is_dry_run": execution.dry_run,
        "resume": false,
        "total_operations": execution.total_operations,
        "finished_operations": execution.finished_operations,
        "allow_custom_parameters":
            kept.is_ok_and(|kept| kept.start.allow_custom_parameters),
    });
    Ok(owned(&execution.tenant, shown))
}

fn displayed(status: ExecutionStatus) -> &'static str {
    match status {
        ExecutionStatus::Terminated => "completed",
        status => status.as_str(),
    }
}

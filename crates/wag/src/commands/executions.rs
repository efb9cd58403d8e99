//! `wag executions`.

use prost_types::Timestamp;
use serde_json::Value;
use waggoner_proto::v1::{
    CancelExecutionRequest, CancelMode, Execution, ExplainExecutionRequest,
    ExplainExecutionResponse, GetExecutionGraphRequest, GetExecutionRequest, ListExecutionsRequest,
    ResumeExecutionRequest, StartExecutionRequest,
};

use super::Context;
use crate::{
    Error, Ui,
    cli::Executions,
    client::{ClientError, Manager, all, ask, request_id},
    inputs::{self, InputsError},
    record,
    task_graph::TaskGraph,
    ui::printable,
};

mod watch;

pub(crate) use self::watch::watch;

pub(super) async fn run(context: &mut Context<'_>, command: Executions) -> Result<(), Error> {
    match command {
        Executions::Start {
            workflow,
            deployment_id,
            parameter,
            parameters,
            allow_custom_parameters,
            dry_run,
            queue,
            schedule,
            priority,
            force,
            detach,
            logs,
        } => {
            let parameters_json = inputs::read(&parameters, &parameter)?;
            let scheduled_for = schedule.as_deref().map(time).transpose()?;
            let follows = !detach && scheduled_for.is_none();
            let manager = context.manager().await?;
            let request = StartExecutionRequest {
                tenant: manager.tenant(),
                deployment_id,
                workflow_id: workflow,
                parameters_json,
                allow_custom_parameters,
                request_id: request_id(),
                dry_run,
                queue,
                scheduled_for,
                priority,
                force,
            };
            let execution = start(&manager, request).await?;
            follow(context.ui, &manager, &execution, follows, logs).await
        }
        Executions::Resume { execution: id, force, detach, logs } => {
            let manager = context.manager().await?;
            let tenant = manager.tenant();
            let request = ResumeExecutionRequest { tenant, id, force, request_id: request_id() };
            let call = async |request| manager.executions().resume_execution(request).await;
            let answer = ask(request, call).await?;
            let execution = answer.execution.ok_or(ClientError::Hollow("execution"))?;
            follow(context.ui, &manager, &execution, !detach, logs).await
        }
        Executions::Explain { execution: id, most } => {
            let manager = context.manager().await?;
            let request = ExplainExecutionRequest { tenant: manager.tenant(), id, page_size: most };
            let call = async |request| manager.executions().explain_execution(request).await;
            explain(context.ui, &ask(request, call).await?)
        }
        Executions::Graph { execution: id, text } => {
            let manager = context.manager().await?;
            let request = GetExecutionGraphRequest { tenant: manager.tenant(), id };
            let call = async |request| manager.executions().get_execution_graph(request).await;
            let graph = TaskGraph::of(&ask(request, call).await?);
            if context.ui.is_json() {
                return context.ui.json(&graph.shape());
            }
            let is_text = !context.ui.is_svg() && (text || context.ui.is_terminal());
            context.ui.data(&if is_text { graph.text() } else { graph.svg() })
        }
        Executions::List { deployment_id } => {
            let manager = context.manager().await?;
            let executions = list(&manager, &deployment_id.unwrap_or_default()).await?;
            context.ui.list(&executions)
        }
        Executions::Get { execution } => {
            let manager = context.manager().await?;
            let execution = get(&manager, &execution).await?;
            context.ui.one(&execution)
        }
        Executions::Cancel { execution: id, force, kill } => {
            let manager = context.manager().await?;
            let tenant = manager.tenant();
            let mode = match (force, kill) {
                (_, true) => CancelMode::Kill,
                (true, false) => CancelMode::Force,
                (false, false) => CancelMode::Cancel,
            };
            let request =
                CancelExecutionRequest { tenant, id, mode: mode.into(), request_id: request_id() };
            let call = async |request| manager.executions().cancel_execution(request).await;
            let answer = ask(request, call).await?;
            context.ui.one(&answer.execution.ok_or(ClientError::Hollow("execution"))?)
        }
    }
}

pub(crate) async fn start(
    manager: &Manager,
    request: StartExecutionRequest,
) -> Result<Execution, ClientError> {
    let call = async |request| manager.executions().start_execution(request).await;
    ask(request, call).await?.execution.ok_or(ClientError::Hollow("execution"))
}

/// Starts a workflow without parameters.
pub(crate) async fn start_plain(
    manager: &Manager,
    deployment_id: &str,
    workflow_id: &str,
    parameters: Value,
) -> Result<Execution, ClientError> {
    let request = StartExecutionRequest {
        tenant: manager.tenant(),
        deployment_id: deployment_id.to_owned(),
        workflow_id: workflow_id.to_owned(),
        parameters_json: parameters.to_string(),
        request_id: request_id(),
        // Who goes a journey knows the state of the deployment.
        force: true,
        ..StartExecutionRequest::default()
    };
    start(manager, request).await
}

/// The executions of a deployment, where it is not empty, newest first.
pub(crate) async fn list(
    manager: &Manager,
    deployment_id: &str,
) -> Result<Vec<Execution>, ClientError> {
    all(async |page_token| {
        let request = ListExecutionsRequest {
            tenant: manager.tenant(),
            page_size: 0,
            page_token,
            deployment_id: deployment_id.to_owned(),
        };
        let call = async |request| manager.executions().list_executions(request).await;
        let page = ask(request, call).await?;
        Ok((page.executions, page.next_page_token))
    })
    .await
}

pub(crate) async fn get(manager: &Manager, id: &str) -> Result<Execution, ClientError> {
    let request = GetExecutionRequest { tenant: manager.tenant(), id: id.to_owned() };
    let call = async |request| manager.executions().get_execution(request).await;
    ask(request, call).await?.execution.ok_or(ClientError::Hollow("execution"))
}

/// Refuses an execution that did not end well.
pub(crate) fn judge(execution: &Execution) -> Result<(), Error> {
    match record::outcome(execution) {
        None => Ok(()),
        Some(how) => Err(Error::Execution {
            id: execution.id.clone(),
            workflow: execution.workflow_id.clone(),
            how,
            why: Some(execution.error.clone()).filter(|why| !why.is_empty()),
        }),
    }
}

/// Follows an execution to its end, or only shows it.
pub(super) async fn follow(
    ui: &mut Ui,
    manager: &Manager,
    execution: &Execution,
    follows: bool,
    logs: bool,
) -> Result<(), Error> {
    if !follows {
        return ui.one(execution);
    }
    let execution = watch(manager, ui, execution, logs).await?;
    end(ui, &execution)
}

/// Prints why an execution has not ended.
fn explain(ui: &mut Ui, answer: &ExplainExecutionResponse) -> Result<(), Error> {
    if ui.is_json() {
        return ui.json(&record::explanation(answer));
    }
    let ExplainExecutionResponse { execution, summary, waits, total } = answer;
    if let Some(execution) = execution {
        let Execution { id, workflow_id, deployment_id, .. } = execution;
        ui.data(&format!(
            "{} of {}, {}: {}\n",
            printable(workflow_id),
            printable(deployment_id),
            printable(id),
            printable(summary)
        ))?;
    }
    if waits.is_empty() {
        return Ok(());
    }
    ui.data("\n")?;
    ui.list(waits)?;
    let shown = u32::try_from(waits.len()).unwrap_or(u32::MAX);
    if shown < *total {
        ui.say(format!("… and {} more: see --most", total - shown));
    }
    Ok(())
}

/// A time as it was typed.
fn time(text: &str) -> Result<Timestamp, InputsError> {
    let wrong = |source| InputsError::Time { given: text.to_owned(), source };
    let instant = text.parse::<jiff::Timestamp>().or_else(|_| {
        let local: jiff::civil::DateTime = text.parse().map_err(wrong)?;
        local.to_zoned(jiff::tz::TimeZone::system()).map(|time| time.timestamp()).map_err(wrong)
    })?;
    Ok(Timestamp { seconds: instant.as_second(), nanos: instant.subsec_nanosecond() })
}

fn end(ui: &mut Ui, execution: &Execution) -> Result<(), Error> {
    ui.one(execution)?;
    judge(execution)
}

//! `wag executions`.

use serde_json::Value;
use waggoner_proto::v1::{
    CancelExecutionRequest, CancelMode, Execution, GetExecutionRequest, ListExecutionsRequest,
    StartExecutionRequest,
};

use super::Context;
use crate::{
    Error, Ui,
    cli::Executions,
    client::{ClientError, Manager, all, ask, request_id},
    inputs, record,
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
            detach,
            logs,
        } => {
            let parameters_json = inputs::read(&parameters, &parameter)?;
            let manager = context.manager().await?;
            let request = StartExecutionRequest {
                tenant: manager.tenant(),
                deployment_id,
                workflow_id: workflow,
                parameters_json,
                allow_custom_parameters,
                request_id: request_id(),
            };
            let execution = start(&manager, request).await?;
            if detach {
                return context.ui.one(&execution);
            }
            let execution = watch(&manager, context.ui, &execution, logs).await?;
            end(context.ui, &execution)
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
        allow_custom_parameters: false,
        request_id: request_id(),
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

fn end(ui: &mut Ui, execution: &Execution) -> Result<(), Error> {
    ui.one(execution)?;
    judge(execution)
}

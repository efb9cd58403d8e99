//! `ExecutionService`.

use serde_json::{Map, Value};
use tonic::{Request, Response, Status};
use waggoner_proto::v1::{
    CancelExecutionRequest, CancelExecutionResponse, CancelMode as Mode, Execution,
    ExecutionStatus as Shown, GetExecutionRequest, GetExecutionResponse, ListExecutionsRequest,
    ListExecutionsResponse, StartExecutionRequest, StartExecutionResponse,
    execution_service_server::ExecutionService,
};
use waggoner_store::{PageRequest, execution};
use waggoner_types::{CancelMode, ExecutionStatus};
use waggoner_wire::{At as _, Refused, timestamp};

use crate::{
    api::{Api, refused},
    executions::{self, Asked},
};

#[tonic::async_trait]
impl ExecutionService for Api {
    async fn start_execution(
        &self,
        request: Request<StartExecutionRequest>,
    ) -> Result<Response<StartExecutionResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        if request.workflow_id.is_empty() {
            return Err(Refused::missing("workflow_id").into());
        }
        let asked = Asked {
            tenant: tenant.clone(),
            deployment: request.deployment_id.parse().at("deployment_id")?,
            workflow: request.workflow_id.clone(),
            parameters: object(&request.parameters_json, "parameters_json")?,
            allow_custom_parameters: request.allow_custom_parameters,
        };
        self.once(&tenant, "StartExecution", &request.request_id, &request, async {
            let started = executions::start(&self.home, asked).await?;
            Ok(StartExecutionResponse { execution: Some(message(started)) })
        })
        .await
    }

    async fn list_executions(
        &self,
        request: Request<ListExecutionsRequest>,
    ) -> Result<Response<ListExecutionsResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let ListExecutionsRequest { tenant: _, page_size, page_token, deployment_id } =
            request.into_inner();
        let deployment = match deployment_id.as_str() {
            "" => None,
            id => Some(id.parse().at("deployment_id")?),
        };
        let page = PageRequest::new(page_size, page_token);
        let page = self.home.store.executions(tenant, deployment, &page).await.map_err(refused)?;
        Ok(Response::new(ListExecutionsResponse {
            executions: page.items.into_iter().map(message).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn get_execution(
        &self,
        request: Request<GetExecutionRequest>,
    ) -> Result<Response<GetExecutionResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let id = request.into_inner().id.parse().at("id")?;
        let execution = self.home.store.execution(tenant, id).await.map_err(refused)?;
        Ok(Response::new(GetExecutionResponse { execution: Some(message(execution)) }))
    }

    async fn cancel_execution(
        &self,
        request: Request<CancelExecutionRequest>,
    ) -> Result<Response<CancelExecutionResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        let id = request.id.parse().at("id")?;
        let mode = match Mode::try_from(request.mode) {
            Ok(Mode::Unspecified | Mode::Cancel) => CancelMode::Cancel,
            Ok(Mode::Force) => CancelMode::Force,
            Ok(Mode::Kill) => CancelMode::Kill,
            Err(_) => return Err(Refused::field("mode", "there is no such mode").into()),
        };
        self.once(&tenant, "CancelExecution", &request.request_id, &request, async {
            let cancelled = executions::cancel(&self.home, tenant.clone(), id, mode).await?;
            Ok(CancelExecutionResponse { execution: Some(message(cancelled)) })
        })
        .await
    }
}

/// Reads a JSON object; an empty text is an empty one.
pub(crate) fn object(json: &str, path: &str) -> Result<Map<String, Value>, Refused> {
    if json.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(json).at(path)? {
        Value::Object(object) => Ok(object),
        _ => Err(Refused::field(path, "it is no JSON object")),
    }
}

fn message(execution: execution::Execution) -> Execution {
    let execution::Execution {
        id,
        tenant,
        deployment_id,
        workflow_id,
        status,
        parameters,
        company: _,
        priority: _,
        dry_run: _,
        scheduled_for: _,
        revision: _,
        error,
        created_at,
        started_at,
        ended_at,
        total_operations,
        finished_operations,
    } = execution;
    Execution {
        id: id.to_string(),
        tenant: tenant.into(),
        deployment_id: deployment_id.into(),
        workflow_id,
        status: shown(status).into(),
        parameters_json: parameters.to_string(),
        error: error.unwrap_or_default(),
        created_at: Some(timestamp(created_at)),
        started_at: started_at.map(timestamp),
        ended_at: ended_at.map(timestamp),
        total_operations,
        finished_operations,
    }
}

fn shown(status: ExecutionStatus) -> Shown {
    match status {
        ExecutionStatus::Scheduled | ExecutionStatus::Queued | ExecutionStatus::Pending => {
            Shown::Pending
        }
        ExecutionStatus::Started => Shown::Started,
        ExecutionStatus::Cancelling => Shown::Cancelling,
        ExecutionStatus::ForceCancelling => Shown::ForceCancelling,
        ExecutionStatus::KillCancelling => Shown::KillCancelling,
        ExecutionStatus::Terminated => Shown::Terminated,
        ExecutionStatus::Failed => Shown::Failed,
        ExecutionStatus::Cancelled => Shown::Cancelled,
    }
}

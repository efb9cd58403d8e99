//! `ExecutionService`.

use serde_json::{Map, Value};
use tonic::{Request, Response, Status};
use waggoner_engine::Resume;
use waggoner_proto::v1::{
    CancelExecutionRequest, CancelExecutionResponse, CancelMode as Mode, Execution,
    ExecutionStatus as Shown, ExplainExecutionRequest, ExplainExecutionResponse,
    GetExecutionGraphRequest, GetExecutionGraphResponse, GetExecutionRequest, GetExecutionResponse,
    ListExecutionsRequest, ListExecutionsResponse, ResumeExecutionRequest, ResumeExecutionResponse,
    StartExecutionRequest, StartExecutionResponse, execution_service_server::ExecutionService,
};
use waggoner_store::{PageRequest, execution};
use waggoner_types::{CancelMode, ExecutionStatus};
use waggoner_wire::{At as _, Reason, Refused, timestamp};

use crate::{
    api::{Api, looks, refused},
    executions::{self, Asked, Depth, When},
};

/// How many operations an explanation tells of where nobody says.
const WAITS: u32 = 1_000;

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
        if request.workflow_id == "update" {
            let why = "workflow `update` is run by an update of the deployment: see \
                       `wag deployments update`";
            return Err(Refused::new(Reason::WorkflowUnavailable, why).into());
        }
        let asked = Asked {
            parameters: object(&request.parameters_json, "parameters_json")?,
            allow_custom_parameters: request.allow_custom_parameters,
            dry_run: request.dry_run,
            force: request.force,
            when: when(&request)?,
            priority: request.priority,
            ..Asked::new(
                tenant.clone(),
                request.deployment_id.parse().at("deployment_id")?,
                request.workflow_id.clone(),
            )
        };
        self.once(&tenant, "StartExecution", &request.request_id, &request, async {
            let started = Box::pin(executions::start(&self.home, asked)).await?;
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

    async fn resume_execution(
        &self,
        request: Request<ResumeExecutionRequest>,
    ) -> Result<Response<ResumeExecutionResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        let id = request.id.parse().at("id")?;
        let resume = if request.force { Resume::Force } else { Resume::Unfinished };
        self.once(&tenant, "ResumeExecution", &request.request_id, &request, async {
            let resumed = executions::resume(&self.home, tenant.clone(), id, resume).await?;
            Ok(ResumeExecutionResponse { execution: Some(message(resumed)) })
        })
        .await
    }

    async fn explain_execution(
        &self,
        request: Request<ExplainExecutionRequest>,
    ) -> Result<Response<ExplainExecutionResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let ExplainExecutionRequest { tenant: _, id, page_size } = request.into_inner();
        let id = id.parse().at("id")?;
        let looked = executions::look(&self.home, tenant, id, Depth::Open).await?;
        let most = if page_size == 0 { WAITS } else { page_size.min(WAITS) };
        Ok(Response::new(looks::explained(looked, most)))
    }

    async fn get_execution_graph(
        &self,
        request: Request<GetExecutionGraphRequest>,
    ) -> Result<Response<GetExecutionGraphResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let id = request.into_inner().id.parse().at("id")?;
        let looked = executions::look(&self.home, tenant, id, Depth::All).await?;
        Ok(Response::new(looks::drawn(looked)))
    }
}

/// When an execution is to begin.
fn when(request: &StartExecutionRequest) -> Result<When, Refused> {
    match (&request.scheduled_for, request.queue) {
        (None, false) => Ok(When::Now),
        (None, true) => Ok(When::Queued),
        (Some(time), _) => {
            let time = jiff::Timestamp::new(time.seconds, time.nanos).at("scheduled_for")?;
            Ok(When::At(time))
        }
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

pub(super) fn message(execution: execution::Execution) -> Execution {
    let execution::Execution {
        id,
        tenant,
        deployment_id,
        workflow_id,
        status,
        parameters,
        company: _,
        priority,
        dry_run,
        scheduled_for,
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
        priority,
        dry_run,
        scheduled_for: scheduled_for.map(timestamp),
    }
}

fn shown(status: ExecutionStatus) -> Shown {
    match status {
        ExecutionStatus::Scheduled => Shown::Scheduled,
        ExecutionStatus::Queued => Shown::Queued,
        ExecutionStatus::Pending => Shown::Pending,
        ExecutionStatus::Started => Shown::Started,
        ExecutionStatus::Cancelling => Shown::Cancelling,
        ExecutionStatus::ForceCancelling => Shown::ForceCancelling,
        ExecutionStatus::KillCancelling => Shown::KillCancelling,
        ExecutionStatus::Terminated => Shown::Terminated,
        ExecutionStatus::Failed => Shown::Failed,
        ExecutionStatus::Cancelled => Shown::Cancelled,
    }
}

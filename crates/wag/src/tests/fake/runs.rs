use deployment_service_server::DeploymentService;
use event_service_server::EventService;
use execution_service_server::ExecutionService;
use node_instance_service_server::NodeInstanceService;

use super::*;

#[tonic::async_trait]
impl DeploymentService for Fake {
    async fn create_deployment(
        &self,
        request: Request<CreateDeploymentRequest>,
    ) -> Result<Response<CreateDeploymentResponse>, Status> {
        self.judge()?;
        let request = request.into_inner();
        let deployment = Deployment {
            id: request.id.clone(),
            blueprint_id: request.blueprint_id.clone(),
            inputs_json: request.inputs_json.clone(),
            ..Deployment::default()
        };
        self.note(|heard| heard.created = Some(request));
        Ok(Response::new(CreateDeploymentResponse { deployment: Some(deployment) }))
    }

    async fn list_deployments(
        &self,
        request: Request<ListDeploymentsRequest>,
    ) -> Result<Response<ListDeploymentsResponse>, Status> {
        let (deployments, next_page_token) =
            self.page(&self.deployments, &request.into_inner().page_token);
        Ok(Response::new(ListDeploymentsResponse { deployments, next_page_token }))
    }

    async fn get_deployment(
        &self,
        _: Request<GetDeploymentRequest>,
    ) -> Result<Response<GetDeploymentResponse>, Status> {
        self.judge()?;
        Ok(Response::new(GetDeploymentResponse { deployment: self.deployments.first().cloned() }))
    }

    async fn delete_deployment(
        &self,
        _: Request<DeleteDeploymentRequest>,
    ) -> Result<Response<DeleteDeploymentResponse>, Status> {
        self.judge()?;
        Ok(Response::new(DeleteDeploymentResponse {}))
    }

    async fn update_deployment(
        &self,
        request: Request<UpdateDeploymentRequest>,
    ) -> Result<Response<UpdateDeploymentResponse>, Status> {
        self.judge()?;
        let preview = request.get_ref().preview;
        self.note(|heard| heard.updated = Some(request.into_inner()));
        let execution = (!preview).then(|| self.execution.clone());
        let changes = Some(self.changes.clone());
        Ok(Response::new(UpdateDeploymentResponse { execution, changes }))
    }

    async fn get_deployment_outputs(
        &self,
        _: Request<GetDeploymentOutputsRequest>,
    ) -> Result<Response<GetDeploymentOutputsResponse>, Status> {
        Ok(Response::new(self.outputs.clone()))
    }
}

#[tonic::async_trait]
impl NodeInstanceService for Fake {
    async fn list_node_instances(
        &self,
        request: Request<ListNodeInstancesRequest>,
    ) -> Result<Response<ListNodeInstancesResponse>, Status> {
        let (node_instances, next_page_token) =
            self.page(&self.node_instances, &request.into_inner().page_token);
        Ok(Response::new(ListNodeInstancesResponse { node_instances, next_page_token }))
    }

    async fn get_node_instance(
        &self,
        _: Request<GetNodeInstanceRequest>,
    ) -> Result<Response<GetNodeInstanceResponse>, Status> {
        let node_instance = self.node_instances.first().cloned();
        Ok(Response::new(GetNodeInstanceResponse { node_instance }))
    }
}

#[tonic::async_trait]
impl ExecutionService for Fake {
    async fn start_execution(
        &self,
        request: Request<StartExecutionRequest>,
    ) -> Result<Response<StartExecutionResponse>, Status> {
        self.judge()?;
        let mut execution = self.execution.clone();
        execution.set_status(ExecutionStatus::Pending);
        self.note(|heard| heard.started = Some(request.into_inner()));
        Ok(Response::new(StartExecutionResponse { execution: Some(execution) }))
    }

    async fn list_executions(
        &self,
        _: Request<ListExecutionsRequest>,
    ) -> Result<Response<ListExecutionsResponse>, Status> {
        let executions = vec![self.execution.clone()];
        Ok(Response::new(ListExecutionsResponse { executions, ..Default::default() }))
    }

    async fn get_execution(
        &self,
        _: Request<GetExecutionRequest>,
    ) -> Result<Response<GetExecutionResponse>, Status> {
        Ok(Response::new(GetExecutionResponse { execution: Some(self.execution.clone()) }))
    }

    async fn cancel_execution(
        &self,
        _: Request<CancelExecutionRequest>,
    ) -> Result<Response<CancelExecutionResponse>, Status> {
        self.judge()?;
        Ok(Response::new(CancelExecutionResponse { execution: Some(self.execution.clone()) }))
    }

    async fn resume_execution(
        &self,
        _: Request<ResumeExecutionRequest>,
    ) -> Result<Response<ResumeExecutionResponse>, Status> {
        self.judge()?;
        Ok(Response::new(ResumeExecutionResponse { execution: Some(self.execution.clone()) }))
    }

    async fn explain_execution(
        &self,
        _: Request<ExplainExecutionRequest>,
    ) -> Result<Response<ExplainExecutionResponse>, Status> {
        let explanation = self.explanation.clone();
        let execution = Some(self.execution.clone());
        Ok(Response::new(ExplainExecutionResponse { execution, ..explanation }))
    }

    async fn get_execution_graph(
        &self,
        _: Request<GetExecutionGraphRequest>,
    ) -> Result<Response<GetExecutionGraphResponse>, Status> {
        let execution = Some(self.execution.clone());
        Ok(Response::new(GetExecutionGraphResponse { execution, tasks: Vec::new() }))
    }
}

#[tonic::async_trait]
impl EventService for Fake {
    type FollowEventsStream = Flow<FollowEventsResponse>;

    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let (events, next_page_token) =
            self.page(&self.events.concat(), &request.into_inner().page_token);
        Ok(Response::new(ListEventsResponse { events, next_page_token }))
    }

    /// Breaks off after each piece but the last one, as a manager that is restarted does.
    async fn follow_events(
        &self,
        request: Request<FollowEventsRequest>,
    ) -> Result<Response<Self::FollowEventsStream>, Status> {
        let after = request.into_inner().after;
        self.note(|heard| heard.followed_after.push(after));
        let mut left = self
            .events
            .iter()
            .enumerate()
            .filter(|(_, piece)| piece.last().is_some_and(|event| after < event.id));
        let Some((at, piece)) = left.next() else { return Ok(Response::new(flow(vec![]))) };
        let mut answers = vec![
            Ok(FollowEventsResponse { events: vec![] }),
            Ok(FollowEventsResponse { events: piece.clone() }),
        ];
        if at + 1 < self.events.len() {
            answers.push(Err(Status::unavailable("the manager stops")));
        }
        Ok(Response::new(Box::pin(stream::iter(answers))))
    }
}

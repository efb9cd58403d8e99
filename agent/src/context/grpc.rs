//! `waggoner.plugin.v1.ContextService`.

use std::sync::Arc;

use serde_json::Value;
use tonic::{Code, Request, Response, Status, async_trait};
use tonic_types::{ErrorDetails, StatusExt as _};
use waggoner_ctx::Reply;
use waggoner_proto::{
    agent::v1::{Refusal, RestRequest, UpdateNodeInstance},
    plugin::v1::{self as pb, context_service_server::ContextService},
};
use waggoner_types::{Chain, LogLevel};
use waggoner_wire::{At as _, Refused};

use crate::context::{HostApi, Key, resource::FetchError};

/// Answers the process of one operation.
#[derive(Clone, Debug)]
pub(super) struct ContextApi(pub(super) Arc<HostApi>);

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl ContextService for ContextApi {
    async fn get_context(
        &self,
        _: Request<pb::GetContextRequest>,
    ) -> Answer<pb::GetContextResponse> {
        let json =
            |map| serde_json::to_string(map).map_err(|error| Status::internal(error.to_string()));
        let context_json = json(self.0.context())?;
        let inputs_json = json(self.0.inputs())?;
        Ok(Response::new(pb::GetContextResponse { context_json, inputs_json }))
    }

    async fn get_node(&self, request: Request<pb::GetNodeRequest>) -> Answer<pb::GetNodeResponse> {
        let pb::GetNodeRequest { node_id, instance_context } = request.into_inner();
        let node = self.0.node(node_id, instance_context).await.map_err(refuse)?;
        Ok(Response::new(pb::GetNodeResponse { node_json: node.to_string() }))
    }

    async fn get_node_instance(
        &self,
        request: Request<pb::GetNodeInstanceRequest>,
    ) -> Answer<pb::GetNodeInstanceResponse> {
        let pb::GetNodeInstanceRequest { node_instance_id, evaluate_functions } =
            request.into_inner();
        let instance = self.0.node_instance(node_instance_id, evaluate_functions).await;
        let node_instance_json = instance.map_err(refuse)?.to_string();
        Ok(Response::new(pb::GetNodeInstanceResponse { node_instance_json }))
    }

    async fn update_node_instance(
        &self,
        request: Request<pb::UpdateNodeInstanceRequest>,
    ) -> Answer<pb::UpdateNodeInstanceResponse> {
        let key = Key::of(request.metadata());
        let pb::UpdateNodeInstanceRequest {
            node_instance_id,
            version,
            runtime_properties_json,
            state,
        } = request.into_inner();
        let update =
            UpdateNodeInstance { node_instance_id, version, runtime_properties_json, state };
        let node_instance_json = self.0.update(update, key).await.map_err(refuse)?.to_string();
        Ok(Response::new(pb::UpdateNodeInstanceResponse { node_instance_json }))
    }

    async fn write_events(
        &self,
        request: Request<pb::WriteEventsRequest>,
    ) -> Answer<pb::WriteEventsResponse> {
        let key = Key::of(request.metadata());
        for (at, event) in request.into_inner().events.into_iter().enumerate() {
            let key = key.part(at.to_string());
            match event.kind {
                Some(pb::event::Kind::Log(pb::Log { level, logger })) => {
                    let level = level.parse().unwrap_or(LogLevel::Info);
                    let logger = Some(logger).filter(|logger| !logger.is_empty());
                    self.0.log(level, logger, event.message, key).await;
                }
                Some(pb::event::Kind::PluginEvent(pb::PluginEvent { event_type })) => {
                    let event_type = match event_type.as_str() {
                        "" => "plugin_event".to_owned(),
                        _ => event_type,
                    };
                    self.0.event(event_type, event.message, key).await;
                }
                None => return Err(Refused::missing("events.kind").into()),
            }
        }
        Ok(Response::new(pb::WriteEventsResponse {}))
    }

    async fn get_resource(
        &self,
        request: Request<pb::GetResourceRequest>,
    ) -> Answer<pb::GetResourceResponse> {
        let pb::GetResourceRequest { path, directory } = request.into_inner();
        match self.0.resource(&path, directory).await {
            Ok(path) => Ok(Response::new(pb::GetResourceResponse { local_path: path.into() })),
            Err(FetchError::Refused(refusal)) => Err(refuse(refusal)),
            Err(error @ FetchError::Disk(_)) => Err(Status::internal(Chain(&error).to_string())),
        }
    }

    async fn evaluate_functions(
        &self,
        request: Request<pb::EvaluateFunctionsRequest>,
    ) -> Answer<pb::EvaluateFunctionsResponse> {
        let payload = self.0.evaluate(request.into_inner().payload_json).await.map_err(refuse)?;
        Ok(Response::new(pb::EvaluateFunctionsResponse { payload_json: payload.to_string() }))
    }

    async fn call_rest(
        &self,
        request: Request<pb::CallRestRequest>,
    ) -> Answer<pb::CallRestResponse> {
        let key = Key::of(request.metadata());
        let pb::CallRestRequest { method, path, query, body_json } = request.into_inner();
        let request = RestRequest { method, path, query, body_json, ..RestRequest::default() };
        let answer = self.0.rest(request, key).await;
        let answer = answer.map_err(refuse)?;
        let body_json = match answer.body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        Ok(Response::new(pb::CallRestResponse { status: answer.status.into(), body_json }))
    }

    async fn run_command(
        &self,
        request: Request<pb::RunCommandRequest>,
    ) -> Answer<pb::RunCommandResponse> {
        use pb::run_command_response::Outcome;
        let key = Key::of(request.metadata());
        let args = request.into_inner().args_json;
        let args = args.iter().map(|arg| serde_json::from_str(arg)).collect::<Result<Vec<_>, _>>();
        let outcome = match self.0.command(&args.at("args_json")?, key).await {
            Reply::Result(value) => Outcome::ResultJson(value.to_string()),
            Reply::Stop { message } => Outcome::Stop(message),
            Reply::Error(error) => Outcome::Error(pb::CommandError {
                r#type: error.kind,
                message: error.message,
                traceback: error.traceback,
            }),
        };
        Ok(Response::new(pb::RunCommandResponse { outcome: Some(outcome) }))
    }
}

/// Passes the manager's refusal on, with Cloudify's own status and code as metadata.
fn refuse(refusal: Refusal) -> Status {
    let code = match refusal.reason.as_str() {
        "NOT_FOUND" => Code::NotFound,
        "VERSION_CONFLICT" => Code::Aborted,
        "INVALID" => Code::InvalidArgument,
        "UNAVAILABLE" => Code::Unavailable,
        _ => Code::Internal,
    };
    let metadata = [
        ("status".to_owned(), refusal.status.to_string()),
        ("error_code".to_owned(), refusal.error_code),
    ];
    let details = ErrorDetails::with_error_info(refusal.reason, "waggoner", metadata);
    Status::with_error_details(code, refusal.message, details)
}

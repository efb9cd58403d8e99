//! JSON over HTTP/1.1 for [`ContextService`]: the protobuf JSON form of each message, transcoded by
//! the descriptors, so that a new method or field needs nothing here but its name.

use std::sync::LazyLock;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::post,
};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions, ServiceDescriptor,
};
use serde_json::{Value, json};
use tonic::{Code, Extensions, Request, Status, metadata::MetadataMap};
use tonic_types::StatusExt as _;
use waggoner_proto::plugin::v1::context_service_server::ContextService;
use waggoner_wire::Refused;

use crate::context::{Key, grpc::ContextApi};

static SERVICE: LazyLock<ServiceDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(waggoner_proto::DESCRIPTORS)
        .expect("the descriptors were made with the code");
    pool.get_service_by_name("waggoner.plugin.v1.ContextService")
        .expect("the service is among the descriptors")
});

/// What came over HTTP for a method.
struct Sent {
    headers: HeaderMap,
    body: Bytes,
}

/// Returns the routes: a POST for each method, and Cloudify's ctx proxy at `/`
/// (`cloudify/proxy/server.py`).
pub(super) fn routes(api: ContextApi) -> Router {
    Router::new()
        .route("/waggoner.plugin.v1.ContextService/{method}", post(method))
        .route("/", post(proxy))
        .with_state(api)
}

/// Answers as the stock ctx proxy does.
pub(super) async fn proxy(
    State(api): State<ContextApi>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = Key::of(&MetadataMap::from_headers(headers));
    let args = serde_json::from_slice::<Value>(&body).ok().and_then(|mut request| {
        match request.get_mut("args").map(Value::take) {
            Some(Value::Array(args)) => Some(args),
            _ => None,
        }
    });
    let Some(args) = args else {
        return refuse(&Status::invalid_argument("the body is not {\"args\": […]}"));
    };
    answer(StatusCode::OK, api.0.command(&args, key).await.to_json().to_string())
}

async fn method(
    State(api): State<ContextApi>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let sent = Sent { headers, body };
    let called = match method.as_str() {
        "GetContext" => call(&method, &sent, |request| api.get_context(request)).await,
        "GetNode" => call(&method, &sent, |request| api.get_node(request)).await,
        "GetNodeInstance" => call(&method, &sent, |request| api.get_node_instance(request)).await,
        "UpdateNodeInstance" => {
            call(&method, &sent, |request| api.update_node_instance(request)).await
        }
        "WriteEvents" => call(&method, &sent, |request| api.write_events(request)).await,
        "GetResource" => call(&method, &sent, |request| api.get_resource(request)).await,
        "EvaluateFunctions" => {
            call(&method, &sent, |request| api.evaluate_functions(request)).await
        }
        "CallRest" => call(&method, &sent, |request| api.call_rest(request)).await,
        "RunCommand" => call(&method, &sent, |request| api.run_command(request)).await,
        _ => Err(Status::unimplemented(format!("there is no method `{method}`"))),
    };
    match called {
        Ok(json) => answer(StatusCode::OK, json),
        Err(status) => refuse(&status),
    }
}

/// Calls a method: JSON to its request, its response to JSON.
async fn call<Asked, Answered, Called>(
    name: &str,
    sent: &Sent,
    method: impl FnOnce(Request<Asked>) -> Called,
) -> Result<String, Status>
where
    Asked: Message + Default,
    Answered: Message,
    Called: Future<Output = Result<tonic::Response<Answered>, Status>>,
{
    let descriptor = SERVICE.methods().find(|method| method.name() == name);
    let descriptor = descriptor.ok_or_else(|| Status::unimplemented("there is no such method"))?;
    let asked = read(descriptor.input(), &sent.body)?;
    let headers = MetadataMap::from_headers(sent.headers.clone());
    let asked = Request::from_parts(headers, Extensions::default(), asked);
    let answered = method(asked).await?.into_inner();
    write(descriptor.output(), &answered)
}

fn read<T: Message + Default>(descriptor: MessageDescriptor, body: &[u8]) -> Result<T, Status> {
    // No body at all is a message without fields, as `curl --request POST` sends it.
    let body = if body.is_empty() { b"{}" } else { body };
    let mut json = serde_json::Deserializer::from_slice(body);
    let message = DynamicMessage::deserialize(descriptor, &mut json)
        .and_then(|message| json.end().map(|()| message))
        .map_err(|error| Refused::field("body", error))?;
    message.transcode_to().map_err(|error| Status::internal(error.to_string()))
}

fn write<T: Message>(descriptor: MessageDescriptor, message: &T) -> Result<String, Status> {
    let options = SerializeOptions::new().skip_default_fields(false);
    let mut json = Vec::new();
    let written = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|error| error.to_string())
        .and_then(|message| {
            let mut serializer = serde_json::Serializer::new(&mut json);
            message
                .serialize_with_options(&mut serializer, &options)
                .map_err(|error| error.to_string())
        });
    written.map_err(Status::internal)?;
    String::from_utf8(json).map_err(|error| Status::internal(error.to_string()))
}

fn answer(status: StatusCode, json: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], json).into_response()
}

/// A refusal as JSON, with the HTTP status that belongs to its code (google.rpc.Code).
fn refuse(status: &Status) -> Response {
    let http = match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Aborted | Code::AlreadyExists => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Ok | Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    let mut body = json!({ "code": status.code() as i32, "message": status.message() });
    if let Some(info) = status.get_details_error_info() {
        body["reason"] = json!(info.reason);
        body["metadata"] = json!(info.metadata);
    }
    answer(http, body.to_string())
}

//! Answers as Cloudify's REST API makes them.

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use waggoner_proto::agent::v1::Refusal;
use waggoner_types::Chain;

use crate::context::FetchError;

/// An answer with a body; 204 has none, and stock clients make `None` of it.
pub(super) fn answered(status: StatusCode, body: &Value) -> Response {
    if status == StatusCode::NO_CONTENT {
        return status.into_response();
    }
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// An error as Cloudify's REST API says it.
pub(super) fn failure(status: StatusCode, message: &str, error_code: &str) -> Response {
    let body = json!({ "message": message, "error_code": error_code, "server_traceback": null });
    answered(status, &body)
}

/// What the manager refuses.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let status =
        u16::try_from(refusal.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.filter(|status| !status.is_success() && !status.is_informational());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    failure(status, &refusal.message, &refusal.error_code)
}

/// A file that did not come.
pub(super) fn not_fetched(error: &FetchError) -> Response {
    match error {
        FetchError::Refused(refusal) => refused(refusal),
        FetchError::Disk(_) => internal(error),
    }
}

/// A fault of the host's or of ours.
pub(super) fn internal(error: &dyn std::error::Error) -> Response {
    let message = Chain(error).to_string();
    failure(StatusCode::INTERNAL_SERVER_ERROR, &message, "internal_server_error")
}

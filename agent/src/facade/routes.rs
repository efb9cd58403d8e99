//! What the facade answers, and what it passes on.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tonic::metadata::MetadataMap;
use waggoner_proto::agent::v1::{Refusal, RestRequest};
use waggoner_types::Chain;

use crate::{
    context::{FetchError, HostApi, Key, MOST, RestAnswer},
    facade::{Guests, events},
};

/// Returns the routes: one, since the manager has them all.
pub(super) fn router(guests: Guests) -> Router {
    Router::new().fallback(answer).layer(DefaultBodyLimit::max(MOST)).with_state(guests)
}

async fn answer(
    State(guests): State<Guests>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let token = headers.get("Execution-Token").and_then(|token| token.to_str().ok());
    let Some(api) = token.and_then(|token| guests.find(token)) else {
        let message = "no operation that runs has this Execution-Token";
        return failure(StatusCode::UNAUTHORIZED, message, "unauthorized_error");
    };
    api.called().await;
    if let Some(path) = uri.path().strip_prefix("/resources/") {
        return resource(&api, &method, &decoded(path)).await;
    }
    match rest_path(uri.path()) {
        Some(path) => {
            let key = Key::of(&MetadataMap::from_headers(headers));
            rest(api, method, path, uri.query(), &body, key).await
        }
        None => failure(StatusCode::NOT_FOUND, "there is no such path", "not_found_error"),
    }
}

async fn rest(
    api: Arc<HostApi>,
    method: Method,
    path: &str,
    query: Option<&str>,
    body: &[u8],
    key: Key,
) -> Response {
    let Ok(body_json) = String::from_utf8(body.to_vec()) else {
        let message = "only JSON can be sent from inside an operation";
        return failure(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            message,
            "unsupported_content_type_error",
        );
    };
    if method == Method::POST && path == "/events" {
        return match serde_json::from_str(&body_json) {
            Ok(body) => {
                events::take(&api, &body, key).await;
                answered(StatusCode::CREATED, &json!({}))
            }
            Err(error) => {
                let message = format!("the body is not JSON: {error}");
                failure(StatusCode::BAD_REQUEST, &message, "bad_parameters_error")
            }
        };
    }
    let request = RestRequest {
        method: method.to_string(),
        path: path.to_owned(),
        query: query.unwrap_or_default().to_owned(),
        body_json,
        ..RestRequest::default()
    };
    match api.rest(request, key).await {
        Ok(RestAnswer { status, body }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            answered(status, &body)
        }
        Err(refusal) => refused(&refusal),
    }
}

/// Answers with a file. A miss is a plain 404, which stock clients do not try again.
async fn resource(api: &HostApi, method: &Method, path: &str) -> Response {
    if method != Method::GET {
        let message = "files of the manager can only be read from inside an operation";
        return failure(StatusCode::METHOD_NOT_ALLOWED, message, "method_not_allowed_error");
    }
    match api.resource(own_path(api, path), false).await {
        Ok(local) => match fs_err::tokio::read(&local).await {
            Ok(bytes) => {
                // It was brought for this answer alone.
                drop(fs_err::tokio::remove_file(&local).await);
                ([(CONTENT_TYPE, "application/octet-stream")], bytes).into_response()
            }
            Err(error) => internal(&error.to_string()),
        },
        Err(FetchError::Refused(refusal)) => refused(&refusal),
        Err(error @ FetchError::Disk(_)) => internal(&Chain(&error).to_string()),
    }
}

/// Returns a path as the manager resolves it: the operation's own deployment and blueprint are meant
/// where none is named.
fn own_path<'a>(api: &HostApi, path: &'a str) -> &'a str {
    let own = [("deployments", "deployment_id"), ("blueprints", "blueprint_id")];
    let stripped = own.into_iter().find_map(|(folder, field)| {
        let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
        let rest = rest.strip_prefix(api.tenant())?.strip_prefix('/')?;
        rest.strip_prefix(api.text(field))?.strip_prefix('/')
    });
    stripped.unwrap_or(path)
}

/// Returns the path below the API's version. `/api/version` has none
/// (`cloudify_rest_client/manager.py`).
fn rest_path(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/api")?;
    if path == "/version" || path == "/status" {
        return Some(path);
    }
    let versions = ["/v3.1", "/v3", "/v2.1", "/v2", "/v1"];
    let path = versions.iter().find_map(|version| path.strip_prefix(version))?;
    path.starts_with('/').then_some(path)
}

/// Undoes percent-encoding; what is none stays.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let byte =
            code.filter(|_| *first == b'%').and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn refused(refusal: &Refusal) -> Response {
    let status =
        u16::try_from(refusal.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.filter(|status| !status.is_success() && !status.is_informational());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    failure(status, &refusal.message, &refusal.error_code)
}

fn internal(message: &str) -> Response {
    failure(StatusCode::INTERNAL_SERVER_ERROR, message, "internal_server_error")
}

/// An error as Cloudify's REST API says it.
fn failure(status: StatusCode, message: &str, error_code: &str) -> Response {
    let body = json!({ "message": message, "error_code": error_code, "server_traceback": null });
    answered(status, &body)
}

fn answered(status: StatusCode, body: &Value) -> Response {
    if body.is_null() || status == StatusCode::NO_CONTENT {
        return status.into_response();
    }
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_taken_off_a_path() {
        assert_eq!(rest_path("/api/v3.1/nodes"), Some("/nodes"));
        assert_eq!(rest_path("/api/v3/nodes"), Some("/nodes"));
        assert_eq!(rest_path("/api/version"), Some("/version"));
        assert_eq!(rest_path("/api/v3.10/nodes"), None);
        assert_eq!(rest_path("/nodes"), None);
    }

    #[test]
    fn percent_signs_are_decoded_where_they_encode() {
        assert_eq!(decoded("a%20b%2Fc"), "a b/c");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%4"), "%zz%4");
    }
}

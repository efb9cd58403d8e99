//! What the facade answers, and what it passes on.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::Response,
};
use serde_json::Value;
use tonic::metadata::MetadataMap;
use waggoner_proto::agent::v1::RestRequest;

use crate::{
    context::{HostApi, Key, MOST, RestAnswer},
    facade::{
        Caller, body, events, files, hot,
        say::{answered, failure, refused},
    },
};

/// Returns the routes: one, since the manager has them all.
pub(super) fn router(caller: Caller) -> Router {
    Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(caller)
}

async fn answer(
    State(caller): State<Caller>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let api = match admitted(&caller, &headers).await {
        Ok(api) => api,
        Err(refusal) => return *refusal,
    };
    api.called().await;
    let query = uri.query().unwrap_or_default();
    if uri.path().starts_with("/resources/") && method == Method::GET {
        return files::resource(&api, uri.path(), query).await;
    }
    let Some(path) = rest_path(uri.path()) else {
        return failure(StatusCode::NOT_FOUND, "there is no such path", "not_found_error");
    };
    let content_type = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let request = RestRequest {
        method: method.to_string(),
        path: path.to_owned(),
        query: query.to_owned(),
        content_type: content_type.unwrap_or_default().to_owned(),
        ..RestRequest::default()
    };
    let key = Key::of(&MetadataMap::from_headers(headers));
    if method == Method::POST && path == "/events" {
        return written(&api, body, key).await;
    }
    rest(&api, request, body, key).await
}

/// Finds the operation whose token is shown, or whose process asks, in the words of Cloudify's
/// `rest/security`.
async fn admitted(caller: &Caller, headers: &HeaderMap) -> Result<Arc<HostApi>, Box<Response>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = text("Execution-Token").or_else(|| text("Authentication-Token"));
    let known = match token {
        Some(token) => caller.guests.find(token),
        None => caller.by_process().await,
    };
    let api = known.ok_or_else(|| {
        let message = "User unauthorized: no operation that runs has this Execution-Token";
        Box::new(failure(StatusCode::UNAUTHORIZED, message, "unauthorized_error"))
    })?;
    match text("Tenant") {
        Some(tenant) if tenant != api.tenant() => {
            let message =
                format!("Authorization failed: the operation is of another tenant than `{tenant}`");
            Err(Box::new(failure(StatusCode::FORBIDDEN, &message, "forbidden_error")))
        }
        _ => Ok(api),
    }
}

async fn rest(api: &HostApi, request: RestRequest, body: Body, key: Key) -> Response {
    let request = match body::take(api, body, request).await {
        Ok(request) => request,
        Err(answer) => return *answer,
    };
    let RestRequest { method, path, query, body_json, .. } = &request;
    if let Some(known) = hot::answer(api, method, path, query, body_json).await {
        return match known {
            Ok(value) => answered(StatusCode::OK, &value),
            Err(refusal) => refused(&refusal),
        };
    }
    match api.rest(request, key).await {
        Ok(RestAnswer { file: Some((path, name)), .. }) => {
            files::attachment(api, &path, &name).await
        }
        Ok(RestAnswer { status, body, file: None }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            answered(status, &body)
        }
        Err(refusal) => refused(&refusal),
    }
}

/// Takes log lines and events: they are records once this is answered, and the manager gets them
/// with all others.
async fn written(api: &HostApi, body: Body, key: Key) -> Response {
    let read = to_bytes(body, MOST).await.map_err(|error| error.to_string());
    let read = read.and_then(|bytes| {
        serde_json::from_slice::<Value>(&bytes).map_err(|error| error.to_string())
    });
    match read {
        Ok(body) => {
            events::take(api, &body, key).await;
            answered(StatusCode::CREATED, &Value::Null)
        }
        Err(error) => {
            let message = format!("the body is not JSON: {error}");
            failure(StatusCode::BAD_REQUEST, &message, "bad_parameters_error")
        }
    }
}

/// Returns the path below the API's version. `/api/version` has none
/// (`cloudify_rest_client/manager.py`), and neither have files.
fn rest_path(path: &str) -> Option<&str> {
    if path.starts_with("/resources/") {
        return Some(path);
    }
    let path = path.strip_prefix("/api")?;
    if path == "/version" || path == "/status" {
        return Some(path);
    }
    let versions = ["/v3.1", "/v3", "/v2.1", "/v2", "/v1"];
    let path = versions.iter().find_map(|version| path.strip_prefix(version))?;
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_taken_off_a_path() {
        assert_eq!(rest_path("/api/v3.1/nodes"), Some("/nodes"));
        assert_eq!(rest_path("/api/v3/nodes"), Some("/nodes"));
        assert_eq!(rest_path("/api/version"), Some("/version"));
        assert_eq!(rest_path("/resources/a/b"), Some("/resources/a/b"));
        assert_eq!(rest_path("/api/v3.10/nodes"), None);
        assert_eq!(rest_path("/nodes"), None);
    }
}

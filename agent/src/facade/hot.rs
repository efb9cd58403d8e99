//! What stock clients ask again and again, answered here where the answer is here already.

use serde_json::{Value, json};
use waggoner_proto::agent::v1::Refusal;

use crate::context::HostApi;

/// Answers a request, unless only the manager can.
pub(super) async fn answer(
    api: &HostApi,
    method: &str,
    path: &str,
    query: &str,
    body: &str,
) -> Option<Result<Value, Refusal>> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method, segments.as_slice()) {
        ("GET", ["nodes"]) => node(api, query).await,
        ("GET", ["node-instances", id]) if query == "_evaluate_functions=True" && plain(id) => {
            Some(api.node_instance((*id).to_owned(), true).await)
        }
        ("POST", ["evaluate", "functions"]) => without_functions(api, body).map(Ok),
        _ => None,
    }
}

/// `ctx.node`, as the stock endpoint asks for it (`cloudify/endpoint.py`).
async fn node(api: &HostApi, query: &str) -> Option<Result<Value, Refusal>> {
    let (mut id, mut instance, mut evaluates) = (None, None, false);
    for pair in query.split('&') {
        match pair.split_once('=')? {
            ("deployment_id", own) if own == api.text("deployment_id") => {}
            ("id", wanted) if plain(wanted) => id = Some(wanted),
            ("_instance_context", wanted) if plain(wanted) => instance = Some(wanted),
            ("_evaluate_functions", "True") => evaluates = true,
            _ => return None,
        }
    }
    let (id, instance) = (id?, instance?);
    if !evaluates || !api.has_node(id, instance) {
        return None;
    }
    let node = api.node(id.to_owned(), instance.to_owned()).await;
    Some(node.map(|node| {
        let pagination = json!({ "total": 1, "size": 1000, "offset": 0 });
        json!({ "items": [node], "metadata": { "pagination": pagination, "filtered": null } })
    }))
}

/// What has no function in it is what it is.
fn without_functions(api: &HostApi, body: &str) -> Option<Value> {
    let mut body: Value = serde_json::from_str(body).ok()?;
    let own = body["deployment_id"] == api.text("deployment_id");
    (own && !may_have_functions(&body["payload"])).then(|| {
        json!({ "deployment_id": body["deployment_id"].take(), "payload": body["payload"].take() })
    })
}

/// Says whether there could be a function in a value: each is an object with one key.
fn may_have_functions(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.len() == 1 || object.values().any(may_have_functions),
        Value::Array(items) => items.iter().any(may_have_functions),
        _ => false,
    }
}

/// Says whether a part of a query is what it says: nothing in it is encoded.
fn plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(['%', '+'])
}

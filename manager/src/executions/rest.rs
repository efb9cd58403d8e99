//! Cloudify's REST API v3.1, as far as plugins use it behind their context's back.
//!
//! A request reaches the operation's own deployment, and the secrets of its tenant.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use waggoner_proto::agent::v1::{RestRequest, UpdateNodeInstance};
use waggoner_store::{
    PageRequest,
    secret::{Overwrite, Secret},
    verdict::Asked,
};

use crate::executions::{
    answers::{Answers, Unanswered},
    evaluate::{self, Viewpoint},
    shapes,
    verdict::once,
};

/// The version of Cloudify that plugins believe to talk to.
const CLOUDIFY: &str = "7.0.5";

/// Answers one request.
pub(crate) async fn answer(
    answers: &Answers,
    asked: Option<Asked>,
    request: RestRequest,
) -> Result<Value, Unanswered> {
    let RestRequest { method, path, query, body_json } = request;
    let body: Value = match body_json.as_str() {
        "" => Value::Null,
        json => serde_json::from_str(json)
            .map_err(|error| Unanswered::invalid(&format!("the body is no JSON: {error}")))?,
    };
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let query = Query(&query);
    let stage = &answers.stage;
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["version"]) => Ok(json!({ "edition": "community", "version": CLOUDIFY })),
        ("GET", ["status"]) => Ok(json!({ "status": "OK", "services": {} })),
        ("GET", ["nodes"]) => nodes(answers, &query).await,
        ("GET", ["node-instances"]) => instances(answers, &query).await,
        ("GET", ["node-instances", id]) => Ok(shapes::node_instance(&answers.stored(id).await?)),
        ("PATCH", ["node-instances", id]) => update(answers, asked, id, &body).await,
        ("POST", ["evaluate", "functions"]) => evaluate_functions(answers, &body).await,
        ("GET", ["secrets"]) => secrets(answers).await,
        ("GET", ["secrets", key]) => secret(answers, key).await,
        ("PUT", ["secrets", key]) => {
            once(&answers.home.store, asked, put_secret(answers, key, &body)).await
        }
        ("DELETE", ["secrets", key]) => {
            once(&answers.home.store, asked, delete_secret(answers, key)).await
        }
        ("GET", ["deployments"]) => Ok(shapes::list(&[deployment(answers)])),
        ("GET", ["deployments", id]) if *id == stage.scene.deployment.as_str() => {
            Ok(deployment(answers))
        }
        // Labels are kept by nobody yet; a plugin that sets them goes on.
        ("PATCH", ["deployments", id]) if *id == stage.scene.deployment.as_str() => {
            Ok(deployment(answers))
        }
        ("GET", ["deployments", id, "outputs" | "capabilities"]) => {
            Err(Unanswered::not_found("Deployment", id))
        }
        ("GET", ["blueprints", id]) if *id == stage.scene.blueprint.as_str() => Ok(json!({
            "id": id, "state": "uploaded", "plan": *stage.plan_json, "labels": [],
            "visibility": "tenant", "tenant_name": stage.scene.tenant.as_str(),
        })),
        ("GET", ["executions", id]) if *id == stage.scene.execution.to_string() => {
            Ok(execution(answers))
        }
        ("GET", ["tenants", name]) if *name == stage.scene.tenant.as_str() => {
            Ok(shapes::tenant(&stage.scene.tenant))
        }
        ("GET", ["provider", "context"]) => Ok(json!({ "name": "provider", "context": {} })),
        ("GET", ["config"]) => Ok(shapes::list(&[])),
        ("GET", ["managers"]) => Ok(shapes::list(&[json!({
            "id": 0, "hostname": "manager", "private_ip": "127.0.0.1", "public_ip": "127.0.0.1",
            "version": CLOUDIFY, "edition": "community",
        })])),
        ("GET", ["brokers" | "db-nodes" | "plugins" | "agents" | "executions" | "sites"]) => {
            Ok(shapes::list(&[]))
        }
        _ => Err(Unanswered {
            reason: "NOT_FOUND",
            status: 404,
            error_code: "not_found_error",
            message: format!("this manager does not answer {method} {path} to an operation"),
        }),
    }
}

async fn nodes(answers: &Answers, query: &Query<'_>) -> Result<Value, Unanswered> {
    let wanted = query.get("id");
    let instance = query.get("_instance_context");
    let mut shown = Vec::new();
    for node in &answers.stage.plan.nodes {
        if wanted.as_ref().is_none_or(|wanted| *wanted == node.id) {
            shown.push(answers.shown_node(&node.id, instance.as_deref()).await?);
        }
    }
    Ok(shapes::list(&shown))
}

async fn instances(answers: &Answers, query: &Query<'_>) -> Result<Value, Unanswered> {
    let (id, node) = (query.get("id"), query.get("node_id"));
    let all = answers.stage.instances(&answers.home).await;
    let all = all.map_err(|refusal| Unanswered::invalid(&refusal.message))?;
    let shown: Vec<_> = all
        .iter()
        .filter(|instance| id.as_ref().is_none_or(|id| *id == instance.id))
        .filter(|instance| node.as_ref().is_none_or(|node| *node == instance.node_id))
        .map(shapes::node_instance)
        .collect();
    Ok(shapes::list(&shown))
}

async fn update(
    answers: &Answers,
    asked: Option<Asked>,
    id: &str,
    body: &Value,
) -> Result<Value, Unanswered> {
    let version = body["version"]
        .as_i64()
        .ok_or_else(|| Unanswered::invalid("`version` has to be a whole number"))?;
    let properties = body.get("runtime_properties").map(ToString::to_string);
    let update = UpdateNodeInstance {
        node_instance_id: id.to_owned(),
        version,
        runtime_properties_json: properties,
        state: None,
    };
    answers.update(asked, update).await
}

async fn evaluate_functions(answers: &Answers, body: &Value) -> Result<Value, Unanswered> {
    let context = &body["context"];
    let named = |key: &str| context[key].as_str().map(str::to_owned);
    let viewpoint = match (named("self"), named("source"), named("target")) {
        (Some(own), _, _) => Viewpoint::of_instance(&own),
        (None, Some(source), Some(target)) => {
            Viewpoint { source: Some(source), target: Some(target), ..Viewpoint::default() }
        }
        _ => answers.viewpoint.clone(),
    };
    let payload = body["payload"].clone();
    let payload = evaluate::value(&answers.home, &answers.stage, &viewpoint, payload).await?;
    let deployment = answers.stage.scene.deployment.as_str();
    Ok(json!({ "deployment_id": deployment, "payload": payload }))
}

async fn secrets(answers: &Answers) -> Result<Value, Unanswered> {
    let tenant = answers.stage.scene.tenant.clone();
    let page = answers.home.store.secrets(tenant, &PageRequest::new(500, "")).await;
    let page = page.map_err(|error| Unanswered::failed(&error))?;
    let shown: Vec<_> = page.items.iter().map(|secret| shown(secret, None)).collect();
    Ok(shapes::list(&shown))
}

async fn secret(answers: &Answers, key: &str) -> Result<Value, Unanswered> {
    let tenant = answers.stage.scene.tenant.clone();
    let found = answers.home.store.secret(tenant, key.to_owned()).await;
    match found {
        Ok((secret, value)) => Ok(shown(&secret, Some(&value))),
        Err(waggoner_store::Error::Missing(_)) => Err(Unanswered::not_found("Secret", key)),
        Err(error) => Err(Unanswered::failed(&error)),
    }
}

async fn put_secret(answers: &Answers, key: &str, body: &Value) -> Result<Value, Unanswered> {
    let value =
        body["value"].as_str().ok_or_else(|| Unanswered::invalid("`value` has to be a string"))?;
    let overwrite = if body["update_if_exists"] == true { Overwrite::Yes } else { Overwrite::No };
    let tenant = answers.stage.scene.tenant.clone();
    let (key, value) = (key.to_owned(), SecretString::from(value));
    let put = answers.home.store.put_secret(tenant, key, &value, overwrite, Timestamp::now());
    put.await.map(|secret| shown(&secret, None)).map_err(|error| Unanswered::failed(&error))
}

async fn delete_secret(answers: &Answers, key: &str) -> Result<Value, Unanswered> {
    let tenant = answers.stage.scene.tenant.clone();
    let deleted = answers.home.store.delete_secret(tenant, key.to_owned()).await;
    deleted.map(|()| json!({})).map_err(|error| Unanswered::failed(&error))
}

fn shown(secret: &Secret, value: Option<&SecretString>) -> Value {
    json!({
        "key": secret.key,
        "value": value.map(|value| value.expose_secret().to_owned()),
        "created_at": secret.created_at.to_string(),
        "updated_at": secret.updated_at.to_string(),
        "tenant_name": secret.tenant.as_str(),
        "created_by": "admin",
        "visibility": "tenant",
        "is_hidden_value": false,
    })
}

fn deployment(answers: &Answers) -> Value {
    let (scene, plan) = (&answers.stage.scene, &answers.stage.plan_json);
    json!({
        "id": scene.deployment.as_str(),
        "display_name": scene.deployment.as_str(),
        "blueprint_id": scene.blueprint.as_str(),
        "inputs": answers.stage.inputs,
        "outputs": plan["outputs"],
        "capabilities": plan["capabilities"],
        "workflows": [],
        "labels": [],
        "groups": {},
        "scaling_groups": plan["scaling_groups"],
        "tenant_name": scene.tenant.as_str(),
        "created_by": "admin",
        "visibility": "tenant",
    })
}

fn execution(answers: &Answers) -> Value {
    let scene = &answers.stage.scene;
    json!({
        "id": scene.execution.to_string(),
        "status": "started",
        "workflow_id": scene.workflow,
        "deployment_id": scene.deployment.as_str(),
        "blueprint_id": scene.blueprint.as_str(),
        "parameters": scene.parameters,
        "error": null,
        "is_system_workflow": false,
        "tenant_name": scene.tenant.as_str(),
        "created_by": "admin",
    })
}

/// The query of a request.
struct Query<'q>(&'q str);

// === impl Query ===

impl Query<'_> {
    /// Returns the first value of a key, decoded.
    fn get(&self, key: &str) -> Option<String> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| decoded(value))
    }
}

/// Decodes a value of a query (`application/x-www-form-urlencoded`).
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                bytes.push(u8::from_str_radix(digits, 16).unwrap_or(b'?'));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded() {
        let query = Query("id=a%20b+c&x=%zz&y");
        assert_eq!(query.get("id").as_deref(), Some("a b c"));
        assert_eq!(query.get("x").as_deref(), Some("?"));
        assert_eq!(query.get("y"), None);
    }
}

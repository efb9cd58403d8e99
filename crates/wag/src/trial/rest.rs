//! Cloudify's REST API v3.1 over a world, as far as plugins use it behind their context's back.

use serde_json::{Value, json};
use waggoner_proto::agent::v1::{Refusal, RestRequest, UpdateNodeInstance};

use super::world::{BLUEPRINT, DEPLOYMENT, TENANT, World, invalid, refused, unfound};

/// The version of Cloudify that plugins believe to talk to.
const CLOUDIFY: &str = "7.0.5";

impl World {
    /// Answers a request with its status and its body.
    pub(super) fn rest(&mut self, request: &RestRequest) -> Value {
        let (status, body) = match self.rest_body(request) {
            Ok(body) => (200, body),
            Err(Refusal { status, error_code, message, .. }) => {
                let body = json!({
                    "message": message, "error_code": error_code, "server_traceback": null,
                });
                (status, body)
            }
        };
        json!({ "status": status, "body": body })
    }

    fn rest_body(&mut self, request: &RestRequest) -> Result<Value, Refusal> {
        let body = self.body(request)?;
        let RestRequest { method, path, query, .. } = request;
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["version"]) => Ok(json!({ "edition": "community", "version": CLOUDIFY })),
            ("GET", ["status"]) => Ok(json!({ "status": "OK", "services": {} })),
            ("GET", ["nodes"]) => {
                let mut nodes = self.shown_nodes()?;
                nodes.retain(|node| query.fits("id", &node["id"]));
                Ok(list(&nodes))
            }
            ("GET", ["node-instances"]) => {
                let mut instances = self.instances().to_vec();
                instances.retain(|instance| {
                    query.fits("id", &instance["id"]) && query.fits("node_id", &instance["node_id"])
                });
                Ok(list(&instances))
            }
            ("GET", ["node-instances", id]) => self.found_instance(id).cloned(),
            ("PATCH", ["node-instances", id]) => self.patch(id, &body),
            ("POST", ["evaluate", "functions"]) => {
                let payload = self.evaluate(body["payload"].clone())?;
                Ok(json!({ "deployment_id": DEPLOYMENT, "payload": payload }))
            }
            ("GET", ["secrets"]) => {
                let keys: Vec<_> = self.secret_keys().map(|key| secret(key, None)).collect();
                Ok(list(&keys))
            }
            ("GET", ["secrets", key]) => {
                let value = self.secret_of(key).ok_or_else(|| unfound("Secret", key))?;
                Ok(secret(key, Some(&value)))
            }
            ("PUT" | "PATCH", ["secrets", key]) => {
                let value = body["value"].as_str();
                let value = value.ok_or_else(|| invalid("`value` has to be a string"))?;
                self.put_secret(key, value);
                Ok(secret(key, None))
            }
            ("DELETE", ["secrets", key]) if self.delete_secret(key) => Ok(json!({})),
            ("DELETE", ["secrets", key]) => Err(unfound("Secret", key)),
            ("GET", ["deployments"]) => Ok(list(&[deployment()])),
            ("GET" | "PATCH", ["deployments", DEPLOYMENT]) => Ok(deployment()),
            ("GET", ["blueprints"]) => Ok(list(&[blueprint()])),
            ("GET", ["blueprints", BLUEPRINT]) => Ok(blueprint()),
            ("GET", ["tenants", TENANT]) => Ok(json!({ "name": TENANT, "groups": 0, "users": 0 })),
            ("GET", ["provider", "context"]) => Ok(json!({ "name": "provider", "context": {} })),
            ("GET", ["managers"]) => Ok(list(&[json!({
                "id": 0, "hostname": "manager", "private_ip": "127.0.0.1",
                "public_ip": "127.0.0.1", "version": CLOUDIFY, "edition": "community",
            })])),
            (
                "GET",
                [
                    "config" | "brokers" | "db-nodes" | "plugins" | "agents" | "executions"
                    | "sites",
                ],
            ) => Ok(list(&[])),
            _ => {
                let why = format!(
                    "`wag plugins test` has no manager that could answer {method} {path}: run the \
                     operation in a deployment"
                );
                match segments.first() {
                    // A stock client waits five minutes for a blueprint that is not found
                    // (`cloudify/cluster.py`).
                    Some(&"blueprints") => Err(invalid(&why)),
                    _ => Err(refused("NOT_FOUND", 404, "not_found_error", why)),
                }
            }
        }
    }

    fn patch(&mut self, id: &str, body: &Value) -> Result<Value, Refusal> {
        let version = body["version"].as_i64();
        let version = version.ok_or_else(|| invalid("`version` has to be a whole number"))?;
        self.update(&UpdateNodeInstance {
            node_instance_id: id.to_owned(),
            version,
            runtime_properties_json: body.get("runtime_properties").map(ToString::to_string),
            state: None,
        })
    }
}

/// The query of a request.
trait Query {
    /// Whether a field is as the query wants it, or the query does not say. What is asked for
    /// here has names that no encoding changes.
    fn fits(&self, key: &str, field: &Value) -> bool;
}

impl Query for String {
    fn fits(&self, key: &str, field: &Value) -> bool {
        let pairs = self.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(name, _)| *name == key).is_none_or(|(_, wanted)| field == wanted)
    }
}

fn list(items: &[Value]) -> Value {
    let pagination = json!({ "total": items.len(), "size": 1000, "offset": 0 });
    json!({ "items": items, "metadata": { "pagination": pagination, "filtered": null } })
}

fn secret(key: &str, value: Option<&str>) -> Value {
    json!({
        "key": key, "value": value, "tenant_name": TENANT, "created_by": "admin",
        "visibility": "tenant", "is_hidden_value": false,
    })
}

fn deployment() -> Value {
    json!({
        "id": DEPLOYMENT, "display_name": DEPLOYMENT, "blueprint_id": BLUEPRINT, "inputs": {},
        "outputs": {}, "capabilities": {}, "workflows": [], "labels": [], "groups": {},
        "scaling_groups": {}, "tenant_name": TENANT, "created_by": "admin", "visibility": "tenant",
    })
}

fn blueprint() -> Value {
    json!({
        "id": BLUEPRINT, "description": null, "main_file_name": "blueprint.yaml", "plan": {},
        "state": "uploaded", "labels": [], "tenant_name": TENANT, "created_by": "admin",
        "visibility": "tenant",
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::trial::Subject;

    fn ask(world: &mut World, method: &str, path: &str, body: &Value) -> (u64, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut answer = world.rest(&RestRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            body_json: if body.is_null() { String::new() } else { body.to_string() },
            ..RestRequest::default()
        });
        (answer["status"].as_u64().unwrap(), answer["body"].take())
    }

    #[test]
    fn what_plugins_ask_behind_their_context_is_answered() {
        let target = Subject::default();
        let mut world = World::new(&Subject::default(), Some(&target), Map::new(), None);
        let none = Value::Null;
        let (_, nodes) = ask(&mut world, "GET", "/nodes?id=target&_include=id", &none);
        assert_eq!(nodes["items"].as_array().unwrap().len(), 1);
        assert_eq!(nodes["items"][0]["id"], "target");

        let patch = json!({"version": 1, "runtime_properties": {"a": 1}, "state": "creating"});
        assert_eq!(ask(&mut world, "PATCH", "/node-instances/node_1", &patch).0, 200);
        let (_, read) = ask(&mut world, "GET", "/node-instances/node_1", &none);
        assert_eq!((&read["version"], &read["runtime_properties"]["a"]), (&json!(2), &json!(1)));
        let stale = json!({"version": 1, "runtime_properties": {}});
        assert_eq!(ask(&mut world, "PATCH", "/node-instances/node_1", &stale).0, 409);

        let (_, blueprint) = ask(&mut world, "GET", &format!("/blueprints/{BLUEPRINT}"), &none);
        assert_eq!(blueprint["visibility"], "tenant");
        assert_eq!(ask(&mut world, "GET", "/blueprints/other", &none).0, 400);
        assert_eq!(ask(&mut world, "GET", "/deployments/other", &none).0, 404);

        let put = json!({"value": "v"});
        assert_eq!(ask(&mut world, "PUT", "/secrets/key", &put).0, 200);
        assert_eq!(ask(&mut world, "GET", "/secrets/key", &none).1["value"], "v");
        assert_eq!(ask(&mut world, "GET", "/secrets", &none).1["items"][0]["value"], none);
        assert_eq!(ask(&mut world, "DELETE", "/secrets/key", &none).0, 200);
        assert_eq!(ask(&mut world, "GET", "/secrets/key", &none).0, 404);

        let (status, body) = ask(&mut world, "POST", "/executions", &json!({}));
        assert_eq!((status, &body["error_code"]), (404, &json!("not_found_error")));
    }
}

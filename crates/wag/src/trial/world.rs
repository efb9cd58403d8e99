//! What an operation sees: one node instance, or the two of a relationship, and what is evaluated
//! against them.
//!
//! Shapes and rules are those of Cloudify's REST API, as the manager answers it.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Map, Value, json};
use waggoner_blueprint::{Kind, Refusal as Unevaluated, Scope, Storage, evaluate};
use waggoner_proto::agent::v1::{
    AskNode, AskNodeInstance, EvaluateFunctions, Refusal, RestRequest, UpdateNodeInstance,
    question::Ask,
};

use super::bodies::Bodies;

/// The names of what there is.
pub(super) const TENANT: &str = "default_tenant";
pub(super) const DEPLOYMENT: &str = "test";
pub(super) const BLUEPRINT: &str = "test";
const NODE: &str = "node";
const TARGET: &str = "target";

/// The type of the relationship, where there is one.
const RELATIONSHIP: &str = "cloudify.relationships.depends_on";

/// The type of a node of which nothing is said.
const ROOT: &str = "cloudify.nodes.Root";

/// A node and its one instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    /// The node as a plan has it; an empty object for one of which nothing is known.
    pub node: Map<String, Value>,
    pub properties: Map<String, Value>,
    pub runtime_properties: Map<String, Value>,
}

/// A deployment of one node, or of two of which the first depends on the second.
#[derive(Clone, Debug)]
pub(crate) struct World {
    nodes: Vec<Value>,
    instances: Vec<Value>,
    secrets: Map<String, Value>,
    resources: Option<Utf8PathBuf>,
    bodies: Bodies,
}

// === impl World ===

impl World {
    pub(crate) fn new(
        own: &Subject,
        target: Option<&Subject>,
        secrets: Map<String, Value>,
        resources: Option<Utf8PathBuf>,
    ) -> Self {
        let mut nodes = vec![node(NODE, own)];
        let mut instances = vec![instance(NODE, own)];
        if let Some(target) = target {
            nodes[0]["relationships"] = json!([{
                "type": RELATIONSHIP,
                "type_hierarchy": [RELATIONSHIP],
                "target_id": TARGET,
                "properties": { "connection_type": "all_to_all" },
                "source_operations": {},
                "target_operations": {},
            }]);
            instances[0]["relationships"] = json!([{
                "type": RELATIONSHIP, "target_name": TARGET, "target_id": instance_id(TARGET),
            }]);
            nodes.push(node(TARGET, target));
            instances.push(instance(TARGET, target));
        }
        Self { nodes, instances, secrets, resources, bodies: Bodies::default() }
    }

    /// Where resources are looked for.
    pub(super) fn resources(&self) -> Option<&Utf8Path> {
        self.resources.as_deref()
    }

    /// The nodes with their properties evaluated.
    pub(crate) fn shown_nodes(&self) -> Result<Vec<Value>, Refusal> {
        self.nodes.iter().map(|node| self.shown_node(node)).collect()
    }

    /// The node instances as they are now, the operation's own first.
    pub(crate) fn instances(&self) -> &[Value] {
        &self.instances
    }

    /// The runtime properties as they are now: the node instance's own, and the target's.
    pub(crate) fn runtime_properties(&self) -> (Value, Option<Value>) {
        let of = |instance: &Value| instance["runtime_properties"].clone();
        (of(&self.instances[0]), self.instances.get(1).map(of))
    }

    /// The keys of `__cloudify_context` that say what the operation is about.
    pub(crate) fn context(&self) -> Map<String, Value> {
        let mut context = Map::new();
        let mut put = |name: &str, value: Value| context.insert(name.to_owned(), value);
        put("tenant", json!({ "name": TENANT }));
        put("deployment_id", DEPLOYMENT.into());
        put("deployment_display_name", DEPLOYMENT.into());
        put("deployment_creator", "admin".into());
        put("deployment_resource_tags", json!({}));
        put("blueprint_id", BLUEPRINT.into());
        put("node_id", instance_id(NODE).into());
        put("node_name", NODE.into());
        if self.nodes.len() > 1 {
            let target = instance_id(TARGET);
            let related = json!({ "node_id": target, "node_name": TARGET, "is_target": true });
            put("related", related);
        }
        context
    }

    /// Evaluates the functions in a value, as the operation sees them.
    pub(crate) fn evaluate(&self, value: Value) -> Result<Value, Refusal> {
        self.evaluate_in(value, &self.scope())
    }

    /// Answers a question about anything but a resource.
    pub(super) fn answer(&mut self, ask: Option<Ask>) -> Result<Value, Refusal> {
        match ask {
            Some(Ask::Node(AskNode { node_id, .. })) => self.shown_node(self.found_node(&node_id)?),
            Some(Ask::NodeInstance(ask)) => self.shown_instance(&ask),
            Some(Ask::UpdateNodeInstance(update)) => self.update(&update),
            Some(Ask::EvaluateFunctions(EvaluateFunctions { payload_json })) => {
                let payload = serde_json::from_str(&payload_json);
                let payload =
                    payload.map_err(|error| invalid(&format!("it is no JSON: {error}")))?;
                self.evaluate(payload)
            }
            Some(Ask::Rest(request)) => Ok(self.rest(&request)),
            Some(Ask::PutBody(piece)) => self.bodies.put(piece),
            _ => Err(invalid("the question is not known here")),
        }
    }

    /// Changes a node instance by Cloudify's optimistic rule (`rest/resources_v1/nodes.py`): what
    /// was read at an older version is refused, and only a real change makes a new version.
    pub(super) fn update(&mut self, update: &UpdateNodeInstance) -> Result<Value, Refusal> {
        let UpdateNodeInstance { node_instance_id: id, version, runtime_properties_json, .. } =
            update;
        let is_it = |instance: &&mut Value| instance["id"] == id.as_str();
        let found = self.instances.iter_mut().find(is_it);
        let instance = found.ok_or_else(|| unfound("NodeInstance", id))?;
        let stored = instance["version"].as_i64().unwrap_or_default();
        if stored > *version {
            let why = format!(
                "the node instance `{id}` changed since it was read: it is at version {stored} and \
                 the update was made from version {version}; read it again and repeat the change"
            );
            return Err(refused("VERSION_CONFLICT", 409, "conflict_error", why));
        }
        if let Some(json) = runtime_properties_json {
            let properties: Map<String, Value> = serde_json::from_str(json).map_err(|error| {
                invalid(&format!("the runtime properties are no JSON object: {error}"))
            })?;
            let properties = Value::Object(properties);
            if instance["runtime_properties"] != properties {
                instance["runtime_properties"] = properties;
                instance["version"] = (stored + 1).into();
            }
        }
        Ok(instance.clone())
    }

    /// The body of a request, which may have been put in pieces before.
    pub(super) fn body(&mut self, request: &RestRequest) -> Result<Value, Refusal> {
        let json = match request.body_id.as_str() {
            "" if request.body_json.is_empty() => return Ok(Value::Null),
            "" => request.body_json.as_bytes().to_vec(),
            id => self.bodies.take(id)?,
        };
        serde_json::from_slice(&json)
            .map_err(|error| invalid(&format!("the body is no JSON: {error}")))
    }

    pub(super) fn found_node(&self, id: &str) -> Result<&Value, Refusal> {
        self.nodes.iter().find(|node| node["id"] == id).ok_or_else(|| unfound("Node", id))
    }

    pub(super) fn found_instance(&self, id: &str) -> Result<&Value, Refusal> {
        let found = self.instances.iter().find(|instance| instance["id"] == id);
        found.ok_or_else(|| unfound("NodeInstance", id))
    }

    pub(super) fn shown_node(&self, node: &Value) -> Result<Value, Refusal> {
        let mut shown = node.clone();
        let own = Scope::Instance(instance_id(node["id"].as_str().unwrap_or_default()));
        shown["properties"] = self.evaluate_in(shown["properties"].take(), &own)?;
        Ok(shown)
    }

    fn shown_instance(&self, ask: &AskNodeInstance) -> Result<Value, Refusal> {
        let AskNodeInstance { node_instance_id: id, evaluate_functions } = ask;
        let mut shown = self.found_instance(id)?.clone();
        if *evaluate_functions {
            let properties = shown["runtime_properties"].take();
            let own = Scope::Instance(id.clone());
            shown["runtime_properties"] = self.evaluate_in(properties, &own)?;
        }
        Ok(shown)
    }

    pub(super) fn secret_of(&self, key: &str) -> Option<String> {
        self.secrets.get(key).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    pub(super) fn secret_keys(&self) -> impl Iterator<Item = &str> {
        self.secrets.keys().map(String::as_str)
    }

    pub(super) fn put_secret(&mut self, key: &str, value: &str) {
        self.secrets.insert(key.to_owned(), value.into());
    }

    pub(super) fn delete_secret(&mut self, key: &str) -> bool {
        self.secrets.shift_remove(key).is_some()
    }

    fn scope(&self) -> Scope {
        let own = instance_id(NODE);
        if self.nodes.len() > 1 {
            Scope::Relationship { source: own, target: instance_id(TARGET) }
        } else {
            Scope::Instance(own)
        }
    }

    fn evaluate_in(&self, value: Value, scope: &Scope) -> Result<Value, Refusal> {
        evaluate(value, scope, "value", self).map_err(|why| {
            let error_code = match why.kind {
                Kind::UnknownSecret => "unknown_deployment_secret_error",
                _ => "functions_evaluation_error",
            };
            refused("INVALID", 400, error_code, why.to_string())
        })
    }
}

impl Storage for World {
    fn input(&self, name: &str) -> Result<Value, Unevaluated> {
        Err(absent("input", name))
    }

    fn node(&self, id: &str) -> Result<Value, Unevaluated> {
        self.found_node(id).cloned().map_err(|_| absent("node", id))
    }

    fn node_instances(&self, node: &str) -> Result<Vec<Value>, Unevaluated> {
        let of_it = self.instances.iter().filter(|instance| instance["node_id"] == node);
        Ok(of_it.cloned().collect())
    }

    fn node_instance(&self, id: &str) -> Result<Value, Unevaluated> {
        self.found_instance(id).cloned().map_err(|_| absent("node instance", id))
    }

    fn secret(&self, name: &str) -> Result<String, Unevaluated> {
        self.secret_of(name).ok_or_else(|| {
            let why = format!("there is no secret `{name}`: give it with --secret {name}=…");
            Unevaluated::new(Kind::UnknownSecret, why)
        })
    }

    fn capability(&self, _: &[Value]) -> Result<Value, Unevaluated> {
        Err(Unevaluated::new(Kind::Key, "there is no other deployment here".to_owned()))
    }

    fn system(&self, entity: &str, property: &str) -> Result<Value, Unevaluated> {
        match (entity, property) {
            ("tenant", "name") => Ok(TENANT.into()),
            ("deployment", "id" | "name") => Ok(DEPLOYMENT.into()),
            ("deployment", "blueprint") => Ok(BLUEPRINT.into()),
            ("deployment", "owner") => Ok("admin".into()),
            _ => Err(absent(entity, property)),
        }
    }
}

fn node(id: &str, of: &Subject) -> Value {
    let mut node = json!({
        "id": id,
        "name": id,
        "type": ROOT,
        "type_hierarchy": [ROOT],
        "host_id": null,
        "relationships": [],
        "operations": {},
        "plugins": [],
        "plugins_to_install": [],
        "number_of_instances": 1,
        "planned_number_of_instances": 1,
        "deploy_number_of_instances": 1,
        "min_number_of_instances": 0,
        "max_number_of_instances": -1,
        "blueprint_id": BLUEPRINT,
        "deployment_id": DEPLOYMENT,
        "tenant_name": TENANT,
        "created_by": "admin",
        "visibility": "tenant",
    });
    for (name, value) in &of.node {
        node[name] = value.clone();
    }
    node["properties"] = Value::Object(of.properties.clone());
    node
}

fn instance(node: &str, of: &Subject) -> Value {
    json!({
        "id": instance_id(node),
        "node_id": node,
        "deployment_id": DEPLOYMENT,
        "host_id": null,
        "index": 1,
        "state": "creating",
        "version": 1,
        "runtime_properties": of.runtime_properties,
        "system_properties": {},
        "relationships": [],
        "scaling_groups": [],
        "tenant_name": TENANT,
        "created_by": "admin",
        "visibility": "tenant",
        "resource_availability": "tenant",
        "private_resource": false,
        "has_configuration_drift": false,
        "is_status_check_ok": false,
    })
}

fn instance_id(node: &str) -> String {
    format!("{node}_1")
}

fn absent(kind: &str, name: &str) -> Unevaluated {
    Unevaluated::new(Kind::Key, format!("the node stands alone: there is no {kind} `{name}`"))
}

pub(super) fn refused(reason: &str, status: u32, error_code: &str, message: String) -> Refusal {
    Refusal { reason: reason.to_owned(), message, status, error_code: error_code.to_owned() }
}

pub(super) fn unfound(kind: &str, id: &str) -> Refusal {
    let message = format!("Requested `{kind}` with ID `{id}` was not found");
    refused("NOT_FOUND", 404, "not_found_error", message)
}

pub(super) fn invalid(message: &str) -> Refusal {
    refused("INVALID", 400, "bad_parameters_error", message.to_owned())
}

#[cfg(test)]
mod tests;

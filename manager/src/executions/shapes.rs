//! Things as Cloudify's REST API v3.1 shows them.

use serde_json::{Map, Value, json};
use waggoner_store::instance::NodeInstance;
use waggoner_types::{TenantName, plan};

use crate::executions::Stage;

/// A node instance (`rest/resources_v1/nodes.py`).
pub(crate) fn node_instance(instance: &NodeInstance) -> Value {
    json!({
        "id": instance.id,
        "node_id": instance.node_id,
        "deployment_id": instance.deployment_id.as_str(),
        "host_id": instance.host_id,
        "index": instance.index,
        "state": instance.state.as_str(),
        "version": instance.version,
        "runtime_properties": instance.runtime_properties,
        "system_properties": instance.system_properties,
        "relationships": instance.relationships,
        "scaling_groups": instance.scaling_groups,
        "tenant_name": instance.tenant.as_str(),
        "created_by": "admin",
        "visibility": "tenant",
        "resource_availability": "tenant",
        "private_resource": false,
        "has_configuration_drift": false,
        "is_status_check_ok": false,
    })
}

/// A node instance as the engine has it.
pub(crate) fn plan_instance(instance: &NodeInstance) -> plan::NodeInstance {
    plan::NodeInstance {
        id: instance.id.clone(),
        node_id: instance.node_id.clone(),
        host_id: instance.host_id.clone(),
        relationships: instance.relationships.clone(),
        state: instance.state,
        index: Some(instance.index.into()),
        scaling_groups: instance.scaling_groups.clone(),
        system_properties: instance.system_properties.clone(),
    }
}

/// A node (`rest/resources_v3/nodes.py`) with the given properties.
pub(crate) fn node(stage: &Stage, node: &Value, properties: Value) -> Value {
    let mut shown: Map<String, Value> = node.as_object().cloned().unwrap_or_default();
    let scalable = &node["capabilities"]["scalable"]["properties"];
    for (name, from, otherwise) in [
        ("number_of_instances", "current_instances", 1),
        ("planned_number_of_instances", "planned_instances", 1),
        ("deploy_number_of_instances", "default_instances", 1),
        ("min_number_of_instances", "min_instances", 0),
        ("max_number_of_instances", "max_instances", -1),
    ] {
        let number = scalable[from].as_i64().unwrap_or(otherwise);
        shown.insert(name.to_owned(), number.into());
    }
    shown.insert("properties".to_owned(), properties);
    shown.insert("blueprint_id".to_owned(), stage.scene.blueprint.as_str().into());
    shown.insert("deployment_id".to_owned(), stage.scene.deployment.as_str().into());
    shown.insert("tenant_name".to_owned(), stage.scene.tenant.as_str().into());
    shown.insert("created_by".to_owned(), "admin".into());
    shown.insert("visibility".to_owned(), "tenant".into());
    Value::Object(shown)
}

/// A list as every list of the API is shown.
pub(crate) fn list(items: &[Value]) -> Value {
    let total = items.len();
    json!({
        "items": items,
        "metadata": {
            "pagination": { "total": total, "size": 1000, "offset": 0 },
            "filtered": null,
        },
    })
}

/// A tenant.
pub(crate) fn tenant(name: &TenantName) -> Value {
    json!({ "name": name.as_str(), "groups": 0, "users": 0 })
}

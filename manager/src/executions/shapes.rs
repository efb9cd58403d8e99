//! Nodes and node instances as Cloudify's REST API v3.1 shows them.

use serde_json::{Map, Value, json};
use waggoner_store::{deployment::Deployment, instance::NodeInstance};
use waggoner_types::{
    BlueprintId, DeploymentId, TenantName,
    plan::{self, InstanceState},
};

use crate::executions::{Stage, rest::reply::owned};

/// What a node belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Belongs {
    tenant: TenantName,
    deployment: DeploymentId,
    blueprint: BlueprintId,
}

// === impl Belongs ===

impl Belongs {
    pub(crate) fn of(deployment: &Deployment) -> Self {
        Self {
            tenant: deployment.tenant.clone(),
            deployment: deployment.id.clone(),
            blueprint: deployment.blueprint_id.clone(),
        }
    }

    pub(crate) fn of_stage(stage: &Stage) -> Self {
        Self {
            tenant: stage.scene.tenant.clone(),
            deployment: stage.scene.deployment.clone(),
            blueprint: stage.scene.blueprint.clone(),
        }
    }
}

/// A node instance (`rest/resources_v1/nodes.py`).
pub(crate) fn node_instance(instance: &NodeInstance) -> Value {
    let shown = json!({
        "id": instance.id,
        "node_id": instance.node_id,
        "deployment_id": instance.deployment_id.as_str(),
        "host_id": instance.host_id,
        "index": instance.index,
        "state": instance.state.as_str(),
        "version": instance.version,
        "runtime_properties_p": null,
        "runtime_properties": instance.runtime_properties,
        "system_properties": instance.system_properties,
        "relationships_p": null,
        "relationships": instance.relationships,
        "scaling_groups_p": null,
        "scaling_groups": instance.scaling_groups,
        "has_configuration_drift": false,
        "is_status_check_ok": false,
    });
    owned(&instance.tenant, shown)
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

/// A node of a plan with the given properties (`rest/resources_v3/nodes.py`). `instances` are all
/// of its deployment.
pub(crate) fn node(
    belongs: &Belongs,
    node: &Value,
    instances: &[NodeInstance],
    properties: Value,
) -> Value {
    let own = instances.iter().filter(|instance| node["id"] == instance.node_id);
    let actual = own.clone().count();
    let started = own.filter(|instance| instance.state == InstanceState::Started).count();
    let mut shown = json!({
        "id": node["id"],
        "type": node["type"],
        "host_id": node["host_id"],
        "drifted_instances": 0,
        "unavailable_instances": actual - started,
        "actual_number_of_instances": actual,
        "blueprint_id": belongs.blueprint.as_str(),
        "deployment_id": belongs.deployment.as_str(),
        "deployment_display_name": belongs.deployment.as_str(),
    });
    // The columns that Cloudify keeps pickled show themselves so.
    for (name, value) in [
        ("plugins", node["plugins"].clone()),
        ("plugins_to_install", node["plugins_to_install"].clone()),
        ("properties", properties),
        ("relationships", relationships(&node["relationships"])),
        ("operations", node["operations"].clone()),
        ("type_hierarchy", node["type_hierarchy"].clone()),
    ] {
        shown[name] = value;
        shown[format!("{name}_p")] = Value::Null;
    }
    let scalable = &node["capabilities"]["scalable"]["properties"];
    for (name, from, otherwise) in [
        ("number_of_instances", "current_instances", 1),
        ("planned_number_of_instances", "planned_instances", 1),
        ("actual_planned_number_of_instances", "planned_instances", 1),
        ("deploy_number_of_instances", "default_instances", 1),
        ("min_number_of_instances", "min_instances", 0),
        ("max_number_of_instances", "max_instances", -1),
    ] {
        shown[name] = scalable[from].as_i64().unwrap_or(otherwise).into();
    }
    owned(&belongs.tenant, shown)
}

/// A node's relationships, without the interfaces that their operations are made of.
fn relationships(planned: &Value) -> Value {
    let names = [
        "target_id",
        "type",
        "type_hierarchy",
        "properties",
        "source_operations",
        "target_operations",
    ];
    let shown = planned.as_array().into_iter().flatten().map(|relationship| {
        let fields = names.map(|name| (name.to_owned(), relationship[name].clone()));
        Value::Object(Map::from_iter(fields))
    });
    shown.collect()
}

/// A tenant.
pub(crate) fn tenant(name: &TenantName) -> Value {
    json!({ "name": name.as_str(), "groups": 0, "users": 0 })
}

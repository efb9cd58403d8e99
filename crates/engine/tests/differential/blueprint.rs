//! Blueprints in JSON, which is YAML.

use serde_json::{Map, Value, json};

/// A blueprint in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blueprint {
    nodes: Map<String, Value>,
    groups: Map<String, Value>,
    policies: Map<String, Value>,
}

pub(crate) const LIFE: &[&str] = &["create", "configure", "start", "stop", "delete"];

pub(crate) const ALL: &[&str] = &[
    "precreate",
    "create",
    "configure",
    "start",
    "poststart",
    "prestop",
    "stop",
    "delete",
    "postdelete",
];

pub(crate) const RELATED: &[&str] = &["preconfigure", "postconfigure", "establish", "unlink"];

impl Blueprint {
    /// A node with these operations of `cloudify.interfaces.lifecycle`.
    pub(crate) fn node(mut self, id: &str, operations: &[&str]) -> Self {
        let node = json!({
            "type": "cloudify.nodes.Root",
            "relationships": [],
            "interfaces": {"cloudify.interfaces.lifecycle": implemented(operations)},
        });
        self.nodes.insert(id.to_owned(), node);
        self
    }

    pub(crate) fn host(mut self, id: &str, operations: &[&str], install_method: &str) -> Self {
        self = self.node(id, operations);
        let node = self.nodes.get_mut(id).unwrap();
        node["type"] = json!("cloudify.nodes.Compute");
        node["properties"] = json!({"agent_config": {"install_method": install_method}});
        self
    }

    /// Implements operations of another interface of the last node.
    pub(crate) fn interface(mut self, interface: &str, operations: &[&str]) -> Self {
        self.last()["interfaces"][format!("cloudify.interfaces.{interface}")] =
            implemented(operations);
        self
    }

    /// Relates the last node to an earlier one.
    pub(crate) fn related(
        mut self,
        target: &str,
        type_name: &str,
        source: &[&str],
        to: &[&str],
    ) -> Self {
        let side = |operations| json!({"cloudify.interfaces.relationship_lifecycle": implemented(operations)});
        let relationship = json!({
            "target": target,
            "type": format!("cloudify.relationships.{type_name}"),
            "source_interfaces": side(source),
            "target_interfaces": side(to),
        });
        self.last()["relationships"].as_array_mut().unwrap().push(relationship);
        self
    }

    /// Sets a property of the last relationship of the last node.
    pub(crate) fn relationship_property(mut self, name: &str, value: &str) -> Self {
        let relationships = self.last()["relationships"].as_array_mut().unwrap();
        relationships.last_mut().unwrap()["properties"] = json!({name: value});
        self
    }

    /// Sets how many instances the last node has.
    pub(crate) fn instances(mut self, count: u32) -> Self {
        self.last()["capabilities"] =
            json!({"scalable": {"properties": {"default_instances": count}}});
        self
    }

    pub(crate) fn scaling_group(mut self, id: &str, members: &[&str], count: u32) -> Self {
        self.groups.insert(id.to_owned(), json!({"members": members}));
        let policy = json!({
            "type": "cloudify.policies.scaling",
            "targets": [id],
            "properties": {"default_instances": count},
        });
        self.policies.insert(format!("{id}_policy"), policy);
        self
    }

    pub(crate) fn build(self) -> Value {
        let ours = json!({"executor": "central_deployment_agent", "install": false});
        let mut workflows = Map::new();
        for (name, function) in [
            ("install", "install"),
            ("uninstall", "uninstall"),
            ("reinstall", "reinstall"),
            ("execute_operation", "execute_operation"),
            ("start", "start"),
            ("stop", "stop"),
            ("restart", "restart"),
            ("pull", "pull"),
            ("heal", "auto_heal_reinstall_node_subgraph"),
            ("scale", "scale_entity"),
            ("check_status", "check_status"),
            ("check_drift", "check_drift"),
            ("rollback", "rollback"),
        ] {
            let mapping = format!("default_workflows.cloudify.plugins.workflows.{function}");
            workflows.insert(name.to_owned(), json!({ "mapping": mapping }));
        }
        let declared: Map<String, Value> =
            ALL.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        json!({
            "tosca_definitions_version": "cloudify_dsl_1_4",
            "plugins": {"recorder": ours, "default_workflows": ours},
            "node_types": {
                "cloudify.nodes.Root": {
                    "interfaces": {"cloudify.interfaces.lifecycle": declared},
                },
                "cloudify.nodes.Compute": {
                    "derived_from": "cloudify.nodes.Root",
                    "properties": {"agent_config": {"default": {"install_method": "none"}}},
                },
            },
            "relationships": {
                "cloudify.relationships.depends_on": {
                    "properties": {"connection_type": {"default": "all_to_all"}},
                },
                "cloudify.relationships.connected_to": {
                    "derived_from": "cloudify.relationships.depends_on",
                },
                "cloudify.relationships.contained_in": {
                    "derived_from": "cloudify.relationships.depends_on",
                },
                "cloudify.relationships.depends_on_lifecycle_operation": {
                    "derived_from": "cloudify.relationships.depends_on",
                    "properties": {"operation": {"default": "precreate"}},
                },
            },
            "node_templates": self.nodes,
            "groups": self.groups,
            "policies": self.policies,
            "workflows": workflows,
        })
    }

    fn last(&mut self) -> &mut Value {
        self.nodes.values_mut().last().unwrap()
    }
}

fn implemented(operations: &[&str]) -> Value {
    let implementation = || json!({"implementation": "recorder.recorder.record"});
    Value::Object(operations.iter().map(|name| ((*name).to_owned(), implementation())).collect())
}

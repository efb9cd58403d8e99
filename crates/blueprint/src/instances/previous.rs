//! The instances that a deployment has, back as a graph.

use std::collections::HashMap;

use serde_json::{Map as Object, Value as Json, json};

use super::{
    Instance, InstanceGraph, Link,
    plan_graph::{IN_GROUP, PlanGraph},
};
use crate::{Kind, Refusal};

/// The instances with all their links, and as they are contained in each other.
pub(super) struct Previous {
    pub(super) all: InstanceGraph,
    pub(super) contained: InstanceGraph,
    /// The instances of each node and group.
    pub(super) by_name: HashMap<String, Vec<String>>,
    /// The member instances of each instance of a group.
    pub(super) members: HashMap<String, Vec<String>>,
}

// === impl Previous ===

impl Previous {
    /// Reads instances; `plan` is what they were made from.
    pub(super) fn of(instances: &Json, plan: &PlanGraph) -> Result<Self, Refusal> {
        let mut previous = Self {
            all: InstanceGraph::default(),
            contained: InstanceGraph::default(),
            by_name: HashMap::new(),
            members: HashMap::new(),
        };
        let list = || instances.as_array().into_iter().flatten();
        for instance in list() {
            previous.add(instance)?;
        }
        for instance in list() {
            previous.link(instance, plan)?;
        }
        for (id, instance) in previous.all.nodes() {
            previous.by_name.entry(instance.name.clone()).or_default().push(id.to_owned());
        }
        Ok(previous)
    }

    fn add(&mut self, instance: &Json) -> Result<(), Refusal> {
        let id = text(instance, "id")?;
        let fields = instance.as_object().cloned().unwrap_or_default();
        self.both(id, Instance { name: name(instance)?.to_owned(), is_group: false, fields });
        for group in groups(instance) {
            let (group_id, name) = (text(group, "id")?, text(group, "name")?);
            let mut fields = Object::new();
            fields.insert("id".to_owned(), json!(group_id));
            fields.insert("name".to_owned(), json!(name));
            if let Some(host) = instance["host_id"].as_str() {
                fields.insert("host_id".to_owned(), json!(host));
            }
            self.both(group_id, Instance { name: name.to_owned(), is_group: true, fields });
            self.members.entry(group_id.to_owned()).or_default().push(id.to_owned());
        }
        Ok(())
    }

    fn both(&mut self, id: &str, instance: Instance) {
        self.contained.add(id, instance.clone());
        self.all.add(id, instance);
    }

    fn link(&mut self, instance: &Json, plan: &PlanGraph) -> Result<(), Refusal> {
        let (id, node) = (text(instance, "id")?, name(instance)?);
        let mut chain: Vec<(String, String)> = vec![];
        for group in groups(instance) {
            chain.push((text(group, "id")?.to_owned(), text(group, "name")?.to_owned()));
        }
        let mut container = None;
        let relationships = instance["relationships"].as_array().into_iter().flatten();
        for (index, relationship) in (0..).zip(relationships) {
            let target = (text(relationship, "target_id")?, text(relationship, "target_name")?);
            let mut fields = relationship.as_object().cloned().unwrap_or_default();
            if let Some(relation) = plan.graph.edge(node, target.1) {
                let link = Link { fields, index, is_replaced: false, is_group: false };
                if relation.contains {
                    self.contained.link(id, target.0, link.clone());
                }
                self.all.link(id, target.0, link);
                continue;
            }
            // What the plan does not connect directly is connected through a group.
            let Some((group_id, group)) = chain.first().cloned() else {
                let message =
                    format!("`{id}` relates to `{}`, which the plan does not say", target.0);
                return Err(Refusal::new(Kind::Runtime, message));
            };
            container = Some((target.0.to_owned(), target.1.to_owned()));
            fields.insert("target_id".to_owned(), json!(group_id));
            fields.insert("target_name".to_owned(), json!(group));
            let link = Link { fields, index, is_replaced: true, is_group: false };
            self.contained.link(id, &group_id, link.clone());
            self.all.link(id, &group_id, link);
        }
        if chain.is_empty() {
            return Ok(());
        }
        match container {
            Some(container) => chain.push(container),
            None => chain.insert(0, (id.to_owned(), node.to_owned())),
        }
        for pair in chain.windows(2) {
            let [(from, _), (to, to_name)] = pair else { continue };
            let fields = json!({ "type": IN_GROUP, "target_id": to, "target_name": to_name });
            let fields = fields.as_object().cloned().unwrap_or_default();
            let link = Link { fields, index: -1, is_replaced: false, is_group: true };
            self.contained.link(from, to, link.clone());
            self.all.link(from, to, link);
        }
        Ok(())
    }
}

fn groups(instance: &Json) -> impl Iterator<Item = &Json> {
    instance["scaling_groups"].as_array().into_iter().flatten()
}

fn text<'j>(json: &'j Json, key: &str) -> Result<&'j str, Refusal> {
    json[key].as_str().ok_or_else(|| {
        Refusal::new(Kind::Runtime, format!("a node instance has no `{key}`: {json}"))
    })
}

/// The node of an instance: the parser calls it `name`, the REST API `node_id`.
fn name(instance: &Json) -> Result<&str, Refusal> {
    instance["name"].as_str().map_or_else(|| text(instance, "node_id"), Ok)
}

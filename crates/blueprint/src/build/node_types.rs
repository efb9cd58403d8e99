//! Node types: schemas and interfaces, each laid over those of its parent.

use indexmap::IndexMap;

use super::{
    Builder,
    interfaces::{self, Interfaces, Of},
    schema::Owner,
};
use crate::{
    Refusal, code,
    order::order,
    property::{self, Schema},
    tree::Tree,
};

pub(super) type NodeTypes = IndexMap<String, NodeType>;

/// A node type with all that it inherits.
pub(super) struct NodeType {
    pub(super) properties: Schema,
    pub(super) interfaces: Interfaces,
    /// The root first, itself last.
    pub(super) hierarchy: Vec<String>,
}

/// The type of hosts: what is contained in one may run on its agent.
const HOST: &str = "cloudify.nodes.Compute";

// === impl NodeType ===

impl NodeType {
    /// Says whether its nodes are hosts, whatever the namespace.
    pub(super) fn is_host(&self) -> bool {
        self.hierarchy.iter().any(|name| name.contains(HOST))
    }
}

// === impl Builder ===

impl Builder<'_> {
    pub(super) fn node_types(&mut self, tree: &Tree) -> NodeTypes {
        let mut types = NodeTypes::new();
        for name in self.types_in_order(tree, "node_types") {
            let Some(own) = tree.as_map().map(|types| &types[name.as_str()].value) else {
                continue;
            };
            let path = format!("node_types.{name}");
            let parent = own.get("derived_from").and_then(Tree::as_str);
            if let Some(parent) = parent {
                self.check_parent("node type", &name, parent, own, tree, &path);
            }
            let mut properties = self.own_properties(own, &path, &name);
            if let Some(runtime) = own.get("runtime_properties") {
                self.schema(runtime, &format!("{path}.runtime_properties"), &name, Owner::Type);
            }
            let mut interfaces =
                self.interfaces(own.get("interfaces"), &format!("{path}.interfaces"), Of::Type);
            let mut hierarchy = vec![];
            if let Some(parent) = parent.and_then(|parent| types.get(parent)) {
                properties = property::inherit(&parent.properties, properties, &self.data_types);
                interfaces = interfaces::inherit(&parent.interfaces, interfaces);
                hierarchy.clone_from(&parent.hierarchy);
            }
            hierarchy.push(name.clone());
            types.insert(name, NodeType { properties, interfaces, hierarchy });
        }
        types
    }

    pub(super) fn own_properties(&mut self, own: &Tree, path: &str, name: &str) -> Schema {
        let path = format!("{path}.properties");
        own.get("properties")
            .map(|properties| self.schema(properties, &path, name, Owner::Type))
            .unwrap_or_default()
    }

    /// The names of types, parents first. A cycle is reported.
    pub(super) fn types_in_order(&mut self, tree: &Tree, section: &str) -> Vec<String> {
        let parent = |name: &str| {
            tree.get(name).and_then(|own| own.get("derived_from")?.as_str()).into_iter().collect()
        };
        match order(tree.entries().map(|(name, _)| name), parent) {
            Ok(names) => names.into_iter().map(str::to_owned).collect(),
            Err(cycle) => {
                let message = format!("types derive from each other: {}", cycle.join(" → "));
                let place = tree.place_at([cycle[0].as_str()]);
                self.report(place, section, Refusal::logic(code::CYCLE, message));
                vec![]
            }
        }
    }
}

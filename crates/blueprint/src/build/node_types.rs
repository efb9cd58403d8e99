//! Node types: schemas and interfaces, each laid over those of its parent.

use std::collections::HashMap;

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
    tree::{Fields, Tree},
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

/// How many types a type may derive from, one from the other: Python's recursion ends the stock
/// parser at some hundreds.
const MOST_STEPS: usize = 100;

/// How many values all types together may inherit; the AWS plugin's inherit some thousands.
const MOST_INHERITED: usize = 500_000;

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

    /// Reports types that derive from each other over too many steps, or that inherit too much.
    /// `names` has parents first.
    pub(super) fn can_inherit(&mut self, names: &[&str], tree: &Tree, section: &str) -> bool {
        // How many steps each type is from its root, and how much it has with what it inherits.
        let mut known: HashMap<&str, (usize, usize)> = HashMap::new();
        let mut all = 0;
        for name in names {
            let Some(own) = tree.get(name) else { continue };
            let parent = own.get("derived_from").and_then(Tree::as_str);
            let (steps, inherited) =
                parent.and_then(|parent| known.get(parent)).copied().unwrap_or_default();
            known.insert(name, (steps + 1, inherited + leaves(own)));
            all += inherited;
            let what = if steps >= MOST_STEPS {
                format!("derives from its root over more than {MOST_STEPS} steps")
            } else if all > MOST_INHERITED {
                format!("is one too many: all types inherit more than {MOST_INHERITED} values")
            } else {
                continue;
            };
            let refusal = Refusal::logic(code::CYCLE, format!("the type `{name}` {what}"));
            self.report(tree.place_at([*name]), section, refusal);
            return false;
        }
        true
    }

    /// The names of types, parents first. A cycle is reported.
    pub(super) fn types_in_order(&mut self, tree: &Tree, section: &str) -> Vec<String> {
        let parent = |name: &str| {
            tree.get(name).and_then(|own| own.get("derived_from")?.as_str()).into_iter().collect()
        };
        match order(tree.entries().map(|(name, _)| name), parent) {
            Ok(names) if self.can_inherit(&names, tree, section) => {
                names.into_iter().map(str::to_owned).collect()
            }
            Ok(_) => vec![],
            Err(cycle) => {
                let message = format!("types derive from each other: {}", cycle.join(" → "));
                let place = tree.place_at([cycle[0].as_str()]);
                self.report(place, section, Refusal::logic(code::CYCLE, message));
                vec![]
            }
        }
    }
}

/// How many values a tree holds, down to the operations of interfaces and the inputs of those.
fn leaves(tree: &Tree) -> usize {
    let below = |tree: &Tree| tree.as_map().map_or(0, Fields::len);
    let entries = tree.entries().flat_map(|(_, section)| section.value.entries());
    entries.map(|(_, entry)| 1 + below(&entry.value)).sum()
}

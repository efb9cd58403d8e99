//! All nodes: in the order of what they relate to, their hosts, and the plugins they need.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::{
    Builder, node_types::NodeTypes, policies::container, relationships::RelationshipTypes,
    templates::Types,
};
use crate::{Refusal, code, order::order, tree::Tree};

/// The nodes of a plan.
#[derive(Default)]
pub(super) struct Nodes {
    pub(super) names: Vec<String>,
    pub(super) list: Vec<Json>,
    /// Plugins for the manager's agent, and for the agents of hosts.
    pub(super) central_plugins: Vec<Json>,
    pub(super) agent_plugins: Vec<Json>,
}

/// The plugins of one node, by name and executor.
type Used = IndexMap<(String, String), Json>;

// === impl Builder ===

impl Builder<'_> {
    pub(super) fn nodes(
        &mut self,
        tree: &Tree,
        node_types: &NodeTypes,
        relationships: &RelationshipTypes,
    ) -> Nodes {
        let names: Vec<String> = tree.entries().map(|(name, _)| name.to_owned()).collect();
        let ordered = match order(names.iter().map(String::as_str), |name| targets(tree, name)) {
            Ok(ordered) => ordered,
            Err(cycle) => {
                let place = tree.place_at([cycle[0].as_str()]);
                let message =
                    format!("nodes relate to each other in a circle: {}", cycle.join(" → "));
                self.report(place, "node_templates", Refusal::logic(code::CYCLE, message));
                return Nodes { names, ..Nodes::default() };
            }
        };
        let types = Types { nodes: node_types, relationships, templates: tree };
        let mut made: HashMap<String, Json> = HashMap::new();
        let mut hosts: HashMap<String, String> = HashMap::new();
        for (name, field) in tree.entries() {
            if let Some(node) = self.node(name, field, &types) {
                made.insert(name.to_owned(), node);
            }
        }
        for name in ordered {
            let Some(node) = made.get_mut(name) else { continue };
            let is_host =
                node_types.get(type_of(node)).is_some_and(super::node_types::NodeType::is_host);
            let host = if is_host {
                Some(name.to_owned())
            } else {
                container(node).and_then(|container| hosts.get(container).cloned())
            };
            if let Some(host) = host {
                node["host_id"] = Json::String(host.clone());
                hosts.insert(name.to_owned(), host);
            }
        }
        let nodes: Vec<Json> = names.iter().filter_map(|name| made.remove(name)).collect();
        let is_complete = nodes.len() == names.len();
        let mut nodes = Nodes { names, list: nodes, ..Nodes::default() };
        if is_complete {
            self.assign_plugins(&mut nodes, tree, node_types);
        }
        nodes
    }

    /// Writes into each node the plugins that its operations need, and where.
    fn assign_plugins(&mut self, all: &mut Nodes, tree: &Tree, node_types: &NodeTypes) {
        let index: HashMap<&str, usize> =
            all.names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        let mut used: Vec<Used> = vec![Used::new(); all.list.len()];
        for (at, node) in all.list.iter().enumerate() {
            self.use_plugins(&node["operations"], &mut used[at]);
            for relationship in node["relationships"].as_array().into_iter().flatten() {
                self.use_plugins(&relationship["source_operations"], &mut used[at]);
                let target = relationship["target_id"].as_str().unwrap_or_default();
                if let Some(target) = index.get(target) {
                    self.use_plugins(&relationship["target_operations"], &mut used[*target]);
                }
            }
        }
        let host_of: Vec<Option<&str>> =
            all.list.iter().map(|node| node["host_id"].as_str()).collect();
        let mut on_host: HashMap<String, IndexMap<String, Json>> = HashMap::new();
        for (used, host) in used.iter().zip(&host_of) {
            let Some(host) = host else { continue };
            let plugins = on_host.entry((*host).to_owned()).or_default();
            plugins.extend(with_executor(used, "host_agent"));
        }
        let homeless: Vec<(String, String)> = used
            .iter()
            .zip(&host_of)
            .zip(&all.names)
            .filter(|((_, host), _)| host.is_none())
            .filter_map(|((used, _), node)| {
                let (plugin, _) = with_executor(used, "host_agent").next()?;
                Some((node.clone(), plugin))
            })
            .collect();
        let mut central = IndexMap::new();
        let mut agents = IndexMap::new();
        for (node, used) in all.list.iter_mut().zip(used) {
            let of_node: IndexMap<_, _> =
                with_executor(&used, "central_deployment_agent").collect();
            node["deployment_plugins_to_install"] = json!(of_node.values().collect::<Vec<_>>());
            central.extend(of_node);
            if node_types.get(type_of(node)).is_some_and(super::node_types::NodeType::is_host) {
                let name = node["id"].as_str().unwrap_or_default();
                let plugins = on_host.remove(name).unwrap_or_default();
                node["plugins_to_install"] = json!(plugins.values().collect::<Vec<_>>());
                agents.extend(plugins);
            }
            node["plugins"] = Json::Array(used.into_values().collect());
        }
        all.central_plugins = central.into_values().collect();
        all.agent_plugins = agents.into_values().collect();
        for (node, plugin) in homeless {
            let message = format!(
                "the node `{node}` is not contained in a host, but the plugin `{plugin}` runs on \
                 the agent of a host: add a `contained_in` relationship, or use the executor \
                 `central_deployment_agent`"
            );
            let refusal = Refusal::logic(code::AGENT_PLUGIN_WITHOUT_HOST, message);
            self.report(tree.place_at([node.as_str()]), &format!("node_templates.{node}"), refusal);
        }
    }

    fn use_plugins(&self, operations: &Json, used: &mut Used) {
        for operation in
            operations.as_object().into_iter().flatten().map(|(_, operation)| operation)
        {
            let name = operation["plugin"].as_str().unwrap_or_default();
            let Some(plugin) = self.plugins.get(name) else { continue };
            let executor = operation["executor"].as_str().unwrap_or_default();
            used.entry((name.to_owned(), executor.to_owned())).or_insert_with(|| {
                let mut plugin = plugin.clone();
                plugin["executor"] = operation["executor"].clone();
                plugin
            });
        }
    }
}

fn with_executor(used: &Used, wanted: &str) -> impl Iterator<Item = (String, Json)> {
    used.iter()
        .filter(move |((_, executor), _)| executor == wanted)
        .map(|((name, _), plugin)| (name.clone(), plugin.clone()))
}

fn type_of(node: &Json) -> &str {
    node["type"].as_str().unwrap_or_default()
}

/// What a template relates to, itself aside.
fn targets<'t>(tree: &'t Tree, name: &str) -> Vec<&'t str> {
    let relationships = tree.get(name).and_then(|template| template.get("relationships"));
    relationships
        .map(Tree::items)
        .unwrap_or_default()
        .iter()
        .filter_map(|relationship| relationship.get("target")?.as_str())
        .filter(|target| *target != name)
        .collect()
}

//! The nodes of a plan and their relationships, as a picture.
//!
//! ```text
//!  plan ──▶ Picture ──▶ text: what contains what, as a tree
//!                 └───▶ svg:  boxes in boxes, and arrows
//! ```

use std::collections::HashMap;

use serde_json::{Value, json};

mod layout;
mod svg;
mod text;

pub(crate) use self::svg::escaped;

/// The nodes of a plan.
#[derive(Debug)]
pub(crate) struct Picture {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    id: String,
    type_name: String,
    /// How many instances it has in each instance of what contains it.
    instances: i64,
    /// The scaling groups that it is in.
    groups: Vec<String>,
    container: Option<usize>,
    contained: Vec<usize>,
    /// What it is connected to or depends on, and by what type of relationship.
    links: Vec<Link>,
}

#[derive(Debug)]
struct Link {
    target: usize,
    type_name: String,
}

/// The relationship that puts its source into its target.
const CONTAINED_IN: &str = "cloudify.relationships.contained_in";

// === impl Picture ===

impl Picture {
    /// Reads a plan of `dsl_parser`'s shape.
    pub(crate) fn of(plan: &Value) -> Self {
        let given = plan["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut nodes: Vec<Node> = given.iter().map(|node| Node::of(node, plan)).collect();
        let places: HashMap<String, usize> =
            nodes.iter().enumerate().map(|(place, node)| (node.id.clone(), place)).collect();
        for (place, node) in given.iter().enumerate() {
            for relationship in node["relationships"].as_array().into_iter().flatten() {
                let target = relationship["target_id"].as_str().and_then(|id| places.get(id));
                let Some(target) = target.copied() else { continue };
                let types = relationship["type_hierarchy"].as_array();
                if types.into_iter().flatten().any(|name| name == CONTAINED_IN) {
                    nodes[place].container = Some(target);
                    nodes[target].contained.push(place);
                } else {
                    let type_name = text(&relationship["type"]);
                    nodes[place].links.push(Link { target, type_name });
                }
            }
        }
        Self { nodes }
    }

    /// The picture for programs.
    pub(crate) fn shape(&self) -> Value {
        let id = |place: usize| &self.nodes[place].id;
        let nodes = self.nodes.iter().map(|node| {
            json!({
                "id": node.id,
                "type": node.type_name,
                "instances": node.instances,
                "groups": node.groups,
                "contained_in": node.container.map(id),
                "relationships": node.links.iter().map(|link| {
                    json!({ "type": link.type_name, "target": id(link.target) })
                }).collect::<Vec<_>>(),
            })
        });
        json!({ "nodes": nodes.collect::<Vec<_>>() })
    }

    /// The places of the nodes, containers before what they contain.
    fn outermost_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = self.roots().collect();
        let mut next = 0;
        while let Some(place) = order.get(next).copied() {
            order.extend(&self.nodes[place].contained);
            next += 1;
        }
        order
    }

    /// The nodes that nothing contains.
    fn roots(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|place| self.nodes[*place].container.is_none())
    }
}

// === impl Node ===

impl Node {
    fn of(node: &Value, plan: &Value) -> Self {
        let id = text(&node["id"]);
        let scaling = &node["capabilities"]["scalable"]["properties"];
        let groups = plan["scaling_groups"].as_object().into_iter().flatten();
        let is_in = |group: &Value| {
            group["members"].as_array().is_some_and(|members| members.iter().any(|it| *it == id))
        };
        let groups = groups.filter(|(_, group)| is_in(group)).map(|(name, _)| name.clone());
        Self {
            type_name: text(&node["type"]),
            instances: scaling["default_instances"].as_i64().unwrap_or(1),
            groups: groups.collect(),
            container: None,
            contained: vec![],
            links: vec![],
            id,
        }
    }

    /// `×3` for other numbers of instances than one.
    fn times(&self) -> String {
        if self.instances == 1 { String::new() } else { format!(" ×{}", self.instances) }
    }
}

// === impl Link ===

impl Link {
    /// The last part of the type's name: `connected_to`.
    fn short(&self) -> &str {
        self.type_name.rsplit('.').next().unwrap_or_default()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;

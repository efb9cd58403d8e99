//! The nodes and scaling groups of a plan as a graph, and its trees of containment.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::graph::Graph;
use crate::{Kind, Refusal};

const DEPENDS_ON: &str = "cloudify.relationships.depends_on";
const CONNECTED_TO: &str = "cloudify.relationships.connected_to";
const CONTAINED_IN: &str = "cloudify.relationships.contained_in";
/// Says in instance graphs that something is in a group.
pub(super) const IN_GROUP: &str = "__group_contained_in__";

/// A node or a scaling group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) is_group: bool,
    /// How many instances there are of it, in each instance of what contains it.
    pub(super) instances: u64,
    pub(super) host_id: Option<String>,
}

/// A relationship of a node, or its place in a group.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) type_name: String,
    /// What the plan calls the target; a group where one stands in between.
    pub(super) target: String,
    /// The real target, where a group stands in between.
    pub(super) replaced: Option<String>,
    pub(super) contains: bool,
    pub(super) is_group: bool,
    connects: bool,
    connection_type: Option<String>,
    pub(super) index: i64,
}

/// How the instances of two nodes are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    AllToAll,
    AllToOne,
}

pub(super) struct PlanGraph {
    pub(super) graph: Graph<Member, Relation>,
}

// === impl PlanGraph ===

impl PlanGraph {
    pub(super) fn of(nodes: &Json, scaling_groups: &Json) -> Result<Self, Refusal> {
        let mut graph = Graph::default();
        let list = || nodes.as_array().into_iter().flatten();
        for node in list() {
            graph.add(id(node)?, Member::node(node)?);
        }
        let groups = || scaling_groups.as_object().into_iter().flatten();
        for (name, group) in groups() {
            graph.add(name, Member::group(name, group)?);
        }
        let mut group_of: HashMap<&str, &str> = HashMap::new();
        for (name, group) in groups() {
            for member in group["members"].as_array().into_iter().flatten() {
                let member = member.as_str().unwrap_or_default();
                if !graph.has(member) {
                    let message = format!(
                        "the scaling group `{name}` has the member `{member}`, which is neither a \
                         node nor a group with a scaling policy"
                    );
                    return Err(Refusal::new(Kind::Key, message));
                }
                graph.link(member, name, Relation::in_group(name));
                group_of.insert(member, name);
            }
        }
        for node in list() {
            let source = id(node)?;
            let relationships = node["relationships"].as_array().into_iter().flatten();
            for (index, relationship) in (0..).zip(relationships) {
                let relation = Relation::of(relationship, index)?;
                let target = relation.target.clone();
                match group_of.get(source).filter(|_| relation.contains) {
                    Some(group) => {
                        let replaced = Some(target.clone());
                        let target_name = (*group).to_owned();
                        let relation = Relation { target: target_name, replaced, ..relation };
                        graph.link(source, group, relation);
                        let outermost = outermost(group, &group_of);
                        graph.link(outermost, &target, Relation::in_group(&target));
                    }
                    None => graph.link(source, &target, relation),
                }
            }
        }
        Ok(Self { graph })
    }

    /// What contains a node or a group.
    pub(super) fn container(&self, name: &str) -> Option<(&str, &Relation)> {
        self.graph.out(name).find(|(_, relation)| relation.contains || relation.is_group)
    }

    /// What a node or a group contains.
    pub(super) fn contained(&self, name: &str) -> Vec<&str> {
        let is_in = |from: &&str| self.container(from).is_some_and(|(of, _)| of == name);
        self.graph.from(name).filter(is_in).collect()
    }

    /// The outermost containers.
    pub(super) fn roots(&self) -> Vec<String> {
        let names = self.graph.nodes().map(|(name, _)| name);
        names.filter(|name| self.container(name).is_none()).map(str::to_owned).collect()
    }

    /// The relationships that do not contain, by source and target.
    pub(super) fn connections(&self) -> impl Iterator<Item = (&str, &str, &Relation)> {
        self.graph.edges().filter(|(_, _, relation)| relation.connects)
    }

    /// The innermost group that both nodes are in.
    pub(super) fn shared_group(&self, one: &str, two: &str) -> Option<&str> {
        let theirs: HashSet<&str> = self.groups(two).into_iter().collect();
        self.groups(one).into_iter().find(|group| theirs.contains(group))
    }

    /// The groups around a node, the innermost first.
    fn groups(&self, name: &str) -> Vec<&str> {
        let mut groups = vec![];
        let mut here = self.container(name);
        while let Some((container, _)) = here {
            if self.graph.node(container).is_some_and(|member| member.is_group) {
                groups.push(container);
            }
            here = self.container(container);
        }
        groups
    }
}

// === impl Member ===

impl Member {
    fn node(node: &Json) -> Result<Self, Refusal> {
        let name = id(node)?;
        let instances = match node.get("capabilities") {
            Some(capabilities) => &capabilities["scalable"]["properties"]["current_instances"],
            None => &node["number_of_instances"],
        };
        Ok(Self {
            is_group: false,
            instances: count(name, instances)?,
            host_id: node["host_id"].as_str().map(str::to_owned),
        })
    }

    fn group(name: &str, group: &Json) -> Result<Self, Refusal> {
        let instances = count(name, &group["properties"]["current_instances"])?;
        Ok(Self { is_group: true, instances, host_id: None })
    }
}

// === impl Relation ===

impl Relation {
    fn of(relationship: &Json, index: i64) -> Result<Self, Refusal> {
        let text = |key: &str| relationship[key].as_str().unwrap_or_default().to_owned();
        let contains = is_of(relationship, &[CONTAINED_IN]);
        let connects = is_of(relationship, &[CONNECTED_TO, DEPENDS_ON]) && !contains;
        if !contains && !connects {
            let message = format!(
                "the relationship type `{}` derives neither from `{DEPENDS_ON}` nor from \
                 `{CONTAINED_IN}`",
                text("type")
            );
            return Err(Refusal::new(Kind::UnsupportedRelationship, message));
        }
        let connection_type = relationship["properties"]["connection_type"].as_str();
        Ok(Self {
            type_name: text("type"),
            target: text("target_id"),
            replaced: None,
            contains,
            is_group: false,
            connects,
            connection_type: connection_type.map(str::to_owned),
            index,
        })
    }

    fn in_group(name: &str) -> Self {
        Self {
            type_name: IN_GROUP.to_owned(),
            target: name.to_owned(),
            replaced: None,
            contains: false,
            is_group: true,
            connects: false,
            connection_type: None,
            index: -1,
        }
    }

    pub(super) fn connection(&self) -> Result<Connection, Refusal> {
        match self.connection_type.as_deref() {
            Some("all_to_all") => Ok(Connection::AllToAll),
            Some("all_to_one") => Ok(Connection::AllToOne),
            other => {
                let message = format!(
                    "the `connection_type` of a relationship to `{}` is `{}`: expected `all_to_all` \
                     or `all_to_one`",
                    self.target,
                    other.unwrap_or("not given")
                );
                Err(Refusal::new(Kind::ConnectionType, message))
            }
        }
    }
}

fn id(node: &Json) -> Result<&str, Refusal> {
    node["id"].as_str().ok_or_else(|| Refusal::new(Kind::Runtime, "a node of the plan has no id"))
}

fn is_of(relationship: &Json, types: &[&str]) -> bool {
    let hierarchy = relationship["type_hierarchy"].as_array().into_iter().flatten();
    hierarchy.filter_map(Json::as_str).any(|name| types.contains(&name))
}

/// The most instances of one node or group: more would not fit their ids, nor a machine.
const MOST: u64 = 100_000;

fn count(name: &str, given: &Json) -> Result<u64, Refusal> {
    let wrong = || {
        let message = format!("`{name}` is to have `{given}` instances: expected a whole number");
        Refusal::new(Kind::Type, message)
    };
    let count = match given {
        Json::String(text) => text.trim().parse().map_err(|_| wrong())?,
        Json::Bool(given) => u64::from(*given),
        number => number.as_u64().ok_or_else(wrong)?,
    };
    if count > MOST {
        let message = format!("`{name}` is to have {count} instances, at most {MOST}");
        return Err(Refusal::new(Kind::Runtime, message));
    }
    Ok(count)
}

fn outermost<'g>(group: &'g str, group_of: &HashMap<&'g str, &'g str>) -> &'g str {
    let mut here = group;
    for _ in 0..group_of.len() {
        match group_of.get(here) {
            Some(outer) => here = outer,
            None => break,
        }
    }
    here
}

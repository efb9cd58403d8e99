//! Policies: today only scaling, which makes scaling groups of groups.
//!
//! Source: `dsl_parser/elements/policies.py`.

use std::collections::{BTreeSet, HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map as Object, Value as Json, json};

use super::{Builder, scaling, schema::Owner, templates::CONTAINED_IN};
use crate::{
    Refusal, code, nearest,
    order::order,
    property::{self, Schema},
    tree::Tree,
};

/// Policy types, or triggers: a schema and a source.
pub(super) type PolicyTypes = IndexMap<String, PolicyType>;

pub(super) struct PolicyType {
    pub(super) properties: Schema,
    source: Json,
}

const SCALING: &str = "cloudify.policies.scaling";

/// Who is a member of which group: member to groups.
type Membership = IndexMap<String, Vec<String>>;

pub(super) fn types_json(types: &PolicyTypes, key: &str) -> Json {
    let one = |of: &PolicyType| json!({ key: property::schema_to_json(&of.properties), "source": of.source });
    Json::Object(types.iter().map(|(name, of)| (name.clone(), one(of))).collect())
}

// === impl Builder ===

impl Builder<'_> {
    /// Reads policy types (with `properties`) or triggers (with `parameters`).
    pub(super) fn policy_types(&mut self, tree: &Tree, key: &str) -> PolicyTypes {
        tree.entries()
            .map(|(name, field)| {
                let path = format!("{name}.{key}");
                let properties = field
                    .value
                    .get(key)
                    .map(|properties| self.schema(properties, &path, name, Owner::Type))
                    .unwrap_or_default();
                let source = field.value.get("source").map_or(Json::Null, Tree::to_json);
                (name.to_owned(), PolicyType { properties, source })
            })
            .collect()
    }

    /// Reads the policies: themselves, and the scaling groups they make.
    pub(super) fn policies(
        &mut self,
        tree: &Tree,
        groups: &Object<String, Json>,
        nodes: &[Json],
    ) -> (Json, Json) {
        let mut policies = Object::new();
        let mut scaling_groups = Object::new();
        for (name, field) in tree.entries() {
            let path = format!("policies.{name}");
            let policy = &field.value;
            let type_name = policy.get("type").and_then(Tree::as_str).unwrap_or_default();
            if type_name != SCALING {
                let message =
                    format!("the policy `{name}` is of type `{type_name}`: expected `{SCALING}`");
                let refusal = Refusal::logic(code::UNSUPPORTED_POLICY, message);
                self.report(policy.place_at(["type"]), &path, refusal);
            }
            let properties = match policy.get("properties") {
                Some(properties) => self.scaling(properties, &format!("{path}.properties")),
                None => scaling::defaults(1),
            };
            let targets = self.targets(name, policy, groups, &path);
            for target in &targets {
                if let Some(group) = groups.get(target) {
                    let group = json!({ "members": group["members"], "properties": properties });
                    scaling_groups.insert(target.clone(), group);
                }
            }
            policies.insert(
                name.to_owned(),
                json!({ "type": type_name, "properties": properties, "targets": targets }),
            );
        }
        if scaling_groups.is_empty() {
            return (Json::Object(policies), Json::Object(scaling_groups));
        }
        if let Err(refusal) = check_groups(&mut scaling_groups, nodes) {
            self.report(tree.place, "policies", refusal);
        }
        (Json::Object(policies), Json::Object(scaling_groups))
    }

    fn targets(
        &mut self,
        name: &str,
        policy: &Tree,
        groups: &Object<String, Json>,
        path: &str,
    ) -> Vec<String> {
        let items = policy.get("targets").map(Tree::items).unwrap_or_default();
        if items.is_empty() {
            let message = format!("the policy `{name}` needs at least one group as a target");
            let refusal = Refusal::logic(code::NO_TARGETS, message);
            self.report(policy.place_at(["targets"]), path, refusal);
        }
        let mut targets = vec![];
        for item in items {
            let Some(target) = item.as_str() else { continue };
            if !groups.contains_key(target) {
                let message =
                    format!("the target `{target}` of the policy `{name}` is not a group");
                let refusal = Refusal::logic(code::NON_GROUP_TARGET, message);
                let hint = nearest::hint(target, groups.keys().map(String::as_str));
                self.report_unknown(item.place, path, refusal, hint);
            }
            targets.push(target.to_owned());
        }
        targets
    }
}

/// Judges the scaling groups together, and takes out of each what is in it by containment.
fn check_groups(groups: &mut Object<String, Json>, nodes: &[Json]) -> Result<(), Refusal> {
    let mut member_of = Membership::new();
    for (name, group) in groups.iter() {
        for member in members(group) {
            member_of.entry(member.to_owned()).or_default().push(name.clone());
            member_of.entry(name.clone()).or_default();
        }
    }
    let names: Vec<&str> = member_of.keys().map(String::as_str).collect();
    order(names, |name| member_of[name].iter().map(String::as_str).collect()).map_err(|cycle| {
        let message = format!("groups are members of each other: {}", cycle.join(" → "));
        Refusal::logic(code::GROUP_CYCLE, message)
    })?;
    if let Some((member, of)) = member_of.iter().find(|(_, of)| of.len() > 1) {
        let message = format!("`{member}` is a member of several groups: {}", of.join(", "));
        return Err(Refusal::logic(code::MULTIPLE_GROUPS, message));
    }
    let container_of: HashMap<&str, &str> =
        nodes.iter().filter_map(|node| Some((node["id"].as_str()?, container(node)?))).collect();
    let containers: HashMap<&str, Vec<&str>> = nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .map(|id| (id, ancestors(id, &container_of)))
        .collect();
    check_relatives(groups, &containers)?;
    remove_contained(groups, &member_of, &containers);
    Ok(())
}

fn members(group: &Json) -> impl Iterator<Item = &str> {
    group["members"].as_array().into_iter().flatten().filter_map(Json::as_str)
}

/// What contains a node.
pub(super) fn container(node: &Json) -> Option<&str> {
    node["relationships"].as_array()?.iter().find_map(|relationship| {
        let hierarchy = relationship["type_hierarchy"].as_array()?;
        let contains = hierarchy.iter().any(|name| name == CONTAINED_IN);
        contains.then(|| relationship["target_id"].as_str())?
    })
}

/// The node and what it is contained in, the innermost first.
fn ancestors<'n>(node: &'n str, container_of: &HashMap<&'n str, &'n str>) -> Vec<&'n str> {
    let mut chain = vec![node];
    while let Some(container) = container_of.get(chain[chain.len() - 1]) {
        if chain.contains(container) {
            break;
        }
        chain.push(container);
    }
    chain
}

/// Nodes of one group are contained in something common, or in nothing, or one in the other;
/// else one of them shares a group in such a way with what contains the other.
fn check_relatives(
    groups: &Object<String, Json>,
    containers: &HashMap<&str, Vec<&str>>,
) -> Result<(), Refusal> {
    let mut groups_of: HashMap<&str, HashSet<&str>> = HashMap::new();
    let mut strangers = vec![];
    for (name, _) in groups {
        let nodes = all_nodes(name, groups, containers);
        for node in &nodes {
            groups_of.entry(node).or_default().insert(name);
        }
        for (one, two) in strange_pairs(&nodes, containers) {
            strangers.push((name, one, two));
            if strangers.len() > MOST_STRANGERS {
                return Err(not_related(name, one, two));
            }
        }
    }
    let share = |one: &str, two: &str| {
        let groups = groups_of.get(one).zip(groups_of.get(two));
        groups.is_some_and(|(of_one, of_two)| !of_one.is_disjoint(of_two))
    };
    let mut related: HashSet<(&str, &str)> = HashSet::new();
    // A pair that is found to be related may relate another one.
    loop {
        let known = related.len();
        strangers.retain(|&(_, one, two)| {
            let are = |one: &str, two: &str| {
                related.contains(&pair(one, two))
                    || share(one, two) && are_related(&containers[one], &containers[two])
            };
            let by = |from, to| containers[from].iter().any(|container| are(container, to));
            let is_related = by(one, two) || by(two, one);
            if is_related {
                related.insert(pair(one, two));
            }
            !is_related
        });
        if related.len() == known {
            break;
        }
    }
    strangers.first().map_or(Ok(()), |(group, one, two)| Err(not_related(group, one, two)))
}

/// How many pairs of strangers are judged: more are not related by chance.
const MOST_STRANGERS: usize = 100_000;

fn not_related(group: &str, one: &str, two: &str) -> Refusal {
    let message = format!(
        "`{one}` and `{two}` are in the group `{group}`, but are contained in nothing common"
    );
    Refusal::logic(code::NON_CONTAINED_MEMBERS, message)
}

/// The pairs of nodes that are not related; one more than are judged at the most.
fn strange_pairs<'n>(
    nodes: &[&'n str],
    containers: &HashMap<&'n str, Vec<&'n str>>,
) -> Vec<(&'n str, &'n str)> {
    // The outermost container as a number, for groups of thousands, and whether it is the node.
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let ends: Vec<(usize, bool)> = nodes
        .iter()
        .map(|node| {
            let next = numbers.len();
            let outermost = containers[node].last().copied().unwrap_or(node);
            (*numbers.entry(outermost).or_insert(next), outermost == *node)
        })
        .collect();
    let mut strange = vec![];
    if numbers.len() == 1 || ends.iter().all(|(_, is_outermost)| *is_outermost) {
        return strange;
    }
    for (at, one) in ends.iter().enumerate() {
        for (to, two) in ends.iter().enumerate().skip(at + 1) {
            if one.0 != two.0 && !(one.1 && two.1) {
                strange.push((nodes[at], nodes[to]));
                if strange.len() > MOST_STRANGERS {
                    return strange;
                }
            }
        }
    }
    strange
}

/// Two names in their order.
fn pair<'n>(one: &'n str, two: &'n str) -> (&'n str, &'n str) {
    if one < two { (one, two) } else { (two, one) }
}

/// Compares two nodes by themselves and their containers, the innermost first.
fn are_related(one: &[&str], two: &[&str]) -> bool {
    one.len() == 1 && two.len() == 1 || one.last() == two.last()
}

/// The nodes of a group and of the groups in it.
fn all_nodes<'g>(
    group: &'g str,
    groups: &'g Object<String, Json>,
    containers: &HashMap<&'g str, Vec<&'g str>>,
) -> Vec<&'g str> {
    let (mut nodes, mut seen, mut next) = (BTreeSet::new(), HashSet::new(), vec![group]);
    while let Some(group) = next.pop() {
        for member in groups.get(group).into_iter().flat_map(members) {
            if containers.contains_key(member) {
                nodes.insert(member);
            } else if seen.insert(member) {
                next.push(member);
            }
        }
    }
    nodes.into_iter().collect()
}

/// A node whose container is in the same group follows it, and need not be a member itself.
fn remove_contained(
    groups: &mut Object<String, Json>,
    member_of: &Membership,
    containers: &HashMap<&str, Vec<&str>>,
) {
    let chain = |name: &str| {
        let mut chain: Vec<&str> = vec![];
        let mut here = member_of.get(name).and_then(|of| of.first());
        while let Some(group) = here {
            chain.push(group);
            here = member_of.get(group).and_then(|of| of.first());
        }
        chain
    };
    for member in member_of.keys() {
        let Some(around) = containers.get(member.as_str()) else { continue };
        let own = chain(member);
        for container in &around[1..] {
            let theirs = chain(container);
            let Some(shared) = own.iter().find(|group| theirs.contains(group)) else { continue };
            let removed = if own.first() == Some(shared) {
                member.as_str()
            } else {
                let outer = own.iter().rev().find(|group| !theirs.contains(group));
                outer.copied().unwrap_or(member)
            };
            if let Some(members) =
                groups.get_mut(*shared).and_then(|it| it["members"].as_array_mut())
            {
                members.retain(|name| name != removed);
            }
        }
    }
}

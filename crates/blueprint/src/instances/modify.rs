//! Scaling a deployment: which instances come, which go, and whom that touches.

use std::collections::HashSet;

use serde_json::{Map as Object, Value as Json, json};

use super::{
    Ids, InstanceGraph, Link, Making, extract,
    grow::{Keep, Kept},
    plan_graph::PlanGraph,
    previous::Previous,
};
use crate::{Kind, Refusal};

/// Changes the number of instances of some nodes and groups.
///
/// `nodes` are the nodes as they shall be, `previous_nodes` as they were, both in the plan's
/// shape; `modified` says for each changed node or group how many `instances` it shall have
/// and, optionally, which ids to remove first (`removed_ids_include_hint`) or not at all
/// (`removed_ids_exclude_hint`).
///
/// The answer lists `added_and_related`, `removed_and_related`, `extended_and_related` and
/// `reduced_and_related` instances, as `dsl_parser`'s `modify_deployment` does.
pub fn modify_deployment(
    nodes: &Json,
    previous_nodes: &Json,
    previous_instances: &Json,
    modified: &Object<String, Json>,
    scaling_groups: &Json,
    ids: &mut dyn Ids,
) -> Result<Json, Refusal> {
    let plan = PlanGraph::of(nodes, scaling_groups)?;
    let previous_plan = PlanGraph::of(previous_nodes, scaling_groups)?;
    let previous = Previous::of(previous_instances, &previous_plan)?;
    let taken = previous
        .by_name
        .iter()
        .map(|(name, ids)| (name.clone(), ids.iter().cloned().collect()))
        .collect();
    let mut making = Making { plan: &plan, ids, taken, made: InstanceGraph::default() };
    making.grow(&mut Change { plan: &plan, previous: &previous, modified })?;
    let contained = making.made.clone();
    making.relate(&contained, Some(&previous.all))?;
    let new = &making.made;
    let old = &previous.all;
    let added = nodes_not_in(new, old);
    let removed = nodes_not_in(old, new);
    let added_and_related = described(&added, &contained, "added");
    let removed_and_related = described(&removed, &previous.contained, "removed");
    let extended = described(&edges_not_in(new, old), &contained, "extended");
    let reduced = described(&edges_not_in(old, new), &previous.contained, "reduced");
    Ok(json!({
        "extended_and_related": without(extended, &added_and_related),
        "reduced_and_related": without(reduced, &removed_and_related),
        "added_and_related": added_and_related,
        "removed_and_related": removed_and_related,
    }))
}

/// What stays of a deployment.
struct Change<'c> {
    plan: &'c PlanGraph,
    previous: &'c Previous,
    modified: &'c Object<String, Json>,
}

// === impl Change ===

impl Keep for Change<'_> {
    fn keep(&mut self, name: &str, planned: u64, parent: Option<&str>) -> Result<Kept, Refusal> {
        let empty = vec![];
        let all = self.previous.by_name.get(name).unwrap_or(&empty).iter();
        let mut stay: Vec<String> = all
            .filter(|id| parent.is_none_or(|parent| self.previous.all.edge(id, parent).is_some()))
            .cloned()
            .collect();
        let was = u64::try_from(stay.len()).unwrap_or(u64::MAX);
        let wanted = match self.modified.get(name) {
            None => planned,
            Some(modified) => modified["instances"].as_u64().ok_or_else(|| {
                let message = format!("`{name}` is modified, but not told how many instances");
                Refusal::new(Kind::Value, message)
            })?,
        };
        if let (Some(modified), true) = (self.modified.get(name), wanted <= was) {
            self.remove(&mut stay, was - wanted, modified);
        }
        let kept = stay.into_iter().map(|id| {
            let instance = self.previous.all.node(&id).expect("it was listed by name").clone();
            let link = parent.and_then(|parent| self.link(name, &id, parent));
            (id, instance, link)
        });
        Ok(Kept { instances: kept.collect(), new: wanted.saturating_sub(was) })
    }
}

impl Change<'_> {
    /// Removes instances: first those asked for, then others, last those asked to stay.
    fn remove(&self, stay: &mut Vec<String>, count: u64, modified: &Json) {
        let hints = |key: &str| self.hinted(stay, &modified[key]);
        let (include, exclude) =
            (hints("removed_ids_include_hint"), hints("removed_ids_exclude_hint"));
        let mut left = count;
        let mut go = |stay: &mut Vec<String>, goes: &dyn Fn(&String) -> bool| {
            stay.retain(|id| {
                let removed = left > 0 && goes(id);
                left -= u64::from(removed);
                !removed
            });
        };
        go(stay, &|id| include.contains(id));
        go(stay, &|id| !exclude.contains(id));
        go(stay, &|_| true);
    }

    /// The instances that hints mean: themselves, or the group instances of members.
    fn hinted(&self, stay: &[String], hints: &Json) -> HashSet<String> {
        let hints: Vec<&str> =
            hints.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let is_meant = |id: &&String| {
            hints.iter().any(|hint| {
                id == hint
                    || self
                        .previous
                        .members
                        .get(id.as_str())
                        .is_some_and(|members| members.iter().any(|member| member == hint))
            })
        };
        stay.iter().filter(is_meant).cloned().collect()
    }

    /// The link of an instance that stays to its container: the one it has.
    fn link(&self, name: &str, id: &str, parent: &str) -> Option<Link> {
        let (_, relation) = self.plan.container(name)?;
        let known = self.previous.all.edge(id, parent)?;
        Some(Link {
            fields: known.fields.clone(),
            index: relation.index,
            is_replaced: relation.replaced.is_some(),
            is_group: relation.is_group,
        })
    }
}

/// A part of a graph: which instances are marked, and which links are told.
struct Part {
    graph: InstanceGraph,
    marked: HashSet<String>,
}

/// The instances of `one` that `other` has not, with all that is linked to them.
fn nodes_not_in(one: &InstanceGraph, other: &InstanceGraph) -> Part {
    let mut part = Part { graph: InstanceGraph::default(), marked: HashSet::new() };
    for (id, _) in one.nodes().filter(|(id, _)| !other.has(id)) {
        part.add(one, id);
        part.marked.insert(id.to_owned());
        for (to, link) in one.out(id) {
            part.add(one, to);
            part.graph.link(id, to, link.clone());
        }
        for from in one.from(id) {
            part.add(one, from);
            if let Some(link) = one.edge(from, id) {
                part.graph.link(from, id, link.clone());
            }
        }
    }
    part
}

/// The links of `one` that `other` has not, between instances that `other` has as well.
fn edges_not_in(one: &InstanceGraph, other: &InstanceGraph) -> Part {
    let mut part = Part { graph: InstanceGraph::default(), marked: HashSet::new() };
    for (from, to, link) in one.edges() {
        if other.has(from) && other.edge(from, to).is_none() {
            part.add(one, from);
            part.marked.insert(from.to_owned());
            part.add(one, to);
            part.graph.link(from, to, link.clone());
        }
    }
    part
}

// === impl Part ===

impl Part {
    fn add(&mut self, from: &InstanceGraph, id: &str) {
        if let (false, Some(instance)) = (self.graph.has(id), from.node(id)) {
            self.graph.add(id, instance.clone());
        }
    }
}

fn described(part: &Part, contained: &InstanceGraph, word: &str) -> Vec<Json> {
    extract::instances(&part.graph, contained, Some((word, &part.marked)))
}

/// Leaves out what `others` mark.
fn without(instances: Vec<Json>, others: &[Json]) -> Vec<Json> {
    let marked: HashSet<&str> = others
        .iter()
        .filter(|other| other.get("modification").is_some())
        .filter_map(|other| other["id"].as_str())
        .collect();
    let stays = |instance: &Json| instance["id"].as_str().is_none_or(|id| !marked.contains(id));
    instances.into_iter().filter(stays).collect()
}

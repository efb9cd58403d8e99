//! Plans side by side: what has changed, and what both are together.

use std::collections::BTreeMap;

use serde_json::Value;

/// A node that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// Whether its instances can be brought to it where they are: they can tell that they have
    /// drifted, and something updates them.
    pub(super) can_be_updated: bool,
}

const CHECK_DRIFT: &str = "cloudify.interfaces.lifecycle.check_drift";
const UPDATES: [&str; 3] = [
    "cloudify.interfaces.lifecycle.update",
    "cloudify.interfaces.lifecycle.update_config",
    "cloudify.interfaces.lifecycle.update_apply",
];
const RELATED_DRIFT: &str = "cloudify.interfaces.relationship_lifecycle.check_drift";
const RELATED_UPDATE: &str = "cloudify.interfaces.relationship_lifecycle.update";

/// The nodes that both plans have and that are not the same in them.
pub(super) fn changed(new: &Value, old: &Value) -> BTreeMap<String, Changed> {
    let mut found = BTreeMap::new();
    for (node, before) in both(new, old) {
        let differs = |key: &str| node[key] != before[key];
        let own = differs("type") || differs("properties") || differs("operations");
        let related: Vec<&Value> = list(&node["relationships"])
            .filter(|one| {
                let was = list(&before["relationships"]).find(|was| is_same(one, was));
                was.is_some_and(|was| {
                    ["properties", "source_operations", "target_operations"]
                        .iter()
                        .any(|key| one[*key] != was[*key])
                })
            })
            .collect();
        if !own && related.is_empty() {
            continue;
        }
        let does = |operations: &Value, name: &str| {
            operations[name]["operation"].as_str().is_some_and(|what| !what.is_empty())
        };
        let operations = &node["operations"];
        let own_can = does(operations, CHECK_DRIFT)
            && UPDATES.iter().any(|name| does(operations, name))
            && !differs("type");
        let can_relate = |one: &&Value| {
            ["source_operations", "target_operations"]
                .iter()
                .any(|side| does(&one[*side], RELATED_DRIFT) && does(&one[*side], RELATED_UPDATE))
        };
        let can_be_updated = (!own || own_can) && related.iter().all(can_relate);
        let id = node["id"].as_str().unwrap_or_default().to_owned();
        found.insert(id, Changed { can_be_updated });
    }
    found
}

/// Lets nodes and groups keep the number of instances that they were scaled to, unless the number
/// they were made with is another one now.
pub(super) fn keep_numbers(new: &mut Value, old: &Value) {
    let keep = |new: &mut Value, old: &Value| {
        if new["default_instances"] == old["default_instances"] {
            for key in ["current_instances", "planned_instances"] {
                if !old[key].is_null() {
                    new[key] = old[key].clone();
                }
            }
        }
    };
    for node in new["nodes"].as_array_mut().into_iter().flatten() {
        if let Some(before) = list(&old["nodes"]).find(|before| before["id"] == node["id"]) {
            let before = &before["capabilities"]["scalable"]["properties"];
            if before.is_object() {
                keep(&mut node["capabilities"]["scalable"]["properties"], before);
            }
        }
    }
    for (name, group) in new["scaling_groups"].as_object_mut().into_iter().flatten() {
        let before = &old["scaling_groups"][name.as_str()]["properties"];
        if before.is_object() {
            keep(&mut group["properties"], before);
        }
    }
}

/// The new plan with the nodes, relationships and groups of the old one that it has no more.
pub(super) fn union(new: &Value, old: &Value) -> Value {
    let mut all = new.clone();
    for node in all["nodes"].as_array_mut().into_iter().flatten() {
        let Some(before) = list(&old["nodes"]).find(|before| before["id"] == node["id"]) else {
            continue;
        };
        let has = |was: &&Value| !list(&node["relationships"]).any(|one| is_same(one, was));
        let gone: Vec<Value> = list(&before["relationships"]).filter(has).cloned().collect();
        if let Some(relationships) = node["relationships"].as_array_mut() {
            relationships.extend(gone);
        }
    }
    let gone: Vec<Value> = list(&old["nodes"])
        .filter(|before| !list(&new["nodes"]).any(|node| node["id"] == before["id"]))
        .cloned()
        .collect();
    if let Some(nodes) = all["nodes"].as_array_mut() {
        nodes.extend(gone);
    }
    if let Some(groups) = all["scaling_groups"].as_object_mut() {
        for (name, group) in old["scaling_groups"].as_object().into_iter().flatten() {
            groups.entry(name.clone()).or_insert_with(|| group.clone());
        }
    }
    all
}

/// The nodes that both plans have: as they are to be, and as they are.
fn both<'p>(new: &'p Value, old: &'p Value) -> impl Iterator<Item = (&'p Value, &'p Value)> {
    list(&new["nodes"]).filter_map(|node| {
        let before = list(&old["nodes"]).find(|before| before["id"] == node["id"])?;
        Some((node, before))
    })
}

/// Whether two relationships of a node are the same one.
fn is_same(one: &Value, other: &Value) -> bool {
    one["target_id"] == other["target_id"] && one["type"] == other["type"]
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

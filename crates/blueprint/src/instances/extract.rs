//! Writes instances as a plan has them: groups become marks, relationships a list.

use std::collections::HashSet;

use serde_json::{Value as Json, json};

use super::{Instance, InstanceGraph};

/// Describes every instance of `graph`. `contained` tells what contains what; `modification`
/// marks the instances that it names.
pub(super) fn instances(
    graph: &InstanceGraph,
    contained: &InstanceGraph,
    modification: Option<(&str, &HashSet<String>)>,
) -> Vec<Json> {
    let mut described = vec![];
    let mut added = HashSet::new();
    for (id, instance) in graph.nodes().filter(|(_, instance)| !instance.is_group) {
        let mut fields = instance.fields.clone();
        if let Some((word, _)) = modification.filter(|(_, marked)| marked.contains(id)) {
            fields.insert("modification".to_owned(), json!(word));
        }
        let mut relationships = vec![];
        for (_, link) in graph.out(id) {
            let mut written = link.fields.clone();
            if link.is_replaced || link.is_group {
                let first =
                    json!({ "name": link.text("target_name"), "id": link.text("target_id") });
                let (groups, parent) = around(link.text("target_id"), contained);
                let groups: Vec<Json> = std::iter::once(first).chain(groups).collect();
                fields.insert("scaling_groups".to_owned(), Json::Array(groups));
                if let Some((parent_id, parent)) = parent.filter(|_| link.is_replaced) {
                    written.insert("target_name".to_owned(), json!(parent.name));
                    written.insert("target_id".to_owned(), json!(parent_id));
                    // What contains an instance is told beside it, though it does not change.
                    if !graph.has(parent_id) && added.insert(parent_id.to_owned()) {
                        let mut fields = parent.fields.clone();
                        fields.insert("relationships".to_owned(), json!([]));
                        described.push(Json::Object(fields));
                    }
                }
            }
            if !link.is_group {
                relationships.push((link.index, Json::Object(written)));
            }
        }
        relationships.sort_by_key(|(index, _)| *index);
        let relationships = relationships.into_iter().map(|(_, written)| written).collect();
        fields.insert("relationships".to_owned(), Json::Array(relationships));
        described.push(Json::Object(fields));
    }
    described
}

/// The groups around an instance of a group, and the first that is not a group.
fn around<'c>(
    id: &str,
    contained: &'c InstanceGraph,
) -> (Vec<Json>, Option<(&'c str, &'c Instance)>) {
    let mut groups = vec![];
    let mut here = contained.out(id).next();
    while let Some((outer, _)) = here {
        let Some(instance) = contained.node(outer) else { break };
        if !instance.is_group {
            return (groups, Some((outer, instance)));
        }
        groups.push(json!({ "name": instance.name, "id": outer }));
        here = contained.out(outer).next();
    }
    (groups, None)
}

//! Makes a plugin's file one that a blueprint of `cloudify_dsl_1_3` may import: a manager derives
//! such a file from every plugin that brings none (`manager_rest/dsl_back_compat.py`).

use crate::{
    primitive,
    tree::{Content, Fields, Tree},
};

/// Where a plugin's file may name types that are newer.
const TYPED: [&[&str]; 6] = [
    &["data_types", "*", "properties", "*"],
    &["inputs", "*"],
    &["node_types", "*", "properties", "*"],
    &["relationships", "*", "source_interfaces", "*", "*", "inputs", "*"],
    &["relationships", "*", "target_interfaces", "*", "*", "inputs", "*"],
    &["workflows", "*", "parameters", "*"],
];

/// Takes back what came with later versions: names of things are text, lists of a type are not
/// there, and a workflow is available always.
pub(super) fn adapt(tree: &mut Tree) {
    let Some(fields) = tree.as_map_mut() else { return };
    for path in TYPED {
        each(fields, path, &mut retype);
    }
    each(fields, &["workflows", "*", "availability_rules"], &mut |workflow, rules| {
        if workflow
            .get(rules)
            .is_some_and(|rules| !rules.value.as_map().is_none_or(Fields::is_empty))
        {
            workflow.shift_remove(rules);
        }
    });
}

/// Changes each entry at a path, of which `*` is any key.
fn each(fields: &mut Fields, path: &[&str], change: &mut dyn FnMut(&mut Fields, &str)) {
    let Some((head, rest)) = path.split_first() else { return };
    let keys: Vec<String> = match *head {
        "*" => fields.keys().cloned().collect(),
        key => fields.contains_key(key).then(|| key.to_owned()).into_iter().collect(),
    };
    for key in keys {
        if rest.is_empty() {
            change(fields, &key);
        } else if let Some(below) = fields.get_mut(&key).and_then(|field| field.value.as_map_mut())
        {
            each(below, rest, change);
        }
    }
}

fn retype(fields: &mut Fields, key: &str) {
    let Some(declared) = fields.get_mut(key).and_then(|field| field.value.as_map_mut()) else {
        return;
    };
    let names_object =
        |field: &crate::tree::Field| field.value.as_str().is_some_and(primitive::names_object);
    if let Some(type_name) = declared.get_mut("type").filter(|field| names_object(field)) {
        type_name.value.value = Content::Str("string".to_owned());
        declared.shift_remove("constraints");
    } else if declared.get("item_type").is_some_and(|item| !item.value.is_null()) {
        fields.shift_remove(key);
    }
}

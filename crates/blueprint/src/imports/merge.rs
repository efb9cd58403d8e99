//! Merges the sections of all texts into one tree, and marks what a namespace will prefix.
//!
//! Two texts may not define the same name. Exceptions: names of Cloudify's own types are
//! redefined by the later text, a node template may be given more relationships, a workflow
//! more keys, and labels that are there already stay.

use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::{Blueprints, Fault};
use crate::{
    Refusal, code,
    diagnostic::Place,
    namespace,
    tree::{Content, Field, Fields, Tree},
    version::Version,
};

const VERSION: &str = "tosca_definitions_version";

/// Sections that several texts may have, in any version.
const MERGED: [&str; 9] = [
    "interfaces",
    "node_types",
    "plugins",
    "workflows",
    "relationships",
    "policy_types",
    "groups",
    "policy_triggers",
    "data_types",
];

/// Sections that several texts may have since version 1.3.
const MERGED_SINCE_1_3: [&str; 7] = [
    "inputs",
    "outputs",
    "node_templates",
    "capabilities",
    "blueprint_labels",
    "labels",
    "resource_tags",
];

/// Sections where a repeated name is not a conflict: the first stays.
const FIRST_STAYS: [&str; 3] = ["blueprint_labels", "labels", "resource_tags"];

pub(super) struct Merger {
    fields: Fields,
    version: Version,
    /// Where the main text says its version.
    version_place: Option<Place>,
    place: Option<Place>,
}

type Namespace<'n> = Option<&'n Rc<str>>;

/// Says whether a text is Cloudify's own `types.yaml`, or a copy: it defines the root type.
pub(super) fn is_core_types(tree: &Tree) -> bool {
    tree.get("node_types")
        .and_then(|types| types.as_map()?.get("cloudify.nodes.Root"))
        .is_some_and(|root| !root.value.is_core)
}

// === impl Merger ===

impl Merger {
    pub(super) fn new(version: Version, blueprints: &Blueprints) -> Self {
        let nowhere = Place::default();
        let ids: Vec<_> = blueprints.values().cloned().collect();
        let mut fields = Fields::new();
        for (name, section) in
            [("imported_blueprints", json!(ids)), ("namespaces_mapping", json!(blueprints))]
        {
            fields.insert(name.to_owned(), Field::new(Tree::of_json(section, nowhere)));
        }
        Self { fields, version, version_place: None, place: None }
    }

    /// Adds the sections of one text.
    pub(super) fn add(
        &mut self,
        tree: Tree,
        namespace: Namespace<'_>,
        is_core: bool,
    ) -> Result<(), Fault> {
        self.place.get_or_insert(tree.place);
        self.version_place.get_or_insert(tree.place_at([VERSION]));
        let Content::Map(sections) = tree.value else { return Ok(()) };
        for (name, mut field) in sections {
            if is_core {
                for (_, entry) in field.value.as_map_mut().into_iter().flatten() {
                    entry.value.is_core = true;
                }
            }
            self.section(name, field, namespace)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self, version: Version) -> Tree {
        let place = self.version_place.unwrap_or_default();
        let text = Tree::new(Content::Str(version.name()), place);
        self.fields.insert(VERSION.to_owned(), Field::new(text));
        Tree::new(Content::Map(self.fields), self.place.unwrap_or_default())
    }

    fn section(
        &mut self,
        name: String,
        field: Field,
        namespace: Namespace<'_>,
    ) -> Result<(), Fault> {
        if matches!(name.as_str(), "dsl_definitions" | "imports" | VERSION) {
            return Ok(());
        }
        let Some(there) = self.fields.get_mut(&name) else {
            let field = match (namespace, field.value.as_map()) {
                (Some(_), Some(_)) => fresh(&name, field, namespace)?,
                _ => field,
            };
            self.fields.insert(name, field);
            return Ok(());
        };
        match name.as_str() {
            "imported_blueprints" => {
                merge_lists(&mut there.value, field.value);
                Ok(())
            }
            "namespaces_mapping" => merge_maps(&mut there.value, field.value, &name, namespace),
            "description" | "metadata" => Ok(()),
            section if MERGED.contains(&section) => {
                merge_maps(&mut there.value, field.value, &name, namespace)
            }
            section if MERGED_SINCE_1_3.contains(&section) && self.version >= Version::V1_3 => {
                merge_maps(&mut there.value, field.value, &name, namespace)
            }
            section => {
                let mut message =
                    format!("`{section}` cannot be merged: it is in another file too");
                if MERGED_SINCE_1_3.contains(&section) {
                    message += "; several files may have it from `cloudify_dsl_1_3` on";
                }
                let refusal = Refusal::logic(code::NOT_MERGEABLE, message);
                Err((field.key_place, name, refusal))
            }
        }
    }
}

/// A section that no text had before, with its namespace's marks.
fn fresh(name: &str, field: Field, namespace: Namespace<'_>) -> Result<Field, Fault> {
    let mut empty = Tree::new(Content::Map(Fields::new()), field.value.place);
    merge_maps(&mut empty, field.value, name, namespace)?;
    Ok(Field { value: empty, ..field_head(field.key_place) })
}

fn field_head(key_place: Place) -> Field {
    Field { key_place, key_type: None, value: Tree::of_json(Json::Null, key_place) }
}

fn merge_lists(there: &mut Tree, new: Tree) {
    let (Content::List(there), Content::List(new)) = (&mut there.value, new.value) else { return };
    for item in new {
        let json = item.to_json();
        if there.iter().all(|known| known.to_json() != json) {
            there.push(item);
        }
    }
}

fn merge_maps(
    there: &mut Tree,
    new: Tree,
    section: &str,
    namespace: Namespace<'_>,
) -> Result<(), Fault> {
    let shape = |tree: &Tree| {
        let message = format!("expected a dict, found {}", tree.type_name());
        (tree.place, section.to_owned(), Refusal::format(message))
    };
    if new.is_null() {
        return Ok(());
    }
    if there.is_null() {
        *there = Tree::new(Content::Map(Fields::new()), there.place);
    }
    if there.as_map().is_none() {
        return Err(shape(there));
    }
    if new.as_map().is_none() {
        return Err(shape(&new));
    }
    let (Content::Map(there), Content::Map(new)) = (&mut there.value, new.value) else {
        return Ok(());
    };
    for (mut key, mut field) in new {
        if let Some(namespace) = namespace.filter(|_| !field.value.is_core) {
            mark(&mut key, &mut field.value, namespace);
        }
        let is_core = field.value.is_core || namespace::is_core_name(&key);
        let Some(known) = there.get_mut(&key).filter(|_| !is_core) else {
            there.insert(key, field);
            continue;
        };
        let place = field.key_place;
        let merged = match section {
            "node_templates" => merge_relationships(&mut known.value, field.value),
            "workflows" => merge_workflow(&mut known.value, field.value),
            _ => FIRST_STAYS.contains(&section),
        };
        if !merged {
            let message = format!("`{key}` is defined twice in `{section}`, by two files");
            let refusal = Refusal::logic(code::MERGE_CONFLICT, message);
            return Err((place, format!("{section}.{key}"), refusal));
        }
    }
    Ok(())
}

/// Prefixes the key, and marks what it holds to be prefixed when the whole is there.
fn mark(key: &mut String, value: &mut Tree, namespace: &Rc<str>) {
    match &mut value.value {
        Content::Map(fields) => {
            for field in fields.values_mut() {
                field.value.namespace = Some(namespace.clone());
            }
        }
        Content::Str(_) => {
            value.is_prefixed = true;
            value.namespace = Some(namespace.clone());
        }
        _ => {}
    }
    if !namespace::is_core_name(key) {
        *key = namespace::prefix(namespace, key);
    }
}

/// One of the two may hold relationships only: they are added to the other's.
fn merge_relationships(there: &mut Tree, new: Tree) -> bool {
    const FIELD: &str = "relationships";
    let only_relationships = |tree: &Tree| {
        tree.as_map().is_some_and(|fields| fields.len() == 1 && fields.contains_key(FIELD))
    };
    let new_is_only = only_relationships(&new);
    let is_template = new.get("type").is_some();
    let (Content::Map(known), Content::Map(fields)) = (&mut there.value, new.value) else {
        return false;
    };
    if !known.contains_key(FIELD) {
        return false;
    }
    if !(new_is_only || known.len() == 1 && is_template) {
        return false;
    }
    for (key, field) in fields {
        match known.get_mut(&key) {
            Some(there) if key == FIELD => extend(&mut there.value, field.value),
            _ => {
                known.insert(key, field);
            }
        }
    }
    true
}

/// Appends items, which keep the namespace of their own list.
fn extend(there: &mut Tree, new: Tree) {
    let namespace = new.namespace.clone();
    let (Content::List(there), Content::List(items)) = (&mut there.value, new.value) else {
        return;
    };
    for mut item in items {
        if namespace.is_some() {
            item.namespace.clone_from(&namespace);
        }
        there.push(item);
    }
}

fn merge_workflow(there: &mut Tree, new: Tree) -> bool {
    let same = there.to_json() == new.to_json();
    let (Content::Map(there), Content::Map(new)) = (&mut there.value, new.value) else {
        return same;
    };
    for (key, field) in new {
        there.entry(key).or_insert(field);
    }
    true
}

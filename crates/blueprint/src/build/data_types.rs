//! Data types: dicts with a schema of their own.

use serde_json::{Map as Object, Value as Json};

use super::{Builder, schema::Owner};
use crate::{
    Refusal, code, nearest,
    order::order,
    primitive, property,
    tree::{Field, Tree},
};

// === impl Builder ===

impl Builder<'_> {
    /// Reads the data types, each after those it builds on.
    pub(super) fn data_types(&mut self, tree: &Tree) -> Json {
        let mut plan = Object::new();
        let names = || tree.entries().map(|(name, _)| name);
        let needs = |name: &str| tree.get(name).map(needs).unwrap_or_default();
        let ordered = match order(names(), needs) {
            Ok(ordered) if self.can_inherit(&ordered, tree, "data_types") => ordered,
            Ok(_) => return Json::Object(plan),
            Err(cycle) => {
                let place = tree.place_at([cycle[0].as_str()]);
                let message = format!("data types build on each other: {}", cycle.join(" → "));
                self.report(place, "data_types", Refusal::logic(code::CYCLE, message));
                return Json::Object(plan);
            }
        };
        for name in ordered {
            let field = &tree.as_map().expect("names come from a map")[name];
            let described = self.data_type(name, field, tree);
            plan.insert(name.to_owned(), described);
        }
        let in_order = names().filter_map(|name| Some((name.to_owned(), plan.remove(name)?)));
        Json::Object(in_order.collect())
    }

    fn data_type(&mut self, name: &str, field: &Field, all: &Tree) -> Json {
        let path = format!("data_types.{name}");
        if primitive::is_primitive(name) {
            let message = format!("`{name}` is a built-in type and cannot be defined again");
            self.report(field.key_place, &path, Refusal::logic(code::INVALID_TYPE_NAME, message));
        }
        let tree = &field.value;
        let parent = tree.get("derived_from").and_then(Tree::as_str);
        if let Some(parent) = parent {
            self.check_parent("data type", name, parent, tree, all, &path);
        }
        let own = tree.get("properties").cloned();
        let mut schema = own
            .map(|own| self.schema(&own, &format!("{path}.properties"), name, Owner::Type))
            .unwrap_or_default();
        if let Some(parent) = parent.and_then(|parent| self.data_types.get(parent)) {
            schema = property::inherit(parent, schema, &self.data_types);
        }
        let mut plan = Object::new();
        plan.insert("properties".to_owned(), property::schema_to_json(&schema));
        for key in ["description", "derived_from", "version"] {
            plan.insert(key.to_owned(), tree.get(key).map_or(Json::Null, Tree::to_json));
        }
        self.data_types.insert(name.to_owned(), schema);
        Json::Object(plan)
    }

    /// Reports a type that derives from one that is not there.
    pub(super) fn check_parent(
        &mut self,
        kind: &str,
        name: &str,
        parent: &str,
        tree: &Tree,
        all: &Tree,
        path: &str,
    ) {
        if all.as_map().is_some_and(|types| types.contains_key(parent)) {
            return;
        }
        let message = format!("the {kind} `{name}` derives from `{parent}`, which is not defined");
        let refusal = Refusal::logic(code::UNKNOWN_TYPE, message);
        let hint = nearest::hint(parent, all.entries().map(|(name, _)| name));
        self.report_unknown(tree.place_at(["derived_from"]), path, refusal, hint);
    }
}

/// What a data type builds on: its parent and the types of its properties.
fn needs(data_type: &Tree) -> Vec<&str> {
    let parent = data_type.get("derived_from").and_then(Tree::as_str);
    let properties = data_type.get("properties");
    let types = properties.into_iter().flat_map(|properties| {
        properties.entries().filter_map(|(_, field)| field.value.get("type")?.as_str())
    });
    parent.into_iter().chain(types).collect()
}

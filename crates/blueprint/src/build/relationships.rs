//! Relationship types: like node types, with interfaces on both sides.

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::{
    Builder,
    interfaces::{self, Interfaces, Of},
};
use crate::{
    code,
    property::{self, Schema},
    tree::Tree,
};

pub(super) type RelationshipTypes = IndexMap<String, RelationshipType>;

/// A relationship type with all that it inherits.
pub(super) struct RelationshipType {
    derived_from: Option<String>,
    pub(super) properties: Schema,
    pub(super) source_interfaces: Interfaces,
    pub(super) target_interfaces: Interfaces,
    /// The root first, itself last.
    pub(super) hierarchy: Vec<String>,
}

// === impl RelationshipType ===

impl RelationshipType {
    pub(super) fn to_json(&self, name: &str) -> Json {
        let mut json = json!({
            "name": name,
            "properties": property::schema_to_json(&self.properties),
            "source_interfaces": interfaces::to_json(&self.source_interfaces),
            "target_interfaces": interfaces::to_json(&self.target_interfaces),
            "type_hierarchy": self.hierarchy,
        });
        if let Some(parent) = &self.derived_from {
            json["derived_from"] = Json::String(parent.clone());
        }
        json
    }
}

// === impl Builder ===

impl Builder<'_> {
    pub(super) fn relationship_types(&mut self, tree: &Tree) -> RelationshipTypes {
        let mut types = RelationshipTypes::new();
        for name in self.types_in_order(tree, "relationships") {
            let Some(own) = tree.as_map().map(|types| &types[name.as_str()].value) else {
                continue;
            };
            let made = self.relationship_type(&name, own, tree, &types);
            types.insert(name, made);
        }
        // The plan keeps the order of the text.
        let position = |name: &String| tree.as_map().and_then(|fields| fields.get_index_of(name));
        types.sort_by_key(|name, _| position(name));
        types
    }

    fn relationship_type(
        &mut self,
        name: &str,
        own: &Tree,
        all: &Tree,
        types: &RelationshipTypes,
    ) -> RelationshipType {
        let path = format!("relationships.{name}");
        let derived_from = own.get("derived_from").and_then(Tree::as_str).map(str::to_owned);
        if let Some(parent) = &derived_from {
            self.check_parent("relationship", name, parent, own, all, &path);
        }
        let mut properties = self.own_properties(own, &path, name);
        let [mut source_interfaces, mut target_interfaces] =
            ["source_interfaces", "target_interfaces"]
                .map(|side| self.interfaces(own.get(side), &format!("{path}.{side}"), Of::Type));
        let mut hierarchy = vec![];
        if let Some(parent) = derived_from.as_ref().and_then(|parent| types.get(parent)) {
            properties = property::inherit(&parent.properties, properties, &self.data_types);
            source_interfaces = interfaces::inherit(&parent.source_interfaces, source_interfaces);
            target_interfaces = interfaces::inherit(&parent.target_interfaces, target_interfaces);
            hierarchy.clone_from(&parent.hierarchy);
        }
        hierarchy.push(name.to_owned());
        let mut faults = vec![];
        for interfaces in [&source_interfaces, &target_interfaces] {
            self.operations(interfaces, code::RELATIONSHIP_OPERATION, &mut faults);
        }
        for (_, refusal) in faults {
            self.report(own.place, &path, refusal);
        }
        RelationshipType {
            derived_from,
            properties,
            source_interfaces,
            target_interfaces,
            hierarchy,
        }
    }
}

//! One node template: its properties, operations and relationships.

use serde_json::{Value as Json, json};

use super::{
    Builder,
    interfaces::{self, Interfaces, Of},
    node_types::NodeTypes,
    object,
    relationships::{RelationshipType, RelationshipTypes},
    scaling,
};
use crate::{
    Refusal, code,
    diagnostic::Place,
    nearest,
    property::{self, Judge, Schema},
    tree::{Field, Tree},
};

pub(super) const CONTAINED_IN: &str = "cloudify.relationships.contained_in";
const AFTER_OPERATION: &str = "cloudify.relationships.depends_on_lifecycle_operation";
const LIFECYCLE: &str = "cloudify.interfaces.lifecycle";

/// What templates are built with.
pub(super) struct Types<'t> {
    pub(super) nodes: &'t NodeTypes,
    pub(super) relationships: &'t RelationshipTypes,
    /// The `node_templates` section.
    pub(super) templates: &'t Tree,
}

/// What a template's operations become.
#[derive(Clone, Debug)]
pub(crate) struct Implemented {
    interfaces: Json,
    operations: Json,
}

/// The interfaces of a template's type.
struct OfType<'t> {
    interfaces: &'t Interfaces,
    /// Names them among all of the blueprint.
    key: String,
    /// The number of the fault when an operation runs nothing known.
    code: i32,
}

// === impl Builder ===

impl Builder<'_> {
    /// Builds the node of one template; `None` when its type is not known.
    pub(super) fn node(&mut self, name: &str, field: &Field, types: &Types<'_>) -> Option<Json> {
        let tree = &field.value;
        let path = format!("node_templates.{name}");
        let type_name = tree.get("type").and_then(Tree::as_str)?;
        let Some(node_type) = types.nodes.get(type_name) else {
            let message =
                format!("the node `{name}` is of type `{type_name}`, which is not defined");
            let refusal = Refusal::logic(code::UNKNOWN_NODE_TYPE, message);
            let hint = nearest::hint(type_name, types.nodes.keys().map(String::as_str));
            self.report_unknown(tree.place_at(["type"]), &path, refusal, hint);
            return None;
        };
        let holder = format!("the node `{name}`");
        let properties = self.properties(tree, &node_type.properties, &holder, &path);
        let own =
            self.interfaces(tree.get("interfaces"), &format!("{path}.interfaces"), Of::Template);
        let what = format!("the node `{name}`");
        let of_type = OfType {
            interfaces: &node_type.interfaces,
            key: type_name.to_owned(),
            code: code::NODE_OPERATION,
        };
        let Implemented { interfaces, operations } =
            self.implement(&of_type, &own, (tree, field.key_place), &path, &what);
        let scalable = object([("properties", self.scalable(name, field, &path))]);
        Some(object([
            ("name", json!(name)),
            ("id", json!(name)),
            ("type", json!(type_name)),
            ("type_hierarchy", json!(node_type.hierarchy)),
            ("properties", properties),
            ("interfaces", interfaces),
            ("operations", operations),
            ("instances", tree.get("instances").map_or_else(|| json!({}), Tree::to_json)),
            ("capabilities", object([("scalable", scalable)])),
            ("relationships", self.relationships(name, field, types, &path)),
        ]))
    }

    fn properties(&mut self, tree: &Tree, schema: &Schema, holder: &str, path: &str) -> Json {
        let given = tree.get("properties").map(Tree::to_object).unwrap_or_default();
        let judge = Judge { data_types: &self.data_types, holder, must_be_complete: true };
        match judge.properties(&given, schema, &property::defaults(schema), &[]) {
            Ok(properties) => Json::Object(properties),
            Err(misfit) => {
                let place_tree = tree.get("properties").unwrap_or(tree);
                self.report_misfit(place_tree, &format!("{path}.properties"), misfit);
                json!({})
            }
        }
    }

    /// Merges interfaces with those of the type and finds what their operations run.
    fn implement(
        &mut self,
        of_type: &OfType<'_>,
        own: &Interfaces,
        template: (&Tree, Place),
        path: &str,
        what: &str,
    ) -> Implemented {
        if own.is_empty()
            && let Some(known) = self.implemented.get(&of_type.key)
        {
            return known.clone();
        }
        let mut faults = vec![];
        let interfaces = interfaces::instantiate(of_type.interfaces, own, &mut faults);
        let operations = self.operations(&interfaces, of_type.code, &mut faults);
        let made = Implemented { interfaces: interfaces::to_json(&interfaces), operations };
        if own.is_empty() && faults.is_empty() {
            self.implemented.insert(of_type.key.clone(), made.clone());
        }
        for (name, mut refusal) in faults {
            // The operation stands in the template, or the type's is meant.
            let steps = name.rsplit_once('.').unwrap_or(("", &name));
            let place = template
                .0
                .get("interfaces")
                .filter(|interfaces| interfaces.get(steps.0).is_some())
                .map_or(template.1, |interfaces| interfaces.place_at([steps.0, steps.1]));
            refusal.message = format!("in {what}, {}", refusal.message);
            self.report(place, path, refusal);
        }
        made
    }

    fn scalable(&mut self, name: &str, field: &Field, path: &str) -> Json {
        let tree = &field.value;
        let deploy = tree.get("instances").and_then(|instances| instances.get("deploy"));
        let capabilities = tree.get("capabilities");
        if let Some(deploy) = deploy {
            let count = deploy.to_json();
            let count = count.as_i64().or_else(|| count.as_bool().map(i64::from)).unwrap_or(1);
            if count < 0 {
                let message = format!("`deploy` of the node `{name}` must not be negative");
                self.report(deploy.place, path, Refusal::format(message));
            }
            if capabilities.is_some() {
                let message = format!(
                    "the node `{name}` has both `instances.deploy` and `capabilities.scalable`: \
                     keep the latter"
                );
                let refusal = Refusal::logic(code::DEPLOY_AND_SCALABLE, message);
                self.report(tree.place_at(["capabilities"]), path, refusal);
            }
            return scaling::defaults(count);
        }
        let scalable = capabilities.and_then(|capabilities| capabilities.get("scalable"));
        match scalable.and_then(|scalable| scalable.get("properties")) {
            Some(properties) => {
                self.scaling(properties, &format!("{path}.capabilities.scalable.properties"))
            }
            None => scaling::defaults(1),
        }
    }

    fn relationships(&mut self, name: &str, field: &Field, types: &Types<'_>, path: &str) -> Json {
        let tree = &field.value;
        let mut made = vec![];
        let mut containers = vec![];
        for (index, item) in
            tree.get("relationships").map(Tree::items).unwrap_or_default().iter().enumerate()
        {
            let path = format!("{path}.relationships.{index}");
            let Some((relationship, is_container)) = self.relationship(name, item, types, &path)
            else {
                continue;
            };
            if is_container {
                containers.push(item.get("target").and_then(Tree::as_str).unwrap_or_default());
                if let [first, second] = containers.as_slice() {
                    let message = format!(
                        "the node `{name}` is contained in both `{first}` and `{second}`: one \
                         container is the most"
                    );
                    let refusal = Refusal::logic(code::TWO_CONTAINERS, message);
                    self.report(item.place, &path, refusal);
                }
            }
            made.push(relationship);
        }
        Json::Array(made)
    }

    /// Builds one relationship, and says whether it contains its source.
    fn relationship(
        &mut self,
        node: &str,
        item: &Tree,
        types: &Types<'_>,
        path: &str,
    ) -> Option<(Json, bool)> {
        let type_name = item.get("type").and_then(Tree::as_str)?;
        let target = item.get("target").and_then(Tree::as_str)?;
        let of_type = self.relationship_ends(node, type_name, target, item, types, path)?;
        if type_name == AFTER_OPERATION {
            self.check_awaited(node, target, item, types, path);
        }
        let holder = format!("the relationship of `{node}` to `{target}`");
        let properties = self.properties(item, &of_type.properties, &holder, path);
        let mut relationship = object([
            ("type", json!(type_name)),
            ("target_id", json!(target)),
            ("type_hierarchy", json!(of_type.hierarchy)),
            ("properties", properties),
        ]);
        for (side, interfaces) in
            [("source", &of_type.source_interfaces), ("target", &of_type.target_interfaces)]
        {
            let key = format!("{side}_interfaces");
            let own = self.interfaces(item.get(&key), &format!("{path}.{key}"), Of::Template);
            let of_type = OfType {
                interfaces,
                key: format!("{side} of {type_name}"),
                code: code::RELATIONSHIP_OPERATION,
            };
            let made = self.implement(&of_type, &own, (item, item.place), path, &holder);
            relationship[&key] = made.interfaces;
            relationship[&format!("{side}_operations")] = made.operations;
        }
        Some((relationship, of_type.hierarchy.iter().any(|name| name == CONTAINED_IN)))
    }

    /// Finds the type of a relationship, and judges its target.
    fn relationship_ends<'t>(
        &mut self,
        node: &str,
        type_name: &str,
        target: &str,
        item: &Tree,
        types: &Types<'t>,
        path: &str,
    ) -> Option<&'t RelationshipType> {
        let of_type = types.relationships.get(type_name);
        if of_type.is_none() {
            let message = format!(
                "the node `{node}` has a relationship of type `{type_name}`, which is not defined"
            );
            let refusal = Refusal::logic(code::UNKNOWN_RELATIONSHIP, message);
            let hint = nearest::hint(type_name, types.relationships.keys().map(String::as_str));
            self.report_unknown(item.place_at(["type"]), path, refusal, hint);
        }
        let is_known = types.templates.as_map().is_some_and(|all| all.contains_key(target));
        if !is_known {
            let message =
                format!("the node `{node}` has a relationship to `{target}`, which is not there");
            let refusal = Refusal::logic(code::UNKNOWN_TARGET, message);
            let hint = nearest::hint(target, types.templates.entries().map(|(name, _)| name));
            self.report_unknown(item.place_at(["target"]), path, refusal, hint);
        } else if target == node {
            let message = format!("the node `{node}` has a relationship to itself");
            let refusal = Refusal::logic(code::RELATIONSHIP_TO_ITSELF, message);
            self.report(item.place_at(["target"]), path, refusal);
            return None;
        }
        of_type.filter(|_| is_known)
    }

    /// A relationship that waits for an operation names one that its target has.
    fn check_awaited(
        &mut self,
        node: &str,
        target: &str,
        item: &Tree,
        types: &Types<'_>,
        path: &str,
    ) {
        let awaited = item.get("properties").and_then(|properties| properties.get("operation"));
        let Some(awaited) = awaited.and_then(Tree::as_str).filter(|name| !name.is_empty()) else {
            let message = format!("`{AFTER_OPERATION}` of `{node}` needs the property `operation`");
            let refusal = Refusal::logic(code::NO_LIFECYCLE_OPERATION, message);
            self.report(item.place, path, refusal);
            return;
        };
        let target_tree = types.templates.get(target);
        let has = target_tree
            .and_then(|target| target.get("interfaces")?.get(LIFECYCLE)?.as_map())
            .is_some_and(|operations| operations.contains_key(awaited));
        if !has {
            let message = format!(
                "`{node}` waits for the operation `{awaited}` of `{target}`, which does not define it"
            );
            let refusal = Refusal::logic(code::UNKNOWN_LIFECYCLE_OPERATION, message);
            self.report(item.place_at(["properties", "operation"]), path, refusal);
        }
    }
}

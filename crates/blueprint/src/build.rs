//! From the merged tree to the plan, section by section, in the order of what builds on what:
//!
//! ```text
//! data_types ─► plugins ─► node_types, relationships ─► node_templates ─► groups ─► policies
//!            └► inputs, workflows, policy types and triggers
//! ```
//!
//! The tree has the shape of a blueprint already; here it must make sense. A section with a
//! fault reports it and goes on with what it has, so that several faults are found at once.

mod data_types;
mod groups;
mod interfaces;
mod node_types;
mod nodes;
mod operation;
mod plugins;
mod policies;
mod relationships;
mod scaling;
mod schedules;
mod schema;
mod simple;
mod templates;
mod workflows;

use std::collections::HashMap;

use serde_json::{Map as Object, Value as Json, json};

use self::{
    node_types::NodeTypes, plugins::Plugins, relationships::RelationshipTypes,
    templates::Implemented,
};
use crate::{
    Refusal, Resolver,
    diagnostic::{Findings, Place},
    function::validate,
    property::{DataTypes, Misfit},
    tree::{Content, Fields, Tree},
    version::Version,
};

/// What every section shares.
pub(crate) struct Builder<'b> {
    findings: &'b mut Findings,
    resolver: &'b dyn Resolver,
    /// `None` when words of later versions are let through.
    version: Option<Version>,
    /// What relative script paths may be relative to.
    script_bases: Vec<String>,
    data_types: DataTypes,
    plugins: Plugins,
    /// What the operations of a type become where a template has none of its own.
    implemented: HashMap<String, Implemented>,
    /// The namespaces of imported blueprints: their scripts were found when they were uploaded.
    namespaces: Vec<String>,
}

// === impl Builder ===

impl<'b> Builder<'b> {
    pub(crate) fn new(
        findings: &'b mut Findings,
        resolver: &'b dyn Resolver,
        version: Option<Version>,
        script_bases: Vec<String>,
    ) -> Self {
        Self {
            findings,
            resolver,
            version,
            script_bases,
            data_types: DataTypes::new(),
            plugins: Plugins::new(),
            implemented: HashMap::new(),
            namespaces: vec![],
        }
    }

    /// Builds the plan. It is whole only when nothing was reported.
    pub(crate) fn plan(mut self, tree: &Tree, version: Version) -> Json {
        let namespaces = section(tree, "namespaces_mapping");
        self.namespaces = namespaces.entries().map(|(name, _)| name.to_owned()).collect();
        let mut plan = Object::new();
        let mut put = |name: &str, value: Json| plan.insert(name.to_owned(), value);

        put("description", simple::optional(tree, "description"));
        put("metadata", simple::optional(tree, "metadata"));
        put("version", version.to_json());
        put("imported_blueprints", simple::list(tree, "imported_blueprints"));
        put("namespaces_mapping", Json::Object(namespaces.to_object()));
        put("data_types", self.data_types(&section(tree, "data_types")));
        put("inputs", self.inputs(&section(tree, "inputs"), "inputs"));
        self.plugins = self.plugins(&section(tree, "plugins"));
        let node_types: NodeTypes = self.node_types(&section(tree, "node_types"));
        let types = self.relationship_types(&section(tree, "relationships"));
        put("relationships", relationship_types_json(&types));
        let nodes = self.nodes(&section(tree, "node_templates"), &node_types, &types);
        let policy_types = self.policy_types(&section(tree, "policy_types"), "properties");
        let triggers = self.policy_types(&section(tree, "policy_triggers"), "parameters");
        let groups = section(tree, "groups");
        let groups = self.groups(&groups, &nodes.names, &policy_types, &triggers);
        put("policy_types", policies::types_json(&policy_types, "properties"));
        put("policy_triggers", policies::types_json(&triggers, "parameters"));
        let (policies, scaling_groups) =
            self.policies(&section(tree, "policies"), &groups, &nodes.list);
        put("groups", Json::Object(groups));
        put("policies", policies);
        put("scaling_groups", scaling_groups);
        let (workflows, workflow_plugins) = self.workflows(&section(tree, "workflows"));
        put("workflows", workflows);
        put("workflow_plugins_to_install", workflow_plugins);
        put("deployment_plugins_to_install", Json::Array(nodes.central_plugins));
        put("host_agent_plugins_to_install", Json::Array(nodes.agent_plugins));
        put("nodes", Json::Array(nodes.list));
        put("outputs", simple::values(&section(tree, "outputs")));
        put("capabilities", simple::values(&section(tree, "capabilities")));
        put("labels", self.labels(&section(tree, "labels"), "labels"));
        put(
            "blueprint_labels",
            self.labels(&section(tree, "blueprint_labels"), "blueprint_labels"),
        );
        put("resource_tags", simple::map(tree, "resource_tags"));
        put("deployment_settings", self.settings(tree.get("deployment_settings")));
        put("requirements", json!({}));
        Json::Object(plan)
    }

    /// Judges the functions of a whole plan; `tree` gives them their places.
    pub(crate) fn functions(findings: &mut Findings, tree: &Tree, plan: &mut Json) {
        let mut seen = vec![];
        for fault in validate::validate(plan) {
            let message = &fault.refusal.message;
            if seen.contains(message) {
                continue;
            }
            seen.push(message.clone());
            let place = tree_place(tree, &fault.path);
            findings.report_with_hint(place, &fault.path, fault.refusal, fault.hint);
        }
    }

    fn report(&mut self, place: Place, path: &str, refusal: Refusal) {
        self.findings.report(place, path, refusal);
    }

    /// Reports a fault beside the nearest known name.
    fn report_unknown(&mut self, place: Place, path: &str, refusal: Refusal, hint: Option<String>) {
        self.findings.report_with_hint(place, path, refusal, hint);
    }

    /// Reports a value that does not fit, where it stands in `tree`.
    fn report_misfit(&mut self, tree: &Tree, path: &str, misfit: Misfit) {
        let place = tree.place_at(misfit.path.iter().map(String::as_str));
        let path = std::iter::once(path)
            .chain(misfit.path.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(".");
        self.findings.report_with_hint(place, &path, misfit.refusal, misfit.hint);
    }
}

/// An object that has no more room than it needs: a plan has hundreds of thousands of them.
fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    let mut object = Object::with_capacity(N);
    object.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    Json::Object(object)
}

/// A section, or an empty one.
fn section(tree: &Tree, name: &str) -> Tree {
    let empty = || Tree::new(Content::Map(Fields::new()), tree.place);
    tree.get(name).cloned().unwrap_or_else(empty)
}

/// The place of a function in the tree, from its path in the plan.
fn tree_place(tree: &Tree, path: &str) -> Place {
    let in_tree = match path.strip_prefix("nodes.") {
        Some(rest) => format!("node_templates.{rest}"),
        None => path.to_owned(),
    };
    let mut here = tree;
    let mut rest = in_tree.as_str();
    let mut place = Place::default();
    // Names may hold dots: the longest key that fits is taken.
    while let Some(fields) = here.as_map() {
        let fits = |key: &str| {
            rest.strip_prefix(key)
                .is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
        };
        let Some((key, field)) =
            fields.iter().filter(|(key, _)| fits(key)).max_by_key(|(key, _)| key.len())
        else {
            break;
        };
        place = field.key_place;
        here = &field.value;
        rest = rest[key.len()..].trim_start_matches('.');
    }
    place
}

fn relationship_types_json(types: &RelationshipTypes) -> Json {
    Json::Object(types.iter().map(|(name, of)| (name.clone(), of.to_json(name))).collect())
}

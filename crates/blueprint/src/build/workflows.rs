//! Workflows: what they run, their parameters, and when they are available.

use indexmap::IndexMap;
use serde_json::{Map as Object, Value as Json, json};

use super::{Builder, schema::Owner};
use crate::{Refusal, code, property, tree::Tree};

/// When a workflow may be available: how many of the instances are active.
const ACTIVE: [&str; 3] = ["all", "partial", "none"];

// === impl Builder ===

impl Builder<'_> {
    /// Reads the workflows: themselves, and the plugins they need.
    pub(super) fn workflows(&mut self, tree: &Tree) -> (Json, Json) {
        let mut workflows = Object::new();
        let mut plugins: IndexMap<String, Json> = IndexMap::new();
        for (name, field) in tree.entries() {
            let path = format!("workflows.{name}");
            let workflow = &field.value;
            let mapping = workflow.as_str().or_else(|| workflow.get("mapping")?.as_str());
            let parameters = workflow
                .get("parameters")
                .map(|tree| {
                    self.schema(tree, &format!("{path}.parameters"), name, Owner::Parameter)
                })
                .unwrap_or_default();
            let parameters = property::schema_to_json(&parameters);
            let parameters = parameters.as_object().cloned().unwrap_or_default();
            self.check_availability(workflow, &path);
            let rules = workflow.get("availability_rules").map_or(Json::Null, Tree::to_json);
            let is_cascading =
                workflow.get("is_cascading").and_then(Tree::as_bool).unwrap_or(false);
            match self.workflow(mapping.unwrap_or_default(), parameters, name) {
                Ok((plugin, operation, parameters)) => {
                    if let Some(described) = self.plugins.get(&plugin) {
                        plugins.entry(plugin.clone()).or_insert_with(|| described.clone());
                    }
                    let workflow = json!({
                        "plugin": plugin,
                        "operation": operation,
                        "parameters": parameters,
                        "is_cascading": is_cascading,
                        "availability_rules": rules,
                    });
                    workflows.insert(name.to_owned(), workflow);
                }
                Err(refusal) => self.report(field.key_place, &path, refusal),
            }
        }
        (Json::Object(workflows), Json::Array(plugins.into_values().collect()))
    }

    fn check_availability(&mut self, workflow: &Tree, path: &str) {
        let rules = workflow.get("availability_rules");
        let active = rules.and_then(|rules| rules.get("node_instances_active"));
        for item in active.map(Tree::items).unwrap_or_default() {
            if !item.as_str().is_some_and(|word| ACTIVE.contains(&word)) {
                let message = format!(
                    "`node_instances_active` is a list of `all`, `partial` and `none`, not `{}`",
                    item.to_json()
                );
                self.report(item.place, path, Refusal::logic(code::UNKNOWN_TYPE, message));
            }
        }
    }
}

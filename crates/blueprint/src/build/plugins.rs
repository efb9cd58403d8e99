//! The plugins section.

use indexmap::IndexMap;
use serde_json::{Map as Object, Value as Json};

use super::Builder;
use crate::{Refusal, code, nearest, tree::Tree};

/// Each plugin by its name, as the plan describes it.
pub(super) type Plugins = IndexMap<String, Json>;

/// What a plan says about a plugin, told or not.
const FIELDS: [&str; 12] = [
    "source",
    "executor",
    "install",
    "install_arguments",
    "package_name",
    "package_version",
    "supported_platform",
    "distribution",
    "distribution_version",
    "distribution_release",
    "properties_description",
    "properties",
];

pub(super) const EXECUTORS: [&str; 2] = ["central_deployment_agent", "host_agent"];

// === impl Builder ===

impl Builder<'_> {
    pub(super) fn plugins(&mut self, tree: &Tree) -> Plugins {
        tree.entries()
            .map(|(name, field)| (name.to_owned(), self.plugin(name, &field.value)))
            .collect()
    }

    fn plugin(&mut self, name: &str, tree: &Tree) -> Json {
        let path = format!("plugins.{name}");
        if let Some(executor) = tree.get("executor").and_then(Tree::as_str)
            && !EXECUTORS.contains(&executor)
        {
            let message = format!(
                "the plugin `{name}` has the executor `{executor}`: expected \
                 `central_deployment_agent` or `host_agent`"
            );
            let refusal = Refusal::logic(code::PLUGIN_EXECUTOR, message);
            let hint = nearest::hint(executor, EXECUTORS);
            self.report_unknown(tree.place_at(["executor"]), &path, refusal, hint);
        }
        let is_installed = tree.get("install").and_then(Tree::as_bool).unwrap_or(true);
        let text = |key: &str| tree.get(key).and_then(Tree::as_str).filter(|text| !text.is_empty());
        if is_installed && text("source").is_none() && text("package_name").is_none() {
            let message = format!(
                "the plugin `{name}` is to be installed, so it needs a `source` or a `package_name`"
            );
            self.report(tree.place, &path, Refusal::logic(code::PLUGIN_WITHOUT_SOURCE, message));
        }
        for (property, field) in tree.get("properties").into_iter().flat_map(Tree::entries) {
            if let Some(type_name) = field.value.get("type").and_then(Tree::as_str) {
                let path = format!("{path}.properties.{property}");
                self.check_type(type_name, field.value.place_at(["type"]), &path);
            }
        }
        let mut plan: Object<String, Json> = FIELDS
            .into_iter()
            .map(|key| (key.to_owned(), tree.get(key).map_or(Json::Null, Tree::to_json)))
            .collect();
        plan["install"] = Json::Bool(is_installed);
        if plan["properties"].is_null() {
            plan["properties"] = Json::Object(Object::new());
        }
        plan.insert("name".to_owned(), Json::String(name.to_owned()));
        Json::Object(plan)
    }
}

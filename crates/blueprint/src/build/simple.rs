//! Sections that the plan takes over nearly as they are: outputs, labels, tags.

use serde_json::{Map as Object, Value as Json};

use super::Builder;
use crate::{Kind, Refusal, tree::Tree};

pub(super) fn optional(tree: &Tree, key: &str) -> Json {
    tree.get(key).map_or(Json::Null, Tree::to_json)
}

pub(super) fn list(tree: &Tree, key: &str) -> Json {
    tree.get(key).map_or_else(|| Json::Array(vec![]), Tree::to_json)
}

pub(super) fn map(tree: &Tree, key: &str) -> Json {
    tree.get(key).map_or_else(|| Json::Object(Object::new()), Tree::to_json)
}

/// Outputs or capabilities: a description and a value.
pub(super) fn values(tree: &Tree) -> Json {
    let entries = tree.entries().map(|(name, field)| (name.to_owned(), field.value.to_object()));
    Json::Object(entries.map(|(name, fields)| (name, Json::Object(fields))).collect())
}

// === impl Builder ===

impl Builder<'_> {
    /// Labels of deployments may be functions, except of what is known at run time only;
    /// those of blueprints are text.
    pub(super) fn labels(&mut self, tree: &Tree, section: &str) -> Json {
        for (name, field) in tree.entries() {
            let path = format!("{section}.{name}.values");
            for value in field.value.get("values").map(Tree::items).unwrap_or_default() {
                let is_text = value.as_str().is_some();
                let fields = value.as_map().filter(|_| section == "labels");
                let fault = match fields {
                    Some(fields) if fields.contains_key("get_attribute") => Some(format!(
                        "a value of the label `{name}` is a runtime property, which is not known \
                         when labels are set: use another function"
                    )),
                    None if !is_text => {
                        let or_function =
                            if section == "labels" { " or an intrinsic function" } else { "" };
                        Some(format!("the values of the label `{name}` must be text{or_function}"))
                    }
                    _ => None,
                };
                if let Some(message) = fault {
                    let refusal = Refusal::new(Kind::Parsing, message).coded(1);
                    self.report(value.place, &path, refusal);
                }
            }
        }
        Json::Object(tree.to_object())
    }
}

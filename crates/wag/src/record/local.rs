//! What was made here of a blueprint: findings, and the nodes of its plan.

use serde_json::{Value, json};
use waggoner_blueprint::Diagnostic;

use super::Record;
use crate::{client::Refusal, ui::Clock};

/// A node of a plan.
#[derive(Debug)]
pub(crate) struct PlannedNode {
    shape: Value,
    cells: Vec<String>,
}

/// A finding, with Cloudify's number and name for it.
pub(crate) fn finding(found: &Diagnostic) -> Value {
    let Diagnostic { kind, code, message, hint, file, mark, path, snippet } = found;
    json!({
        "code": code,
        "exception": kind.exception(),
        "message": message,
        "hint": hint,
        "file": file,
        "line": mark.map(|mark| mark.line),
        "column": mark.map(|mark| mark.column),
        "path": path,
        "snippet": snippet,
    })
}

/// What a manager found wrong, in the shape of findings; it says places and sentences only.
pub(crate) fn told(refusal: &Refusal) -> Vec<Value> {
    let one = |text: &str| {
        let (place, message) = place(text);
        let place = place.map(|(file, line, column)| (Some(file), Some(line), Some(column)));
        let (file, line, column) = place.unwrap_or_default();
        json!({
            "code": null, "exception": null, "message": message, "hint": null,
            "file": file, "line": line, "column": column, "path": null, "snippet": null,
        })
    };
    match refusal.violations.as_slice() {
        [] => vec![one(&refusal.message)],
        violations => violations.iter().map(|violation| one(violation)).collect(),
    }
}

/// Takes `file:line:column: ` off the beginning.
fn place(text: &str) -> (Option<(&str, u32, u32)>, &str) {
    let read = || {
        let (place, message) = text.split_once(": ")?;
        let mut parts = place.rsplitn(3, ':');
        let (column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
        Some(((file, line.parse().ok()?, column.parse().ok()?), message))
    };
    read().map_or((None, text), |(place, message)| (Some(place), message))
}

// === impl PlannedNode ===

impl PlannedNode {
    pub(crate) fn of(node: &Value, plan: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = text(&node["id"]);
        let instances = plan["node_instances"].as_array().map(|instances| {
            instances.iter().filter(|instance| instance["node_id"] == node["id"]).count()
        });
        let scaling = &node["capabilities"]["scalable"]["properties"];
        let instances = instances.map_or_else(
            || scaling["default_instances"].to_string(),
            |instances| instances.to_string(),
        );
        let relationships = node["relationships"].as_array().into_iter().flatten();
        let relationships = relationships.map(|it| {
            let kind = text(&it["type"]);
            let kind = kind.rsplit('.').next().unwrap_or_default().to_owned();
            format!("{kind} {}", text(&it["target_id"]))
        });
        let relationships = relationships.collect::<Vec<_>>().join(", ");
        let cells = vec![id, text(&node["type"]), instances, relationships];
        Self { shape: node.clone(), cells }
    }
}

impl Record for PlannedNode {
    const COLUMNS: &'static [&'static str] = &["node", "type", "instances", "relationships"];

    fn shape(&self) -> Value {
        self.shape.clone()
    }

    fn row(&self, _: &Clock) -> Vec<String> {
        self.cells.clone()
    }
}

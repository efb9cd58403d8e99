//! One thing for people: its fields one below the other.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;
use serde_json::Value;

use super::line::printable;

/// Renders an object: short values beside their names, structured ones below.
pub(super) fn render(shape: &Value) -> String {
    let mut text = String::new();
    let Value::Object(fields) = shape else {
        return format!("{}\n", inline(shape));
    };
    let width = fields.keys().map(|name| name.chars().count()).max().unwrap_or_default();
    for (name, value) in fields {
        match below(value) {
            None => {
                let head = format!("{name:<width$}");
                let _ = writeln!(text, "{}  {}", head.bold(), inline(value));
            }
            Some(block) => {
                let _ = writeln!(text, "{}", name.bold());
                for line in block.lines() {
                    let _ = writeln!(text, "  {line}");
                }
            }
        }
    }
    text
}

/// A value on one line.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => printable(text),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(inline).collect::<Vec<_>>().join(" "),
        Value::Object(fields) if fields.is_empty() => "-".to_owned(),
        other => other.to_string(),
    }
}

/// The block of a value that one line cannot show.
fn below(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.contains('\n') => {
            Some(text.lines().map(printable).collect::<Vec<_>>().join("\n"))
        }
        Value::Object(fields) if !fields.is_empty() => Some(format!("{value:#}")),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            Some(format!("{value:#}"))
        }
        _ => None,
    }
}

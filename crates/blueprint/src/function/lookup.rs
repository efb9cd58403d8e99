//! Follows a path of keys and indexes into a value.

use serde_json::Value as Json;

use super::{call::is_function, context::Spot, python_text};
use crate::Refusal;

/// Why a path leads nowhere.
#[derive(Debug)]
pub(crate) enum Lost {
    /// No such key, or no such index.
    Missing(String),
    /// A list was given something else than an index.
    NotAnIndex(String),
}

/// Takes one step. Negative indexes count from the end, as in Python.
pub(crate) fn step<'v>(value: &'v Json, step: &Json) -> Result<&'v Json, Lost> {
    match value {
        Json::Object(object) => object
            .get(&python_text(step))
            .ok_or_else(|| Lost::Missing(format!("there is no `{}`", python_text(step)))),
        Json::Array(items) => {
            let index = step.as_i64().or_else(|| step.as_bool().map(i64::from));
            let Some(index) = index else {
                let step = python_text(step);
                return Err(Lost::NotAnIndex(format!("`{step}` is not an index into a list")));
            };
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let index = if index < 0 { index + length } else { index };
            usize::try_from(index)
                .ok()
                .and_then(|index| items.get(index))
                .ok_or_else(|| Lost::Missing(format!("a list of {length} has no index {index}")))
        }
        _ => Err(Lost::Missing(format!("there is nothing in it, so no `{}`", python_text(step)))),
    }
}

/// Follows `path` into the properties of a node. Where a step meets a function, the function
/// and the step are left for later, as a list of both.
///
/// `each` evaluates what a step found, which matters at run time only.
pub(crate) fn property(
    properties: &Json,
    path: &[Json],
    spot: &Spot,
    each: &mut dyn FnMut(Json, &Spot) -> Result<Json, Refusal>,
) -> Result<Result<Json, Lost>, Refusal> {
    let mut value = properties.clone();
    for key in path {
        if is_function(&value) {
            value = Json::Array(vec![value, key.clone()]);
            continue;
        }
        let found = match step(&value, key) {
            Ok(found) => found.clone(),
            Err(lost) => return Ok(Err(lost)),
        };
        value = each(found, spot)?;
    }
    Ok(Ok(value))
}

/// Writes a path as a user would: `ports[0].number`.
pub(crate) fn describe(path: &[Json]) -> String {
    let mut text = String::new();
    for (at, key) in path.iter().enumerate() {
        match key {
            Json::Number(index) if at > 0 => text.extend(["[", &index.to_string(), "]"]),
            key => {
                text += if at == 0 { "" } else { "." };
                text += &python_text(key);
            }
        }
    }
    text
}

// === impl Lost ===

impl Lost {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Missing(text) | Self::NotAnIndex(text) => text,
        }
    }
}

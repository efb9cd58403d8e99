//! How many instances there may be: `min_instances`, `max_instances`, `default_instances`.
//!
//! Source: `dsl_parser/elements/scalable.py`.

use serde_json::{Value as Json, json};

use super::Builder;
use crate::{Refusal, code, function, tree::Tree};

/// The number that stands for no limit, and its name in texts.
const UNBOUNDED: i64 = -1;
const UNBOUNDED_WORD: &str = "UNBOUNDED";

/// What is planned where nothing is said.
pub(super) fn defaults(instances: i64) -> Json {
    json!({
        "min_instances": 0,
        "max_instances": UNBOUNDED,
        "default_instances": instances,
        "current_instances": instances,
        "planned_instances": instances,
    })
}

// === impl Builder ===

impl Builder<'_> {
    /// Reads the bounds of a node or a group.
    pub(super) fn scaling(&mut self, tree: &Tree, path: &str) -> Json {
        let mut bounds = defaults(1);
        for key in ["min_instances", "max_instances", "default_instances"] {
            let Some(given) = tree.get(key) else { continue };
            match bound(key, given) {
                Ok(value) => bounds[key] = value,
                Err(refusal) => self.report(tree.place_at([key]), path, refusal),
            }
        }
        let whole = |key: &str| bounds[key].as_i64();
        let (least, most, default) =
            (whole("min_instances"), whole("max_instances"), whole("default_instances"));
        let most = most.filter(|most| *most != UNBOUNDED);
        for (lower, low, upper, high) in [
            ("min_instances", least, "default_instances", default),
            ("min_instances", least, "max_instances", most),
            ("default_instances", default, "max_instances", most),
        ] {
            if let (Some(low), Some(high)) = (low, high)
                && low > high
            {
                let message = format!("`{lower}` is {low}, more than `{upper}`, which is {high}");
                let refusal = Refusal::logic(code::INVALID_INSTANCES, message);
                self.report(tree.place_at([lower]), path, refusal);
                break;
            }
        }
        bounds["current_instances"] = bounds["default_instances"].clone();
        bounds["planned_instances"] = bounds["default_instances"].clone();
        bounds
    }
}

fn bound(key: &str, given: &Tree) -> Result<Json, Refusal> {
    let value = given.to_json();
    let is_most = key == "max_instances";
    match &value {
        Json::Object(_) if function::of(&value).is_some() => Ok(value),
        Json::Object(_) => {
            let message = format!("`{key}` must be a number or an intrinsic function");
            Err(Refusal::logic(code::INVALID_DICT_VALUE, message))
        }
        Json::String(word) if is_most && word == UNBOUNDED_WORD => Ok(Json::from(UNBOUNDED)),
        Json::String(word) => {
            let message = format!("`{key}` must be a number or `{UNBOUNDED_WORD}`, not `{word}`");
            Err(Refusal::logic(code::INVALID_LITERAL_INSTANCES, message))
        }
        _ => {
            let count = value.as_i64().unwrap_or_default();
            let fits = if is_most { count == UNBOUNDED || count >= 1 } else { count >= 0 };
            if fits {
                return Ok(value);
            }
            let least = i64::from(is_most);
            let message = format!("`{key}` must be at least {least}, not {count}");
            Err(Refusal::logic(code::INVALID_INSTANCES, message))
        }
    }
}

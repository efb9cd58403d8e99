//! Intrinsic functions: what looks like one, and what its arguments must be.
//!
//! Some are evaluated when the deployment is planned, the others when their value is needed:
//!
//! ```text
//! text ──► Call::parse ──► validate (upload) ──► plan (deployment) ──► runtime (operation)
//! ```
//!
//! Source: `dsl_parser/functions.py`.

mod call;
mod instance;
mod lookup;
mod pure;
mod text;

pub(crate) mod context;
pub(crate) mod dependency;
pub(crate) mod evaluate;
pub(crate) mod plan;
pub(crate) mod runtime;
pub(crate) mod scan;
pub(crate) mod validate;

use serde_json::Value as Json;

pub(crate) use self::text::python_text;
use crate::{Kind, Refusal};

/// An intrinsic function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    GetInput,
    GetProperty,
    GetAttribute,
    GetAttributesList,
    GetAttributesDict,
    GetSecret,
    GetCapability,
    GetGroupCapability,
    GetEnvironmentCapability,
    GetLabel,
    GetSys,
    GetConsumers,
    Concat,
    Merge,
    StringFind,
    StringReplace,
    StringSplit,
    StringLower,
    StringUpper,
}

/// Every function by the name it is called by.
const ALL: [(&str, Name); 19] = [
    ("get_input", Name::GetInput),
    ("get_property", Name::GetProperty),
    ("get_attribute", Name::GetAttribute),
    ("get_attributes_list", Name::GetAttributesList),
    ("get_attributes_dict", Name::GetAttributesDict),
    ("get_secret", Name::GetSecret),
    ("get_capability", Name::GetCapability),
    ("get_group_capability", Name::GetGroupCapability),
    ("get_environment_capability", Name::GetEnvironmentCapability),
    ("get_label", Name::GetLabel),
    ("get_sys", Name::GetSys),
    ("get_consumers", Name::GetConsumers),
    ("concat", Name::Concat),
    ("merge", Name::Merge),
    ("string_find", Name::StringFind),
    ("string_replace", Name::StringReplace),
    ("string_split", Name::StringSplit),
    ("string_lower", Name::StringLower),
    ("string_upper", Name::StringUpper),
];

/// Returns the function that a value calls, and its arguments: a map with the function's name
/// as its one key, `type` aside.
pub(crate) fn of(value: &Json) -> Option<(Name, &Json)> {
    let object = value.as_object().filter(|object| (1..=2).contains(&object.len()))?;
    let mut called = None;
    for (key, arguments) in object {
        if key != "type" {
            called = Some((Name::parse(key)?, arguments));
        }
    }
    called
}

/// Follows keys and indexes into a value.
pub(crate) fn follow(value: &Json, keys: &[Json]) -> Result<Json, Refusal> {
    let mut here = value;
    for key in keys {
        here = lookup::step(here, key).map_err(|lost| {
            let message = format!("`{}` leads nowhere: {}", lookup::describe(keys), lost.text());
            Refusal::new(Kind::FunctionEvaluation, message)
        })?;
    }
    Ok(here.clone())
}

// === impl Name ===

impl Name {
    fn parse(text: &str) -> Option<Self> {
        ALL.iter().find(|(name, _)| *name == text).map(|(_, name)| *name)
    }

    pub(crate) fn as_str(self) -> &'static str {
        ALL.iter().find(|(_, name)| *name == self).map_or("", |(text, _)| text)
    }

    /// Says whether the function is evaluated when the deployment is planned.
    pub(crate) fn is_static(self) -> bool {
        matches!(
            self,
            Self::GetInput
                | Self::GetProperty
                | Self::Concat
                | Self::Merge
                | Self::StringFind
                | Self::StringReplace
                | Self::StringSplit
                | Self::StringLower
                | Self::StringUpper
        )
    }
}

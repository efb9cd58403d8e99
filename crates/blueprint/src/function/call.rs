//! A call: a function with arguments of the right shape.

use serde_json::Value as Json;

use super::{Name, of};
use crate::{Kind, Refusal};

/// A function to be evaluated. Its arguments have the shape that the function needs, though
/// some may still be functions themselves.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: Name,
    pub(crate) arguments: Json,
    /// The type that the value must have (`{get_input: x, type: integer}`).
    pub(crate) return_type: Option<String>,
}

// === impl Call ===

impl Call {
    /// Reads a value: `None` when it is not a call.
    ///
    /// # Errors
    ///
    /// A call whose arguments the function cannot take.
    pub(crate) fn parse(value: &Json) -> Result<Option<Self>, Refusal> {
        let Some((name, arguments)) = of(value) else { return Ok(None) };
        check(name, arguments)?;
        let return_type = value.get("type").and_then(Json::as_str).map(str::to_owned);
        Ok(Some(Self { name, arguments: arguments.clone(), return_type }))
    }

    /// The arguments as a list: a single one is a list of one.
    pub(crate) fn list(&self) -> &[Json] {
        match &self.arguments {
            Json::Array(items) => items,
            single => std::slice::from_ref(single),
        }
    }

    pub(crate) fn refusal(&self, message: impl std::fmt::Display) -> Refusal {
        let message = format!("`{}` cannot be evaluated: {message}", self.name.as_str());
        Refusal::new(Kind::FunctionEvaluation, message)
    }
}

pub(crate) fn is_function(value: &Json) -> bool {
    of(value).is_some()
}

/// A step of a path into nested values: a key, an index, or a function that gives one.
fn is_step(value: &Json) -> bool {
    value.is_string()
        || value.is_i64()
        || value.is_u64()
        || value.is_boolean()
        || is_function(value)
}

/// A list of at least `least` steps.
fn is_path(arguments: &Json, least: usize) -> bool {
    arguments.as_array().is_some_and(|path| path.len() >= least && path.iter().all(is_step))
}

fn check(name: Name, arguments: &Json) -> Result<(), Refusal> {
    let (fits, kind, expected) = match name {
        Name::GetInput => (
            arguments.is_string() || is_function(arguments) || is_path(arguments, 1),
            Kind::Value,
            "an input's name, or a list of the name and the keys into its value",
        ),
        Name::GetProperty | Name::GetAttribute | Name::GetAttributesList => (
            is_path(arguments, 2),
            Kind::Value,
            "a list of a node's name (or SELF, SOURCE, TARGET), a name and further keys",
        ),
        Name::GetAttributesDict => return attributes_dict(arguments),
        Name::GetSecret => (
            arguments.is_string()
                || is_function(arguments)
                || arguments.as_array().is_some_and(|path| path.len() > 1),
            Kind::FunctionValidation,
            "a secret's name, or a list of the name and the keys into its value",
        ),
        Name::GetCapability => (
            is_path(arguments, 2),
            Kind::Value,
            "a list of a deployment's id, a capability's name and further keys",
        ),
        Name::GetGroupCapability => (
            arguments.as_array().is_some_and(|path| {
                path.len() >= 2
                    && path
                        .iter()
                        .enumerate()
                        .all(|(at, step)| at == 1 && step.is_array() || is_step(step))
            }),
            Kind::Value,
            "a list of a deployment group's id, a capability's name and further keys",
        ),
        Name::GetEnvironmentCapability => return environment_capability(arguments),
        Name::GetLabel => (
            is_label(arguments),
            Kind::FunctionValidation,
            "a label's name, or a list of the name and the index of a value",
        ),
        Name::GetSys => (
            is_path(arguments, 2),
            Kind::Value,
            "a list of `tenant` or `deployment` and what is asked of it",
        ),
        Name::GetConsumers => (
            matches!(arguments.as_str(), Some("ids" | "names" | "count")),
            Kind::Value,
            "`ids`, `names` or `count`",
        ),
        Name::Concat | Name::Merge => (arguments.is_array(), Kind::Value, "a list"),
        Name::StringFind => (
            arguments.as_array().is_some_and(|list| list.len() == 2),
            Kind::FunctionValidation,
            "a list of two: a text, and what is looked for in it",
        ),
        Name::StringReplace => (
            arguments.as_array().is_some_and(|list| (3..=4).contains(&list.len())),
            Kind::FunctionValidation,
            "a list of three or four: a text, what is replaced, by what, and how often",
        ),
        Name::StringSplit => (
            arguments.as_array().is_some_and(|list| (2..=3).contains(&list.len())),
            Kind::FunctionValidation,
            "a list of two or three: a text, the separator, and the index of a part",
        ),
        Name::StringLower | Name::StringUpper => (
            arguments.is_string() || arguments.as_object().is_some_and(|call| call.len() == 1),
            Kind::FunctionValidation,
            "a text",
        ),
    };
    if fits { Ok(()) } else { Err(wrong(name, kind, expected, arguments)) }
}

fn wrong(name: Name, kind: Kind, expected: &str, arguments: &Json) -> Refusal {
    let message = format!("`{}` takes {expected}, not `{arguments}`", name.as_str());
    Refusal::new(kind, message)
}

fn is_label(arguments: &Json) -> bool {
    match arguments {
        Json::String(_) => true,
        Json::Array(list) => match list.as_slice() {
            [key, index] => {
                let is_index = index.is_i64()
                    || index.is_u64()
                    || index.as_str().is_some_and(|digits| {
                        !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
                    });
                (key.is_string() || is_function(key)) && is_index
            }
            _ => false,
        },
        _ => is_function(arguments),
    }
}

fn attributes_dict(arguments: &Json) -> Result<(), Refusal> {
    let expected = "a list of a node's name and the attributes, each a name or a list of keys";
    let refuse = || Err(wrong(Name::GetAttributesDict, Kind::Value, expected, arguments));
    let Some([node, paths @ ..]) = arguments.as_array().map(Vec::as_slice) else { return refuse() };
    let mut seen = vec![];
    for path in paths {
        let steps = path.as_array().map_or(std::slice::from_ref(path), Vec::as_slice);
        if !is_step(node) || steps.is_empty() || !steps.iter().all(is_step) {
            return refuse();
        }
        let name = identifier(path);
        if seen.contains(&name) {
            let message = format!("`get_attributes_dict` is asked for `{name}` twice");
            return Err(Refusal::new(Kind::FunctionEvaluation, message));
        }
        seen.push(name);
    }
    Ok(())
}

/// What `get_attributes_dict` calls an attribute in its result.
pub(super) fn identifier(path: &Json) -> String {
    let steps = path.as_array().map_or(std::slice::from_ref(path), Vec::as_slice);
    steps.iter().map(super::python_text).collect::<Vec<_>>().join(".")
}

fn environment_capability(arguments: &Json) -> Result<(), Refusal> {
    let expected = "a capability's name, or a list of the name and the keys into its value";
    let name = Name::GetEnvironmentCapability;
    match arguments {
        Json::String(_) => Ok(()),
        Json::Array(path) if path.len() < 2 => {
            Err(wrong(name, Kind::FunctionValidation, expected, arguments))
        }
        Json::Array(path) if path.iter().all(is_step) => Ok(()),
        Json::Array(_) => Err(wrong(name, Kind::Value, expected, arguments)),
        _ => Err(wrong(name, Kind::FunctionValidation, expected, arguments)),
    }
}

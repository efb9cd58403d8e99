//! Constraints on the values of inputs and parameters.
//!
//! Source: `dsl_parser/constraints.py`.

use std::cmp::Ordering;

use regex::Regex;
use serde_json::{Map as Object, Value as Json};

use crate::{Kind, Refusal, code, function, nearest, primitive, property};

/// Brings the values that a manager knows of a type that names things: deployments, secrets…
pub trait Values {
    /// The values that `value` may have. `query` holds the constraints that the manager must
    /// keep, by the names of its REST parameters.
    fn matching(&self, type_name: &str, value: &Json, query: &Object<String, Json>) -> Vec<Json>;

    /// Whether the deployment or the blueprint at hand bounds the search.
    fn has_deployment(&self) -> bool {
        false
    }

    fn has_blueprint(&self) -> bool {
        false
    }
}

/// A constraint with its arguments.
struct Constraint<'c> {
    name: &'c str,
    arguments: &'c Json,
    error_message: Option<&'c str>,
}

/// What the arguments of a constraint are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Number,
    TwoNumbers,
    List,
    Pattern,
    Text,
    Dict,
}

const ALL: [(&str, Takes); 16] = [
    ("equal", Takes::Number),
    ("greater_than", Takes::Number),
    ("greater_or_equal", Takes::Number),
    ("less_than", Takes::Number),
    ("less_or_equal", Takes::Number),
    ("in_range", Takes::TwoNumbers),
    ("valid_values", Takes::List),
    ("length", Takes::Number),
    ("min_length", Takes::Number),
    ("max_length", Takes::Number),
    ("pattern", Takes::Pattern),
    ("filter_id", Takes::Text),
    ("labels", Takes::List),
    ("tenants", Takes::List),
    ("name_pattern", Takes::Dict),
    ("deployment_id", Takes::Text),
];

/// Types whose values belong to a deployment.
const OF_DEPLOYMENT: [&str; 2] = ["capability_value", "node_instance"];

/// Types whose values belong to a deployment or a blueprint.
const OF_BLUEPRINT: [&str; 4] = ["scaling_group", "operation_name", "node_id", "node_type"];

/// Judges a constraint as the text declares it.
pub(crate) fn check(
    name: Option<&str>,
    arguments: Option<&Json>,
    input: &str,
) -> Result<(), Refusal> {
    let names = || ALL.iter().map(|(name, _)| *name);
    let known = names().collect::<Vec<_>>().join(", ");
    let (Some(name), Some(arguments)) = (name, arguments) else {
        let message = format!("a constraint of `{input}` is empty: expected one of {known}");
        return Err(Refusal::logic(code::UNKNOWN_TYPE, message));
    };
    let Some((_, takes)) = ALL.iter().find(|(known, _)| *known == name) else {
        let hint = nearest::hint(name, names()).map(|hint| format!("; {hint}")).unwrap_or_default();
        let message = format!("`{name}` is not a constraint: expected one of {known}{hint}");
        return Err(Refusal::logic(code::UNKNOWN_TYPE, message));
    };
    if function::of(arguments).is_some() || takes.fits(arguments) {
        return Ok(());
    }
    let message = format!(
        "the constraint `{name}` of `{input}` takes {}, not `{arguments}`",
        takes.describe()
    );
    Err(Refusal::logic(code::INVALID_CONSTRAINT, message))
}

/// Judges the value of an input by the constraints of its definition.
pub(crate) fn judge(
    name: &str,
    definition: &Json,
    value: &Json,
    values: Option<&dyn Values>,
) -> Result<(), Refusal> {
    let type_name = definition["type"].as_str();
    let item_type = definition["item_type"].as_str();
    let constraints = read(definition);
    match (type_name, item_type, value) {
        (Some("list"), Some(item_type), Json::Array(items)) => {
            for item in items {
                if !property::fits(item, item_type) {
                    let message = format!(
                        "the items of `{name}` are of type {item_type}, yet one is `{item}`"
                    );
                    return Err(Refusal::logic(code::WRONG_TYPE, message));
                }
                one(name, &constraints, item, Some(item_type), values)?;
            }
            Ok(())
        }
        _ => one(name, &constraints, value, type_name, values),
    }
}

fn read(definition: &Json) -> Vec<Constraint<'_>> {
    let constraints = definition["constraints"].as_array().into_iter().flatten();
    constraints
        .filter_map(|constraint| {
            let fields = constraint.as_object()?;
            let (name, arguments) = fields.iter().find(|(key, _)| *key != "error_message")?;
            let error_message = fields.get("error_message").and_then(Json::as_str);
            Some(Constraint { name, arguments, error_message })
        })
        .collect()
}

fn refuse(message: String) -> Refusal {
    Refusal::new(Kind::Constraint, message)
}

fn one(
    name: &str,
    constraints: &[Constraint<'_>],
    value: &Json,
    type_name: Option<&str>,
    values: Option<&dyn Values>,
) -> Result<(), Refusal> {
    if !constraints.is_empty() && function::of(value).is_some() {
        let message = format!("`{name}` has constraints, so it cannot be the function `{value}`");
        let refusal = Refusal::new(Kind::Parsing, message);
        return Err(refusal.coded(code::INPUT_FUNCTION_AND_CONSTRAINT));
    }
    let type_name = type_name.unwrap_or_default();
    let names_object = primitive::names_object(type_name);
    let has = |wanted: &str| constraints.iter().any(|constraint| constraint.name == wanted);
    if names_object {
        known(name, type_name, value, &has, values)?;
    }
    let (asked, own): (Vec<_>, Vec<_>) =
        constraints.iter().partition(|constraint| constraint.is_for_manager(type_name));
    for constraint in own {
        if !constraint.allows(value)? {
            let why = match constraint.error_message {
                Some(message) => message.to_owned(),
                None => format!("it must keep {}({})", constraint.name, constraint.arguments),
            };
            return Err(refuse(format!("the value `{value}` of `{name}` is not valid: {why}")));
        }
    }
    if asked.is_empty() && !OF_DEPLOYMENT.contains(&type_name) {
        return Ok(());
    }
    let mut query = Object::new();
    for constraint in &asked {
        let parameter = constraint.parameter(type_name).ok_or_else(|| {
            refuse(format!("`{}` is not a constraint for `{type_name}`", constraint.name))
        })?;
        query.insert(parameter.to_owned(), constraint.arguments.clone());
    }
    let found =
        values.is_some_and(|values| values.matching(type_name, value, &query).contains(value));
    if found {
        return Ok(());
    }
    let names: Vec<_> = asked.iter().map(|constraint| constraint.name).collect();
    let message = format!("nothing called `{value}` keeps {} of `{name}`", names.join(", "));
    Err(refuse(message))
}

/// Whether a value names something that the manager knows.
fn known(
    name: &str,
    type_name: &str,
    value: &Json,
    has: &dyn Fn(&str) -> bool,
    values: Option<&dyn Values>,
) -> Result<(), Refusal> {
    let Some(values) = values else {
        return Err(refuse(format!(
            "`{name}` of type {type_name} can be judged by a manager only"
        )));
    };
    let in_deployment = values.has_deployment() || has("deployment_id");
    let in_blueprint = values.has_blueprint() || has("blueprint_id");
    let bounded = if OF_DEPLOYMENT.contains(&type_name) {
        in_deployment
    } else {
        in_deployment || in_blueprint || !OF_BLUEPRINT.contains(&type_name)
    };
    if !bounded {
        let message = format!("`{name}` of type {type_name} needs the constraint `deployment_id`");
        return Err(refuse(message));
    }
    let belongs = OF_DEPLOYMENT.contains(&type_name) || OF_BLUEPRINT.contains(&type_name);
    let is_free = !belongs || values.has_deployment() && !has("deployment_id");
    if is_free && !values.matching(type_name, value, &Object::new()).contains(value) {
        return Err(refuse(format!("`{value}` of `{name}` is not the name of a {type_name}")));
    }
    Ok(())
}

// === impl Constraint ===

impl Constraint<'_> {
    /// Whether the manager judges it: it knows the names, we do not.
    fn is_for_manager(&self, type_name: &str) -> bool {
        match self.name {
            "valid_values" => {
                OF_DEPLOYMENT.contains(&type_name) || OF_BLUEPRINT.contains(&type_name)
            }
            "filter_id" | "labels" | "tenants" | "name_pattern" | "deployment_id" => true,
            _ => false,
        }
    }

    /// The parameter of the manager's REST API that keeps it, where it makes sense.
    fn parameter(&self, type_name: &str) -> Option<&str> {
        let belongs = OF_DEPLOYMENT.contains(&type_name) || OF_BLUEPRINT.contains(&type_name);
        match (self.name, type_name) {
            ("filter_id" | "labels" | "tenants", "deployment_id" | "blueprint_id") => {
                Some(self.name)
            }
            ("valid_values" | "deployment_id", _) if belongs => Some(self.name),
            ("name_pattern", "blueprint_id" | "node_id" | "node_instance") => Some("id_specs"),
            ("name_pattern", "deployment_id") => Some("display_name_specs"),
            ("name_pattern", "secret_key") => Some("key_specs"),
            ("name_pattern", "node_type") => Some("type_specs"),
            ("name_pattern", "capability_value") => Some("capability_key_specs"),
            ("name_pattern", "scaling_group") => Some("scaling_group_name_specs"),
            ("name_pattern", "operation_name") => Some("operation_name_specs"),
            _ => None,
        }
    }

    fn allows(&self, value: &Json) -> Result<bool, Refusal> {
        let arguments = self.arguments;
        let order = |limit: &Json| {
            compare(value, limit).ok_or_else(|| {
                refuse(format!("`{value}` cannot be compared with `{limit}` of `{}`", self.name))
            })
        };
        let length = || match value {
            Json::String(text) => Ok(text.chars().count()),
            Json::Array(items) => Ok(items.len()),
            Json::Object(object) => Ok(object.len()),
            _ => Err(refuse(format!("`{value}` has no length, which `{}` asks for", self.name))),
        };
        let by_length = || Ok(compare(&Json::from(length()?), arguments));
        Ok(match self.name {
            "equal" => compare(value, arguments) == Some(Ordering::Equal),
            "greater_than" => order(arguments)? == Ordering::Greater,
            "greater_or_equal" => order(arguments)? != Ordering::Less,
            "less_than" => order(arguments)? == Ordering::Less,
            "less_or_equal" => order(arguments)? != Ordering::Greater,
            "in_range" => {
                order(&arguments[0])? != Ordering::Less
                    && order(&arguments[1])? != Ordering::Greater
            }
            "valid_values" => arguments.as_array().is_some_and(|values| values.contains(value)),
            "length" => by_length()? == Some(Ordering::Equal),
            "min_length" => by_length()?.is_some_and(Ordering::is_ge),
            "max_length" => by_length()?.is_some_and(Ordering::is_le),
            "pattern" => {
                let Some(text) = value.as_str() else {
                    return Err(refuse(format!("`{value}` is not text, which `pattern` asks for")));
                };
                matches(arguments.as_str().unwrap_or_default(), text)?
            }
            _ => true,
        })
    }
}

// === impl Takes ===

impl Takes {
    fn fits(self, arguments: &Json) -> bool {
        match self {
            Self::Number => arguments.is_number(),
            Self::TwoNumbers => arguments
                .as_array()
                .is_some_and(|two| two.len() == 2 && two.iter().all(Json::is_number)),
            Self::List => arguments.is_array(),
            Self::Pattern => arguments.as_str().is_some_and(property::is_pattern),
            Self::Text => arguments.is_string(),
            Self::Dict => arguments.is_object(),
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::TwoNumbers => "a list of two numbers",
            Self::List => "a list",
            Self::Pattern => "a regular expression",
            Self::Text => "a text",
            Self::Dict => "a dict",
        }
    }
}

/// Compares numbers, as Python does: a boolean is one.
fn compare(one: &Json, two: &Json) -> Option<Ordering> {
    let number =
        |value: &Json| value.as_f64().or_else(|| value.as_bool().map(|it| f64::from(u8::from(it))));
    number(one)?.partial_cmp(&number(two)?)
}

/// Whether the text begins with the pattern (Python's `re.match`).
fn matches(pattern: &str, text: &str) -> Result<bool, Refusal> {
    let regex = Regex::new(&format!("^(?:{pattern})")).map_err(|_| {
        refuse(format!(
            "the pattern `{pattern}` cannot be used: no look-around or \
             back-references, please"
        ))
    })?;
    Ok(regex.is_match(text))
}

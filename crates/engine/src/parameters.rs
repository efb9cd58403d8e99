//! The parameters of a workflow: merged with what it declares, and read by type.
//!
//! What is merged and converted is as in `cloudify/workflows/local.py`
//! (`_merge_and_validate_execution_parameters`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use waggoner_types::plan::Parameter;

use crate::{Refusal, Start, refusal::Known};

/// The checked parameters of an execution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameters {
    workflow: String,
    values: Map<String, Value>,
}

// === impl Parameters ===

impl Parameters {
    /// Puts what was given over the defaults. `built_in` are names that the workflow reads even
    /// where the blueprint does not declare them.
    pub(crate) fn merge(
        start: &Start,
        declared: &BTreeMap<String, Parameter>,
        built_in: &[&str],
    ) -> Result<Self, Refusal> {
        let workflow = start.workflow.clone();
        let known = |name: &str| declared.contains_key(name) || built_in.contains(&name);
        if let Some(given) = start.parameters.keys().find(|name| !known(name))
            && !start.allow_custom_parameters
        {
            let names = declared.keys().map(String::as_str).chain(built_in.iter().copied());
            let known = Known::of(given, names);
            return Err(Refusal::UnknownParameter { workflow, given: given.clone(), known });
        }

        let mut values = start.parameters.clone();
        let mut missing = Vec::new();
        for (name, parameter) in declared {
            match values.get_mut(name) {
                Some(value) => convert(&workflow, name, parameter, value)?,
                None => match &parameter.default {
                    Some(default) => drop(values.insert(name.clone(), default.clone())),
                    None if parameter.required != Some(false) => missing.push(name.clone()),
                    None => {}
                },
            }
        }
        if missing.is_empty() {
            Ok(Self { workflow, values })
        } else {
            Err(Refusal::MissingParameters { workflow, parameters: missing })
        }
    }

    pub(crate) fn workflow(&self) -> &str {
        &self.workflow
    }

    /// A list of names; none given means an empty one.
    pub(crate) fn names(&self, name: &str) -> Result<Vec<String>, Refusal> {
        const EXPECTED: &str = "a list of names";
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let Value::Array(items) = value else { return Err(self.wrong(name, EXPECTED, value)) };
        let name_of = |item: &Value| match item {
            Value::String(text) => Ok(text.clone()),
            other => Err(self.wrong(name, EXPECTED, other)),
        };
        items.iter().map(name_of).collect()
    }

    /// A list of names, or a single one: where Cloudify takes both.
    pub(crate) fn name_or_names(&self, name: &str) -> Result<Vec<String>, Refusal> {
        match self.get(name) {
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            _ => self.names(name),
        }
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(self.wrong(name, "true or false", other)),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(name, "a string", other)),
        }
    }

    pub(crate) fn needed_text(&self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::MissingParameters {
            workflow: self.workflow.clone(),
            parameters: vec![name.to_owned()],
        })
    }

    /// A whole number, also written as a string.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        const EXPECTED: &str = "a whole number";
        let Some(value) = self.get(name) else { return Ok(None) };
        let read = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        read.map(Some).ok_or_else(|| self.wrong(name, EXPECTED, value))
    }

    pub(crate) fn map(&self, name: &str) -> Result<Map<String, Value>, Refusal> {
        match self.get(name) {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map.clone()),
            Some(other) => Err(self.wrong(name, "a dictionary", other)),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, parameter: &str, expected: &'static str, given: &Value) -> Refusal {
        wrong(&self.workflow, parameter, expected, given)
    }
}

/// Checks a value against its declared type; a string that spells a scalar becomes one.
fn convert(
    workflow: &str,
    name: &str,
    parameter: &Parameter,
    value: &mut Value,
) -> Result<(), Refusal> {
    let (expected, fits): (_, fn(&Value) -> bool) = match parameter.type_.as_deref() {
        Some("integer") => ("a whole number", |value| value.is_i64() || value.is_u64()),
        Some("float") => ("a number", Value::is_number),
        Some("boolean") => ("true or false", Value::is_boolean),
        Some("string") => ("a string", Value::is_string),
        Some("list") => ("a list", Value::is_array),
        Some("dict") => ("a dictionary", Value::is_object),
        _ => return Ok(()),
    };
    if value.is_null() && (parameter.default == Some(Value::Null)) {
        return Ok(());
    }
    if let Value::String(text) = value
        && matches!(parameter.type_.as_deref(), Some("integer" | "float" | "boolean"))
        && let Ok(spelled) = serde_json::from_str::<Value>(&text.trim().to_lowercase())
        && fits(&spelled)
    {
        *value = spelled;
    }
    if fits(value) { Ok(()) } else { Err(wrong(workflow, name, expected, value)) }
}

fn wrong(workflow: &str, parameter: &str, expected: &'static str, given: &Value) -> Refusal {
    let given = match given {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the boolean `{value}`"),
        Value::Number(value) => format!("the number `{value}`"),
        Value::String(value) => format!("the string `{value}`"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a dictionary".to_owned(),
    };
    let (workflow, parameter) = (workflow.to_owned(), parameter.to_owned());
    Refusal::WrongType { workflow, parameter, expected, given }
}

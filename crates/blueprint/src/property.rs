//! Values against schemas: what a property may hold, and what it holds when nothing is said.
//!
//! Source: `dsl_parser/utils.py`, `parse_value` and its neighbours.

use indexmap::IndexMap;
use regex::Regex;
use serde_json::{Map as Object, Value as Json};

use crate::{Kind, Refusal, code, function, nearest, primitive};

/// Names and what may stand under them.
pub(crate) type Schema = IndexMap<String, Property>;

/// The data types of a blueprint.
pub(crate) type DataTypes = IndexMap<String, Schema>;

/// One property, input or parameter of a schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct Property {
    /// What the plan says about it: `type`, `default`, `description`, `required`…
    pub(crate) declared: Object<String, Json>,
    /// The default as the text gives it, before a data type fills it in.
    pub(crate) own_default: Option<Json>,
}

/// How values are judged.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'j> {
    pub(crate) data_types: &'j DataTypes,
    /// What holds the properties, for the message: "node `web`".
    pub(crate) holder: &'j str,
    pub(crate) must_be_complete: bool,
}

/// A value that does not fit, and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Misfit {
    pub(crate) refusal: Refusal,
    pub(crate) path: Vec<String>,
    pub(crate) hint: Option<String>,
}

// === impl Property ===

impl Property {
    pub(crate) fn of_json(json: &Json) -> Self {
        Self { declared: json.as_object().cloned().unwrap_or_default(), own_default: None }
    }

    pub(crate) fn type_name(&self) -> Option<&str> {
        self.declared.get("type").and_then(Json::as_str)
    }

    pub(crate) fn default(&self) -> Option<&Json> {
        self.declared.get("default")
    }

    pub(crate) fn is_required(&self) -> bool {
        self.declared.get("required").and_then(Json::as_bool).unwrap_or(true)
    }
}

pub(crate) fn schema_of_json(json: &Json) -> Schema {
    let properties = json.as_object().into_iter().flatten();
    properties.map(|(name, property)| (name.clone(), Property::of_json(property))).collect()
}

pub(crate) fn schema_to_json(schema: &Schema) -> Json {
    let properties = schema
        .iter()
        .map(|(name, property)| (name.clone(), Json::Object(property.declared.clone())));
    Json::Object(properties.collect())
}

/// The defaults of a schema, as values.
pub(crate) fn defaults(schema: &Schema) -> Object<String, Json> {
    schema
        .iter()
        .filter_map(|(name, property)| Some((name.clone(), property.default()?.clone())))
        .collect()
}

/// Lays a derived type's schema over that of its parent. A default of a data type that only
/// says a part is completed by the parent's default.
pub(crate) fn inherit(parent: &Schema, own: Schema, data_types: &DataTypes) -> Schema {
    let mut merged = own;
    for (name, inherited) in parent {
        let Some(property) = merged.get_mut(name) else {
            merged.insert(name.clone(), inherited.clone());
            continue;
        };
        let Some(type_name) = property.type_name() else { continue };
        let parent_default = inherited.default().filter(|default| !default.is_null());
        let (Some(parent_default), true) = (
            parent_default,
            inherited.type_name() == Some(type_name) && data_types.contains_key(type_name),
        ) else {
            continue;
        };
        let own = property.own_default.clone().filter(|own| !own.is_null());
        let judge = Judge { data_types, holder: "a derived type", must_be_complete: false };
        let own = own.unwrap_or_else(|| Json::Object(Object::new()));
        let completed = judge.value(&own, Some(parent_default), Some(type_name), &[]);
        if let Ok(completed) = completed.map(|value| (is_truthy(&value), value))
            && completed.0
        {
            property.declared.insert("default".to_owned(), completed.1);
        }
    }
    merged
}

// === impl Judge ===

impl Judge<'_> {
    /// Completes the values of an instance with the defaults of its schema, and judges them.
    pub(crate) fn properties(
        &self,
        given: &Object<String, Json>,
        schema: &Schema,
        defaults: &Object<String, Json>,
        path: &[String],
    ) -> Result<Object<String, Json>, Misfit> {
        for name in given.keys() {
            if !schema.contains_key(name) {
                let place = describe(path, Some(name));
                let message = format!("{} has no property `{place}`", self.holder);
                let refusal = Refusal::logic(code::UNDEFINED_PROPERTY, message);
                let hint = nearest::hint(name, schema.keys().map(String::as_str));
                return Err(Misfit { refusal, path: longer(path, name), hint });
            }
        }
        let value_of = |name: &str| given.get(name).or_else(|| defaults.get(name));
        let external = value_of("use_external_resource");
        if external.is_some_and(|external| function::of(external).is_some()) {
            let message = "`use_external_resource` must be a boolean, not an intrinsic function";
            let refusal = Refusal::logic(code::FUNCTION_NOT_PERMITTED, message);
            return Err(Misfit {
                refusal,
                path: longer(path, "use_external_resource"),
                hint: None,
            });
        }
        let is_external = external.is_some_and(is_truthy);
        let mut complete = Object::new();
        for (name, property) in schema {
            let Some(value) = value_of(name) else {
                if self.must_be_complete && property.is_required() && !is_external {
                    let place = describe(path, Some(name));
                    let message = format!("{} needs a value for `{place}`", self.holder);
                    let refusal = Refusal::logic(code::MISSING_PROPERTY, message);
                    return Err(Misfit { refusal, path: path.to_vec(), hint: None });
                }
                continue;
            };
            let path = longer(path, name);
            let value = self.value(value, defaults.get(name), property.type_name(), &path)?;
            complete.insert(name.clone(), value);
        }
        Ok(complete)
    }

    /// Judges one value. `default` completes what a value of a data type leaves out.
    pub(crate) fn value(
        &self,
        value: &Json,
        default: Option<&Json>,
        type_name: Option<&str>,
        path: &[String],
    ) -> Result<Json, Misfit> {
        let Some(type_name) = type_name else { return Ok(value.clone()) };
        if function::of(value).is_some() {
            return Ok(value.clone());
        }
        if primitive::is_primitive(type_name) {
            if fits(value, type_name) {
                return Ok(value.clone());
            }
        } else if let Some(schema) = self.data_types.get(type_name) {
            if let Json::Object(given) = value {
                let mut defaults = defaults(schema);
                if let Some(Json::Object(more)) = default {
                    defaults.extend(more.clone());
                }
                return self.properties(given, schema, &defaults, path).map(Json::Object);
            }
        } else {
            let place = describe(path, None);
            let message = format!("`{place}` has the unknown type `{type_name}`");
            let refusal = Refusal::new(Kind::Runtime, message);
            return Err(Misfit { refusal, path: path.to_vec(), hint: None });
        }
        let place = describe(path, None);
        let of = if place.is_empty() { String::new() } else { format!("`{place}` of ") };
        let message =
            format!("{of}{} is of type `{type_name}`, yet its value is `{value}`", self.holder);
        let refusal = Refusal::logic(code::WRONG_TYPE, message);
        Err(Misfit { refusal, path: path.to_vec(), hint: None })
    }
}

/// Says whether a value is of a built-in type. Names and texts accept anything, as Cloudify
/// does: they are written in many forms.
pub(crate) fn fits(value: &Json, type_name: &str) -> bool {
    match type_name {
        "integer" => value.is_i64() || value.is_u64(),
        "float" => value.is_number(),
        "boolean" => value.is_boolean(),
        "list" => value.is_array(),
        "dict" => value.is_object(),
        "regex" => value.as_str().is_some_and(is_pattern),
        _ => primitive::is_primitive(type_name),
    }
}

/// Says whether Python would accept a regular expression, as far as we can tell: look-around
/// and back-references are beyond our engine, so they are let through.
pub(crate) fn is_pattern(text: &str) -> bool {
    Regex::new(text).is_ok()
        || ["(?=", "(?!", "(?<", "\\1", "(?P="].iter().any(|it| text.contains(it))
}

/// What Python takes for true.
pub(crate) fn is_truthy(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(given) => *given,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(object) => !object.is_empty(),
    }
}

fn longer(path: &[String], name: &str) -> Vec<String> {
    let mut path = path.to_vec();
    path.push(name.to_owned());
    path
}

fn describe(path: &[String], name: Option<&str>) -> String {
    let steps: Vec<&str> = path.iter().map(String::as_str).chain(name).collect();
    steps.join(".")
}

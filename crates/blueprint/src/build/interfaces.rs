//! Interfaces: operations by name, inherited from type to type and overridden by templates.
//!
//! Source: `dsl_parser/interfaces`.

use indexmap::IndexMap;
use serde_json::{Map as Object, Value as Json};

use super::{Builder, object, plugins::EXECUTORS, schema::Owner};
use crate::{
    Kind, Refusal, code, nearest,
    property::{self, Schema},
    tree::{Field, Tree},
};

pub(super) type Interfaces = IndexMap<String, IndexMap<String, Operation>>;

/// An operation as a type or a template says it. The default one does nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Operation {
    pub(super) implementation: String,
    /// Of a type: what each input is. Of a template: its value.
    pub(super) inputs: Object<String, Json>,
    pub(super) executor: Json,
    pub(super) max_retries: Json,
    pub(super) retry_interval: Json,
    pub(super) timeout: Json,
    pub(super) timeout_recoverable: Json,
}

/// Whose interfaces are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Type,
    Template,
}

// === impl Operation ===

impl Operation {
    pub(super) fn to_json(&self) -> Json {
        object([
            ("implementation", Json::String(self.implementation.clone())),
            ("inputs", Json::Object(self.inputs.clone())),
            ("executor", self.executor.clone()),
            ("max_retries", self.max_retries.clone()),
            ("retry_interval", self.retry_interval.clone()),
            ("timeout", self.timeout.clone()),
            ("timeout_recoverable", self.timeout_recoverable.clone()),
        ])
    }

    /// The operation of a type, with the defaults of its inputs.
    fn instance(&self) -> Result<Self, Refusal> {
        let inputs = self.complete(&Object::new())?;
        Ok(Self { inputs, ..self.clone() })
    }

    /// What a template makes of the operation of its type. Where it gives an implementation
    /// of its own, nothing of the type's is left.
    fn overridden(&self, template: &Self) -> Result<Self, Refusal> {
        if *template == Self::default() || *self == Self::default() {
            return Ok(template.clone());
        }
        let is_own =
            !template.implementation.is_empty() && template.implementation != self.implementation;
        if is_own {
            return Ok(template.clone());
        }
        let either = |template: &Json, own: &Json| {
            if template.is_null() { own.clone() } else { template.clone() }
        };
        Ok(Self {
            implementation: self.implementation.clone(),
            inputs: self.complete(&template.inputs)?,
            executor: either(&template.executor, &self.executor),
            max_retries: either(&template.max_retries, &self.max_retries),
            retry_interval: either(&template.retry_interval, &self.retry_interval),
            timeout: either(&template.timeout, &self.timeout),
            timeout_recoverable: either(&template.timeout_recoverable, &self.timeout_recoverable),
        })
    }

    /// Lays given inputs over the defaults. A dict with a declared type is told its type.
    fn complete(&self, given: &Object<String, Json>) -> Result<Object<String, Json>, Refusal> {
        let schema: Schema = property::schema_of_json(&Json::Object(self.inputs.clone()));
        let mut inputs = property::defaults(&schema);
        inputs.extend(given.clone());
        for (name, property) in &schema {
            if let (Some(Json::Object(value)), Some(type_name)) =
                (inputs.get_mut(name), property.type_name())
            {
                value.insert("type".to_owned(), Json::String(type_name.to_owned()));
            }
        }
        let missing: Vec<_> = schema
            .keys()
            .filter(|name| !inputs.contains_key(*name))
            .map(|name| format!("`{name}`"))
            .collect();
        if missing.is_empty() {
            return Ok(inputs);
        }
        let message = format!("the operation needs a value for its input {}", missing.join(", "));
        Err(Refusal::logic(code::MISSING_PROPERTY, message))
    }
}

/// Lays the interfaces of a derived type over those of its parent.
pub(super) fn inherit(parent: &Interfaces, own: Interfaces) -> Interfaces {
    let mut merged = parent.clone();
    for (name, operations) in own {
        merged.entry(name).or_default().extend(operations);
    }
    merged
}

/// Makes the interfaces of a template, from those of its type and its own. What cannot be
/// made is told by the names of its interface and operation.
pub(super) fn instantiate(
    type_interfaces: &Interfaces,
    own: &Interfaces,
    faults: &mut Vec<(String, Refusal)>,
) -> Interfaces {
    let mut made = Interfaces::new();
    let none = IndexMap::new();
    for (name, operations) in type_interfaces {
        let overriding = own.get(name).unwrap_or(&none);
        let made = made.entry(name.clone()).or_default();
        for (operation_name, operation) in operations {
            let result = match overriding.get(operation_name) {
                None => operation.instance(),
                Some(template) => operation.overridden(template),
            };
            let result = result.unwrap_or_else(|mut refusal| {
                refusal.message = format!("`{name}.{operation_name}`: {}", refusal.message);
                faults.push((format!("{name}.{operation_name}"), refusal));
                Operation::default()
            });
            made.insert(operation_name.clone(), result);
        }
    }
    for (name, operations) in own {
        let made = made.entry(name.clone()).or_default();
        for (operation_name, operation) in operations {
            made.entry(operation_name.clone()).or_insert_with(|| operation.clone());
        }
    }
    made
}

pub(super) fn to_json(interfaces: &Interfaces) -> Json {
    let interface = |operations: &IndexMap<String, Operation>| {
        let operations = operations.iter().map(|(name, of)| (name.clone(), of.to_json()));
        Json::Object(operations.collect())
    };
    Json::Object(interfaces.iter().map(|(name, of)| (name.clone(), interface(of))).collect())
}

// === impl Builder ===

impl Builder<'_> {
    /// Reads the interfaces of a type or a template.
    pub(super) fn interfaces(&mut self, tree: Option<&Tree>, path: &str, of: Of) -> Interfaces {
        let mut interfaces = Interfaces::new();
        for (name, field) in tree.into_iter().flat_map(Tree::entries) {
            let operations = interfaces.entry(name.to_owned()).or_default();
            for (operation, field) in field.value.entries() {
                let path = format!("{path}.{name}.{operation}");
                let full_name = format!("{name}.{operation}");
                operations
                    .insert(operation.to_owned(), self.operation(field, &full_name, &path, of));
            }
        }
        interfaces
    }

    fn operation(&mut self, field: &Field, name: &str, path: &str, of: Of) -> Operation {
        let tree = &field.value;
        if let Some(implementation) = tree.as_str() {
            return Operation { implementation: implementation.to_owned(), ..Operation::default() };
        }
        self.check_operation(tree, name, path);
        let inputs = match (tree.get("inputs"), of) {
            (None, _) => Object::new(),
            (Some(inputs), Of::Template) => inputs.to_object(),
            (Some(inputs), Of::Type) => match self.schema(inputs, path, name, Owner::Input) {
                schema if schema.is_empty() => Object::new(),
                schema => {
                    property::schema_to_json(&schema).as_object().cloned().unwrap_or_default()
                }
            },
        };
        let json = |key: &str| tree.get(key).map_or(Json::Null, Tree::to_json);
        Operation {
            implementation: tree
                .get("implementation")
                .and_then(Tree::as_str)
                .unwrap_or_default()
                .to_owned(),
            inputs,
            executor: json("executor"),
            max_retries: json("max_retries"),
            retry_interval: json("retry_interval"),
            timeout: json("timeout"),
            timeout_recoverable: json("timeout_recoverable"),
        }
    }

    fn check_operation(&mut self, tree: &Tree, name: &str, path: &str) {
        if let Some(executor) = tree.get("executor").and_then(Tree::as_str)
            && !EXECUTORS.contains(&executor)
        {
            let message = format!(
                "the operation `{name}` has the executor `{executor}`: expected \
                 `central_deployment_agent` or `host_agent`"
            );
            let refusal = Refusal::logic(code::OPERATION_EXECUTOR, message);
            let hint = nearest::hint(executor, EXECUTORS);
            self.report_unknown(tree.place_at(["executor"]), path, refusal, hint);
        }
        for (key, least) in [("max_retries", -1.0), ("retry_interval", 0.0), ("timeout", 0.0)] {
            let given = tree.get(key).and_then(|given| given.to_json().as_f64());
            if let Some(given) = given.filter(|given| *given < least) {
                let forever = if least < 0.0 { ", where -1 means for ever" } else { "" };
                let message = format!("`{key}` must be at least {least}{forever}, not {given}");
                self.report(tree.place_at([key]), path, Refusal::new(Kind::Value, message));
            }
        }
    }
}

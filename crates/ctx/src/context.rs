//! What an operation was started with.

use serde_json::{Map, Value};

/// Cloudify's `__cloudify_context` of an operation (`workflow_context.py`, `tasks.py`).
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    fields: Map<String, Value>,
    pub(crate) scope: Scope,
}

/// The `__cloudify_context` is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operation's context is malformed at `{field}`: {reason}")]
pub struct InvalidContext {
    pub field: &'static str,
    pub reason: &'static str,
}

/// What an operation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Deployment,
    Instance(Ids),
    Relationship { source: Ids, target: Ids },
}

/// A node instance and its node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ids {
    pub(crate) node: String,
    pub(crate) instance: String,
}

// === impl Context ===

impl Context {
    /// Reads the JSON object.
    pub fn new(context: Value) -> Result<Self, InvalidContext> {
        let Value::Object(fields) = context else {
            return Err(InvalidContext { field: "context", reason: "it is not an object" });
        };
        let scope = match fields.get("related") {
            Some(Value::Object(related)) => {
                let own = Ids::read(&fields)?;
                let other = Ids::read(related)?;
                match related.get("is_target").and_then(Value::as_bool) {
                    Some(true) => Scope::Relationship { source: own, target: other },
                    Some(false) => Scope::Relationship { source: other, target: own },
                    None => {
                        let reason = "it is neither true nor false";
                        return Err(InvalidContext { field: "related.is_target", reason });
                    }
                }
            }
            Some(_) => {
                return Err(InvalidContext { field: "related", reason: "it is not an object" });
            }
            None if fields.get("node_id").is_some_and(|id| !id.is_null()) => {
                Scope::Instance(Ids::read(&fields)?)
            }
            None => Scope::Deployment,
        };
        Ok(Self { fields, scope })
    }

    /// Returns a field as it is, and null where there is none.
    pub fn get(&self, field: &str) -> Value {
        self.fields.get(field).cloned().unwrap_or_default()
    }

    pub(crate) fn find(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    /// Returns a field of an object in it, and null where there is none.
    pub(crate) fn inner(&self, field: &str, inner: &str) -> Value {
        self.fields.get(field).and_then(|field| field.get(inner)).cloned().unwrap_or_default()
    }

    /// Returns a field that is text.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// Returns the node instances that the operation may change, its source first.
    pub(crate) fn subjects(&self) -> Vec<&Ids> {
        match &self.scope {
            Scope::Deployment => Vec::new(),
            Scope::Instance(own) => vec![own],
            Scope::Relationship { source, target } => vec![source, target],
        }
    }
}

// === impl Scope ===

impl Scope {
    /// Returns Cloudify's word for it (`cloudify/constants.py`).
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Instance(_) => "node-instance",
            Self::Relationship { .. } => "relationship-instance",
        }
    }
}

// === impl Ids ===

impl Ids {
    fn read(fields: &Map<String, Value>) -> Result<Self, InvalidContext> {
        let text = |field: &'static str| {
            let found = fields.get(field).and_then(Value::as_str);
            found.map(str::to_owned).ok_or(InvalidContext { field, reason: "it is not a string" })
        };
        Ok(Self { node: text("node_name")?, instance: text("node_id")? })
    }
}

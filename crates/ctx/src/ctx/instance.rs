//! A node instance, its runtime properties and whether they were changed.

use serde_json::{Map, Value};

use crate::call::Update;

/// A node instance as it was read, and what was changed since (`DirtyTrackingDict`,
/// `cloudify/manager.py`).
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// As the REST API shows it, without the runtime properties.
    fields: Map<String, Value>,
    pub(super) runtime_properties: Map<String, Value>,
    dirty: bool,
}

// === impl Instance ===

impl Instance {
    /// Reads a node instance as the REST API shows it. `None` means that it is none.
    pub(super) fn read(instance: Value) -> Option<Self> {
        let Value::Object(mut fields) = instance else { return None };
        fields.get("id")?.as_str()?;
        let runtime_properties = match fields.remove("runtime_properties") {
            Some(Value::Object(properties)) => properties,
            Some(Value::Null) | None => Map::new(),
            Some(_) => return None,
        };
        Some(Self { fields, runtime_properties, dirty: false })
    }

    pub(super) fn id(&self) -> &str {
        self.fields.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn field(&self, name: &str) -> Value {
        self.fields.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub(super) fn touch(&mut self) {
        self.dirty = true;
    }

    pub(super) fn update(&self) -> Update {
        Update {
            instance: self.id().to_owned(),
            version: self.fields.get("version").and_then(Value::as_i64).unwrap_or_default(),
            runtime_properties: self.runtime_properties.clone(),
            state: self.fields.get("state").and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// Returns the ids of the node instances that this one has relationships to, in order.
    pub(super) fn targets(&self) -> Vec<String> {
        let relationships = self.fields.get("relationships").and_then(Value::as_array);
        let ids =
            relationships.into_iter().flatten().filter_map(|at| at.get("target_id")?.as_str());
        ids.map(str::to_owned).collect()
    }

    /// Returns its scaling groups' names by their ids.
    pub(super) fn scaling_groups(&self) -> Map<String, Value> {
        let groups = self.fields.get("scaling_groups").and_then(Value::as_array);
        let named = groups.into_iter().flatten();
        named
            .filter_map(|group| {
                Some((group.get("id")?.as_str()?.to_owned(), group.get("name")?.clone()))
            })
            .collect()
    }

    pub(super) fn to_json(&self) -> Map<String, Value> {
        let mut instance = self.fields.clone();
        instance.insert("runtime_properties".into(), self.runtime_properties.clone().into());
        instance
    }
}

//! What workflows write down with instances: status and drift (`system_properties`).

use serde_json::{Map, Value, json};

use super::{Execution, Turn};
use crate::{
    Effect, TaskState,
    graph::{Drift, Handler, TaskIx},
    world::InstanceIx,
};

// === impl Execution ===

impl Execution {
    /// Writes down how an operation ended, where its workflow wants that.
    pub(super) fn note(&mut self, task: TaskIx, turn: &mut Turn) {
        let call = self.call(task);
        let instance = call.instance;
        let outcome = json!({
            "ok": call.state == TaskState::Succeeded,
            "timestamp": call.since.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
            "task": call.mapping,
            "result": call.result,
        });
        match call.handler {
            Handler::Plain | Handler::Ignore | Handler::HostState => {}
            Handler::Status { .. } => {
                let previous = self.property(instance, "status");
                let properties = [("previous_status", previous), ("status", outcome)];
                self.set_properties(instance, properties, turn);
            }
            Handler::Drift { about: Drift::Instance, .. } => {
                self.set_properties(instance, [("configuration_drift", outcome)], turn);
            }
            Handler::Drift { about: Drift::Source { target }, .. } => {
                const NAME: &str = "source_relationships_configuration_drift";
                self.note_relationship(instance, NAME, target, outcome, turn);
            }
            Handler::Drift { about: Drift::Target { source }, .. } => {
                const NAME: &str = "target_relationships_configuration_drift";
                self.note_relationship(instance, NAME, source, outcome, turn);
            }
        }
    }

    /// An instance that was healed counts as well until it is looked at again.
    pub(super) fn note_healed(&mut self, instance: InstanceIx, turn: &mut Turn) {
        let mut status = match self.property(instance, "status") {
            Value::Object(status) => status,
            _ => Map::new(),
        };
        status.insert("ok".to_owned(), Value::Bool(true));
        status.insert("task".to_owned(), Value::Null);
        status.insert("healed".to_owned(), Value::Bool(true));
        self.set_properties(instance, [("status", Value::Object(status))], turn);
    }

    /// Updating is taken to undo all drift of an instance.
    pub(super) fn note_updated(&mut self, instance: InstanceIx, turn: &mut Turn) {
        self.set_properties(instance, [("configuration_drift", Value::Null)], turn);
    }

    fn note_relationship(
        &mut self,
        instance: InstanceIx,
        name: &'static str,
        other: InstanceIx,
        outcome: Value,
        turn: &mut Turn,
    ) {
        let mut drifts = match self.property(instance, name) {
            Value::Object(drifts) => drifts,
            _ => Map::new(),
        };
        drifts.insert(self.world.instance(other).id.clone(), outcome);
        self.set_properties(instance, [(name, Value::Object(drifts))], turn);
    }

    fn property(&self, instance: InstanceIx, name: &str) -> Value {
        self.world.instance(instance).system_properties.get(name).cloned().unwrap_or_default()
    }

    fn set_properties<const N: usize>(
        &mut self,
        instance: InstanceIx,
        properties: [(&str, Value); N],
        turn: &mut Turn,
    ) {
        let changed: Map<String, Value> =
            properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let instance = self.world.instance_mut(instance);
        instance.system_properties.extend(changed.clone());
        let instance = instance.id.clone();
        turn.effects.push(Effect::SetSystemProperties { instance, properties: changed });
    }
}

//! What command lines have changed, as JSON, so that an agent that is started anew goes on with it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Ctx,
    instance::Instance,
    verdict::{Retry, Returned},
};

// === impl Ctx ===

impl Ctx {
    /// Returns what command lines have changed: node instances that the operation's end has to
    /// store, and what the script said about that end. [`Ctx::restore`] takes it.
    pub fn snapshot(&self) -> Value {
        let changed = self.instances.values().filter(|instance| instance.is_dirty());
        let instances: Vec<_> = changed.map(|instance| Value::Object(instance.to_json())).collect();
        json!({
            "instances": instances,
            "returned": self.returned.to_json(),
            "retry": self.retry.as_ref().map(Retry::to_json),
        })
    }

    /// Goes on from a snapshot. What is no snapshot changes nothing.
    pub fn restore(&mut self, mut snapshot: Value) {
        if !snapshot.is_object() {
            return;
        }
        if let Value::Array(instances) = snapshot["instances"].take() {
            for mut instance in instances.into_iter().filter_map(Instance::read) {
                instance.touch();
                self.instances.insert(instance.id().to_owned(), instance);
            }
        }
        if let Some(returned) = Returned::read(snapshot["returned"].take()) {
            self.returned = returned;
        }
        self.retry = Retry::read(&snapshot["retry"]).or(self.retry.take());
    }
}

// === impl Returned ===

impl Returned {
    fn to_json(&self) -> Value {
        match self {
            Self::Nothing => json!({"is": "nothing"}),
            Self::Value(value) => json!({"is": "value", "value": value}),
            Self::Abort(message) => json!({"is": "abort", "value": message}),
            Self::Retry => json!({"is": "retry"}),
            Self::Misused => json!({"is": "misused"}),
        }
    }

    fn read(mut json: Value) -> Option<Self> {
        let value = json.as_object_mut().and_then(|json: &mut Map<_, _>| json.remove("value"));
        Some(match json["is"].as_str()? {
            "nothing" => Self::Nothing,
            "value" => Self::Value(value?),
            "abort" => Self::Abort(value?.as_str()?.to_owned()),
            "retry" => Self::Retry,
            "misused" => Self::Misused,
            _ => return None,
        })
    }
}

// === impl Retry ===

impl Retry {
    fn to_json(&self) -> Value {
        json!({
            "message": self.message,
            "retry_after": self.retry_after.map(|after| after.as_secs_f64()),
        })
    }

    fn read(json: &Value) -> Option<Self> {
        let message = json["message"].as_str()?.to_owned();
        let seconds = json["retry_after"].as_f64();
        let retry_after = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Some(Self { message, retry_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctx::Outcome;

    fn ctx() -> Ctx {
        let mut ctx = Ctx::new(json!({"node_id": "vm_1", "node_name": "vm"})).unwrap();
        ctx.offer_instance(json!({"id": "vm_1", "version": 3, "runtime_properties": {"a": 1}}));
        ctx
    }

    fn say(ctx: &mut Ctx, args: &[&str]) {
        let args: Vec<_> = args.iter().map(|arg| Value::from(*arg)).collect();
        assert!(matches!(ctx.evaluate(&args), Outcome::Reply(_)), "{args:?}");
    }

    #[test]
    fn what_was_changed_and_said_is_there_again() {
        let mut before = ctx();
        say(&mut before, &["instance", "runtime-properties", "b", "two"]);
        say(&mut before, &["returns", "done"]);
        let mut after = Ctx::new(json!({"node_id": "vm_1", "node_name": "vm"})).unwrap();
        after.restore(before.snapshot());
        assert_eq!(after.pending_updates(), before.pending_updates());
        assert_eq!(after.pending_updates()[0].version, 3);
        assert_eq!(after.verdict(true), before.verdict(true));
    }

    #[test]
    fn an_end_of_each_kind_is_there_again() {
        for args in [
            &["abort-operation", "no"] as &[&str],
            &["retry-operation", "later", "retry_after", "5"],
            &["returns", "1"],
            &[],
        ] {
            let mut before = ctx();
            if !args.is_empty() {
                say(&mut before, args);
            }
            let mut after = ctx();
            after.restore(before.snapshot());
            assert_eq!(after.verdict(true), before.verdict(true), "{args:?}");
            assert_eq!(after.snapshot(), before.snapshot(), "{args:?}");
        }
    }

    #[test]
    fn what_is_no_snapshot_changes_nothing() {
        for json in [Value::Null, json!({"instances": [1, {}], "returned": {"is": "x"}})] {
            let mut restored = ctx();
            restored.restore(json);
            assert_eq!(restored.snapshot(), ctx().snapshot());
        }
    }
}

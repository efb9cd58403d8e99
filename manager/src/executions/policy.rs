//! How long an operation may wait, say nothing, or go on without a link: what Cloudify has no field
//! for, given as the operation's input `waggoner_policy`.

use std::time::Duration;

use serde_json::{Map, Value};
use waggoner_types::OperationError;

/// The time-outs of an operation beside Cloudify's own; absent means without end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// How long it may wait for a slot on its agent.
    pub(crate) queued: Option<Duration>,
    /// How long it may say nothing.
    pub(crate) idle: Option<Duration>,
    /// How long it goes on while its agent has no link.
    pub(crate) unlinked: Option<Duration>,
}

/// The input that is not the plugin's.
const INPUT: &str = "waggoner_policy";

// === impl Policy ===

impl Policy {
    /// Takes the policy out of an operation's inputs.
    pub(crate) fn take(inputs: &mut Map<String, Value>) -> Result<Self, OperationError> {
        let mut policy = Self::default();
        let refuse = |why: String| {
            Err(OperationError::non_recoverable(format!(
                "the operation's input `{INPUT}` cannot be taken: {why}; it is a dictionary of \
                 queue_timeout, idle_timeout and unlinked_timeout, in seconds"
            )))
        };
        let given = match inputs.remove(INPUT) {
            None | Some(Value::Null) => return Ok(policy),
            Some(Value::Object(given)) => given,
            Some(other) => return refuse(format!("`{other}` is no dictionary")),
        };
        for (name, value) in given {
            let field = match name.as_str() {
                "queue_timeout" => &mut policy.queued,
                "idle_timeout" => &mut policy.idle,
                "unlinked_timeout" => &mut policy.unlinked,
                _ => return refuse(format!("there is no `{name}`")),
            };
            let seconds = value.as_f64().filter(|seconds| *seconds > 0.0);
            let Some(duration) = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok()) else {
                return refuse(format!("`{name}` is `{value}`, not a number of seconds above 0"));
            };
            *field = Some(duration);
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn take(policy: Value) -> (Result<Policy, OperationError>, Map<String, Value>) {
        let mut inputs = Map::from_iter([("a".to_owned(), json!(1)), (INPUT.to_owned(), policy)]);
        (Policy::take(&mut inputs), inputs)
    }

    #[test]
    fn a_policy_is_taken_out_of_the_inputs() {
        let (policy, inputs) = take(json!({"idle_timeout": 1.5, "queue_timeout": 60}));
        let policy = policy.unwrap();
        assert_eq!(policy.idle, Some(Duration::from_millis(1500)));
        assert_eq!(policy.queued, Some(Duration::from_mins(1)));
        assert_eq!(policy.unlinked, None);
        assert_eq!(Value::Object(inputs), json!({"a": 1}), "the plugin does not see it");
    }

    #[test]
    fn what_cannot_be_taken_is_named() {
        for (policy, why) in [
            (json!("never"), "`\"never\"` is no dictionary"),
            (json!({"idle": 1}), "there is no `idle`"),
            (json!({"idle_timeout": -1}), "`idle_timeout` is `-1`, not a number of seconds"),
            (json!({"idle_timeout": "1"}), "`idle_timeout` is `\"1\"`, not a number of seconds"),
            (json!({"idle_timeout": 1e300}), "not a number of seconds"),
        ] {
            let error = take(policy).0.unwrap_err();
            assert!(error.message.contains(why), "{}", error.message);
        }
    }
}

//! Labels, as things show them and take them, and `/labels` (`rest/resources_v3_1/labels.py`).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use waggoner_store::label::{Label, Labelled};

use crate::executions::{
    answers::Unanswered,
    rest::{
        blueprints,
        deployments::Seen,
        list::list,
        reply::{Answered, time},
        request::Call,
    },
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, call.path) {
        // Nothing has a label whose key has a meaning of its own.
        ("GET", [_]) if call.query.is("_reserved") => list(call.query, Vec::new()),
        ("GET", [resource]) => {
            let labels = labels(call, resource).await?;
            let keys: BTreeSet<String> = labels.into_iter().map(|label| label.key).collect();
            list(call.query, keys.into_iter().map(Value::from).collect())
        }
        ("GET", [resource, key]) => {
            let labels = labels(call, resource).await?;
            let values = labels.into_iter().filter(|label| label.key == *key);
            let values: BTreeSet<String> = values.map(|label| label.value).collect();
            list(call.query, values.into_iter().map(Value::from).collect())
        }
        _ => call.unknown("labels"),
    }
}

async fn labels(call: &Call<'_>, resource: &str) -> Result<Vec<Label>, Unanswered> {
    let things: Vec<Labelled> = match resource {
        "deployments" => {
            let reachable = Seen::reachable(call).await?;
            reachable.into_iter().map(|row| Labelled::Deployment(row.id)).collect()
        }
        "blueprints" => {
            let reachable = blueprints::reachable(call).await?;
            reachable.into_iter().map(|row| Labelled::Blueprint(row.id)).collect()
        }
        _ => return call.unknown("labels"),
    };
    let mut labels = Vec::new();
    for thing in things {
        labels.extend(call.home().store.labels(call.tenant(), thing).await?);
    }
    Ok(labels)
}

/// The labels of a thing as it shows them.
pub(super) fn shown(labels: &[Label]) -> Value {
    let one = |label: &Label| {
        json!({
            "key": label.key,
            "value": label.value,
            "created_at": time(label.created_at),
            "created_by": "admin",
        })
    };
    labels.iter().map(one).collect()
}

/// Reads labels as clients send them: objects of one key with its value or values, or of `key` and
/// `value`.
pub(super) fn read(given: &Value) -> Result<Vec<(String, String)>, Unanswered> {
    let wrong = || Unanswered::invalid("labels are a list of objects of a key and its value");
    let mut labels = Vec::new();
    for label in given.as_array().ok_or_else(wrong)? {
        let label = label.as_object().ok_or_else(wrong)?;
        let (key, values) = match (label.get("key"), label.get("value")) {
            (Some(Value::String(key)), Some(value)) => (key, value),
            _ => match label.iter().next() {
                Some(pair) if label.len() == 1 => pair,
                _ => return Err(wrong()),
            },
        };
        let values = match values {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            let value = value.as_str().ok_or_else(wrong)?;
            labels.push((key.to_lowercase(), value.to_owned()));
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_in_each_way_that_clients_write_them() {
        let given = json!([{"Env": "test"}, {"tier": ["1", "2"]}, {"key": "a", "value": "b"}]);
        let pairs = read(&given).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        assert_eq!(pairs, [("env", "test"), ("tier", "1"), ("tier", "2"), ("a", "b")]);
        for wrong in [json!({"a": "b"}), json!([{"a": 1}]), json!([{"a": "b", "c": "d"}])] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}

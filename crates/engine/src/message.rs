//! Sentences of events, in Cloudify's words (`cloudify/workflows/events.py`).

use serde_json::Value;
use waggoner_types::OperationError;

use crate::{Cause, Failure};

/// What an event about an attempt says in the end: ` (dry run)`, ` [retry 1/60]`.
pub(crate) fn retry(retry_number: u32, total_retries: i64) -> String {
    match (retry_number, total_retries) {
        (0, _) => String::new(),
        (number, ..0) => format!(" [retry {number}]"),
        (number, total) => format!(" [retry {number}/{total}]"),
    }
}

/// A result as it stands behind `Task succeeded 'x'`; Python would show it as `str` does.
pub(crate) fn result(result: &Value) -> String {
    match result {
        Value::Null => String::new(),
        Value::String(text) => format!(" - {text}"),
        other => format!(" - {}", python(other)),
    }
}

/// A value as Python shows it: people know their events in these words.
pub(crate) fn python(value: &Value) -> String {
    let join = |items: Vec<String>| items.join(", ");
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", join(items.iter().map(python).collect())),
        Value::Object(map) => {
            let item =
                |(name, item): (&String, &Value)| format!("{}: {}", quoted(name), python(item));
            format!("{{{}}}", join(map.iter().map(item).collect()))
        }
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut shown = String::from(quote);
    for letter in text.chars() {
        match letter {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if letter == quote => shown.extend(['\\', letter]),
            _ if letter.is_control() => {
                shown.extend(format!("\\x{:02x}", u32::from(letter)).chars());
            }
            _ => shown.push(letter),
        }
    }
    shown.push(quote);
    shown
}

/// The error of a failed phase, from the tasks that failed: what each was, and why.
pub(crate) fn failed(errors: &[(String, Failure)]) -> String {
    let text = match errors {
        [(task, failure)] => format!("Task failed: {task}: {}", failure.causes),
        errors => {
            let lines: Vec<String> = errors
                .iter()
                .map(|(task, failure)| format!("{task}: {}", failure.causes))
                .collect();
            format!("{} operation errors:\n{}", errors.len(), lines.join("\n"))
        }
    };
    match errors.first() {
        Some((task, failure)) if !failure.traceback.is_empty() => {
            let traceback = &failure.traceback;
            format!("{text}\nTraceback of {task} (most recent call last):\n{traceback}")
        }
        _ => text,
    }
}

pub(crate) fn causes(error: &OperationError) -> Vec<Cause> {
    let read = |cause: &Value| {
        let text = |key: &str| cause.get(key).and_then(Value::as_str).unwrap_or_default();
        Cause {
            exception_type: text("type").to_owned(),
            message: text("message").to_owned(),
            traceback: text("traceback").to_owned(),
        }
    };
    error.causes.iter().map(read).collect()
}

pub(crate) fn failure(error: &OperationError) -> Failure {
    let causes = causes(error);
    let line = |kind: &str, message: &str| format!("{kind} `{message}`");
    if causes.is_empty() {
        return Failure {
            causes: line(&error.exception_type, &error.message),
            traceback: without_header(&error.traceback),
        };
    }
    let lines: Vec<String> =
        causes.iter().map(|cause| line(&cause.exception_type, &cause.message)).collect();
    let tracebacks: Vec<String> = causes
        .iter()
        .map(|cause| without_header(&cause.traceback))
        .filter(|traceback| !traceback.is_empty())
        .collect();
    Failure { causes: lines.join("\n"), traceback: tracebacks.join("\n") }
}

/// A traceback without `Traceback (most recent call last):`, which is said once for all.
fn without_header(traceback: &str) -> String {
    traceback.trim().split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

/// What Python takes for true.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn values_are_shown_as_python_shows_them() {
        for (value, shown) in [
            (
                json!({"a": [1, null, true], "b": {"c": "d"}}),
                "{'a': [1, None, True], 'b': {'c': 'd'}}",
            ),
            (json!("it's"), "\"it's\""),
            (json!("it's \"it\""), "'it\\'s \"it\"'"),
            (json!("a\\b\n\u{1}"), "'a\\\\b\\n\\x01'"),
            (json!(1.5), "1.5"),
        ] {
            assert_eq!(super::python(&value), shown);
        }
    }
}

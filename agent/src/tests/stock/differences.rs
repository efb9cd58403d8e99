//! Where ours differs from the stock package, and why; and what is no difference.

use serde_json::Value;

/// Case, the parts in which it differs, and the reason.
const DIFFERENCES: &[(&str, &[&str], &str)] = &[
    ("odd_levels", &["records"], "a record has one of the five levels: others become info"),
    ("threads", &["records"], "the stock client has no token in a thread: its lines are lost"),
    ("a_thread_that_outlives_the_operation", &["records"], "the same"),
    ("unspeakable_error", &["error"], "the message says what went wrong as well"),
    ("returns_an_object", &["error"], "the message says what went wrong as well"),
    ("returns_bytes", &["error"], "the message says what went wrong as well"),
    ("returns_a_set", &["error"], "the message says what went wrong as well"),
    ("returns_itself", &["error"], "the message says what went wrong as well"),
    ("returns_a_fraction", &["error", "result"], "JSON has no infinity (RFC 8259, section 6)"),
    ("returns_a_number", &["result"], "whole numbers of more than 64 bits become fractions"),
    ("retry_with_text_for_seconds", &["error"], "seconds may be text, as scripts give them"),
    ("hard_exit_well", &["error"], "who leaves without a result is not tried again, and told so"),
    ("script_returns_json", &["error", "records"], "a refusal is one line, not a traceback"),
    ("script_returns_twice", &["records"], "a refusal is one line, not a traceback"),
    ("script_calls_badly", &["records"], "a refusal is one line, not a traceback"),
    ("script_gets_resources", &["records"], "the stock proxy cannot send a resource's bytes"),
    ("script_with_an_unknown_proxy", &["error"], "the message names the input"),
    ("script_that_is_missing", &["error"], "the message says what was attempted"),
    ("script_not_logged", &["error"], "the stock runner reads from a pipe that it has not made"),
];

/// Returns the parts in which a case differs, and why.
pub(super) fn reason(case: &str) -> Option<(&'static [&'static str], &'static str)> {
    let listed = DIFFERENCES.iter().find(|(name, ..)| *name == case);
    listed.map(|(_, fields, reason)| (*fields, *reason))
}

/// Tells where two values differ.
pub(super) fn show(path: &str, stock: &Value, ours: &Value, lines: &mut Vec<String>) {
    match (stock, ours) {
        (Value::Object(one), Value::Object(other)) => {
            let mut keys: Vec<_> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                show(&format!("{path}.{key}"), &stock[key], &ours[key], lines);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                show(&format!("{path}[{at}]"), one, other, lines);
            }
        }
        _ if stock == ours => {}
        _ => lines.push(format!("{path}\n    stock {stock:.2000}\n    ours  {ours:.2000}")),
    }
}

/// Says whether a record is one in which the stock script runner tells of its own threads.
pub(super) fn is_of_the_runner(record: &Value) -> bool {
    let text = record[3].as_str().unwrap_or_default();
    let told =
        ["log_stdout=", "Started consumer", "Joining consumer", "Consumer thread", "Context proxy"];
    record[1] == "debug" && told.iter().any(|begin| text.starts_with(begin))
}

/// Says by which way a record came: the output of a script comes by its own.
pub(super) fn stream(record: &Value) -> u8 {
    let text = record[3].as_str().unwrap_or_default();
    ["Process created", "<out>", "<err>"]
        .iter()
        .position(|begin| text.starts_with(begin))
        .map_or(3, |at| at.try_into().expect("there are three"))
}

/// Takes out of texts what is by chance: folders, addresses in memory, process ids.
pub(super) fn plain(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain_text(&text)),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        // A number of Python's is the same with and without a point.
        other => other,
    }
}

fn plain_text(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let word = without_folders(word);
        match word.find("0x") {
            Some(at) => word[..at].to_owned(),
            None if word.starts_with("(PID=") => "(PID=,".to_owned(),
            None => word,
        }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    match text.strip_prefix("Process created, PID: ") {
        Some(_) => "Process created, PID: ".to_owned(),
        None => text,
    }
}

/// Leaves of an absolute path below a temporary folder its last part.
fn without_folders(word: &str) -> String {
    let Some(at) = word.find("/tmp") else { return word.to_owned() };
    let end = word[at..].find(['\'', '"', ',', '\n', ')']).map_or(word.len(), |end| at + end);
    let name = word[at..end].rsplit('/').next().unwrap_or_default();
    format!(
        "{}…/{name}{}",
        word[..at].trim_end_matches(|c: char| !"'\"(=".contains(c)),
        &word[end..]
    )
}

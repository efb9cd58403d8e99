//! When two plans are the same.

use serde_json::Value as Json;

/// Lists that stand for sets.
const SETS: [&str; 2] = ["members", "secrets"];

/// Compares two plans, and tells the first difference.
pub(crate) fn plans(ours: &Json, theirs: &Json) -> Result<(), String> {
    match difference("", ours, theirs) {
        None => Ok(()),
        Some(difference) => Err(difference),
    }
}

fn difference(path: &str, ours: &Json, theirs: &Json) -> Option<String> {
    let tell = || Some(format!("{path}: ours {ours}, theirs {theirs}"));
    match (ours, theirs) {
        (Json::Object(one), Json::Object(two)) => {
            let missing = two.keys().find(|key| !one.contains_key(*key));
            if let Some(key) = missing {
                return Some(format!("{path}.{key} is missing, theirs {}", two[key]));
            }
            let more = one.keys().find(|key| !two.contains_key(*key));
            if let Some(key) = more {
                return Some(format!("{path}.{key} is too much: {}", one[key]));
            }
            one.iter().find_map(|(key, value)| difference(&format!("{path}.{key}"), value, &two[key]))
        }
        (Json::Array(one), Json::Array(two)) => {
            if one.len() != two.len() {
                return tell();
            }
            if SETS.iter().any(|set| path.ends_with(set)) {
                let sorted = |items: &[Json]| {
                    let mut texts: Vec<_> = items.iter().map(ToString::to_string).collect();
                    texts.sort();
                    texts
                };
                return if sorted(one) == sorted(two) { None } else { tell() };
            }
            let pairs = one.iter().zip(two).enumerate();
            pairs.into_iter().find_map(|(at, (one, two))| difference(&format!("{path}[{at}]"), one, two))
        }
        _ if ours == theirs => None,
        _ => tell(),
    }
}

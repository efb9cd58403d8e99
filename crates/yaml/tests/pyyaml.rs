//! Every row of `pyyaml.jsonl` reads as PyYAML 6 reads it. The rows were recorded from
//! `yaml.safe_load`; floats that JSON lacks and timestamps are text, an empty text is a map.

use serde_json::Value as Json;
use waggoner_yaml::{Budget, parse};

#[test]
fn every_row_reads_as_pyyaml_reads_it() {
    let mut wrong = vec![];
    for row in include_str!("pyyaml.jsonl").lines() {
        let row: Json = serde_json::from_str(row).unwrap();
        let text = row["yaml"].as_str().unwrap();
        let read = parse(text, Budget::default());
        let agrees = match (&read, row.get("json")) {
            (Ok(node), Some(expected)) => same(&node.to_json(), expected),
            (Err(_), None) => true,
            _ => false,
        };
        if !agrees {
            let read = read.map(|node| node.to_json().to_string()).map_err(|e| e.message);
            wrong.push(format!("{text:?}: {read:?}, PyYAML: {row}"));
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Numbers are compared by value: Python writes `1e+20`, we `1e20`.
fn same(one: &Json, two: &Json) -> bool {
    match (one, two) {
        (Json::Array(one), Json::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Json::Object(one), Json::Object(two)) => {
            one.keys().eq(two.keys()) && one.values().zip(two.values()).all(|(a, b)| same(a, b))
        }
        (Json::Number(one), Json::Number(two)) => {
            one.is_f64() == two.is_f64() && one.as_f64() == two.as_f64()
        }
        _ => one == two,
    }
}

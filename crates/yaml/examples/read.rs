//! Answers one JSON string of YAML a line with its JSON, for comparison with another reader.

use std::io::{BufRead, Write};

use serde_json::json;
use waggoner_yaml::{Budget, parse};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?)?;
        let answer = match parse(&text, Budget::default()) {
            Ok(node) => json!({ "json": node.to_json() }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

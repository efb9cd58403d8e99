//! What is mutated: whole blueprints with what they import.

use anyhow::Result;
use camino::Utf8Path;
use fs_err as fs;
use serde_json::{Map, Value};

use super::lines;

/// A blueprint with what it imports, by location.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    pub(super) text: String,
    pub(super) imports: Map<String, Value>,
}

/// Every section and function once.
const OURS: &str = include_str!("seed.yaml");

/// Reads the recorded cases, where they are there, and what the project has itself.
pub(super) fn read(root: &Utf8Path) -> Result<Vec<Seed>> {
    let alone = |text: String| Seed { text, imports: Map::new() };
    let mut seeds = vec![alone(OURS.to_owned())];
    for path in [
        "examples/web-server/blueprint.yaml",
        "crates/blueprint/src/types/types_1_3.yaml",
        "crates/blueprint/src/types/types.yaml",
    ] {
        seeds.push(alone(fs::read_to_string(root.join(path))?));
    }
    let folder = std::env::var("WAGGONER_CONFORMANCE");
    let folder =
        folder.map_or_else(|_| root.join("../shared/conformance"), camino::Utf8PathBuf::from);
    for case in lines(folder.join("dsl-cases.jsonl")) {
        let Some(text) = case["dsl"].as_str() else { continue };
        let imports = case["imports"].as_object().cloned().unwrap_or_default();
        seeds.push(Seed { text: text.to_owned(), imports });
    }
    for line in lines(root.join("crates/yaml/tests/pyyaml.jsonl")) {
        if let Some(text) = line["text"].as_str().or_else(|| line["yaml"].as_str()) {
            seeds.push(alone(text.to_owned()));
        }
    }
    Ok(seeds)
}

//! A node that stands alone: its type from a plugin's directory, its properties checked and filled
//! in as in a blueprint.

use camino::Utf8Path;
use serde_json::{Map, Value, json};
use waggoner_blueprint::{Blueprint, Options, parse};

use super::{
    Library, Source, SourceError,
    plugins::manifests,
    resolver::{Local, Missing},
};

/// The version of the language in which it is read: the newest, which has all the others have.
const DSL: &str = "cloudify_dsl_1_5";

/// A node that is not in any blueprint.
#[derive(Clone, Debug)]
pub(crate) struct NodeSketch<'a> {
    pub name: &'a str,
    pub node_type: &'a str,
    pub properties: &'a Map<String, Value>,
}

/// Returns the node as a plan has it.
pub(crate) fn sketch(directory: &Utf8Path, node: &NodeSketch<'_>) -> Result<Value, SourceError> {
    let NodeSketch { name, node_type, properties } = node;
    let mut imports = vec!["cloudify/types/types.yaml".to_owned()];
    let yamls = manifests(directory)?;
    // Of several, each for a version of the language, the last one is for the newest.
    imports.extend(yamls.last().and_then(|path| path.file_name()).map(str::to_owned));
    let text = json!({
        "tosca_definitions_version": DSL,
        "imports": imports,
        "node_templates": { *name: { "type": node_type, "properties": properties } },
    });
    let source = Source { directory: directory.to_owned(), main_file: String::new() };
    let library = Library::default();
    let resolver = Local::new(&source, &library, Missing::IsRefused);
    let text = text.to_string();
    let blueprint = Blueprint { text: &text, location: "the node" };
    let plan = parse(blueprint, &resolver, &Options::default())
        .map_err(|found| SourceError::Node(found.0))?;
    Ok(plan.into_json()["nodes"][0].take())
}

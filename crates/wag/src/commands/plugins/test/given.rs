//! What was typed, read: the operation, and the world that it is to see.

use std::{collections::BTreeSet, io};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Map, Value, json};

use super::INTERFACE;
use crate::{
    Error,
    cli::Test,
    inputs::mixed,
    source::{NodeSketch, SourceError, check_function, sketch},
    trial::{Subject, World},
};

/// What is to be run.
#[derive(Debug)]
pub(super) struct Given {
    /// The function: package.module.function.
    pub function: String,
    /// What the operation is called in its interface.
    pub operation_name: String,
    pub inputs: Map<String, Value>,
    pub world: World,
}

/// The function that runs scripts.
pub(super) const SCRIPT: &str = "script_runner.tasks.run";

/// What a state file says, under these names as in the output.
const OWN: &str = "runtime_properties";
const TARGET: &str = "target_runtime_properties";

// === impl Given ===

impl Given {
    pub(super) fn read(test: &Test, directory: &Utf8Path) -> Result<Self, Error> {
        let mut inputs = mixed(&test.inputs)?;
        let mut function = test.operation.clone();
        let mut operation_name = test.operation_name.clone();
        let mut own = Subject {
            properties: mixed(&test.properties)?,
            runtime_properties: mixed(&test.runtime_properties)?,
            node: Map::new(),
        };
        if let Some(node_type) = &test.node_type {
            let node = NodeSketch { name: "node", node_type, properties: &own.properties };
            let Value::Object(mut node) = sketch(directory, &node)? else { unreachable!() };
            if let Some(Value::Object(properties)) = node.remove("properties") {
                own.properties = properties;
            }
            if let Some((name, declared)) = declared(&node["operations"], &test.operation) {
                declared["operation"].as_str().unwrap_or_default().clone_into(&mut function);
                operation_name = operation_name.or_else(|| Some(name.clone()));
                let mut all = declared["inputs"].as_object().cloned().unwrap_or_default();
                all.append(&mut inputs);
                inputs = all;
            } else if !test.operation.contains(['.', '/']) {
                let there = named(&node["operations"]);
                let operation = &test.operation;
                let why = format!("the type `{node_type}` has no `{operation}`: it has {there}");
                return Err(SourceError::Function(why).into());
            }
            own.node = node;
        }
        let mut last = test.operation.rsplit('.').next().unwrap_or_default();
        // As a blueprint may say it: a script's path, or its runner with the plugin that it is of.
        let resources = test.resources.as_deref().unwrap_or(directory);
        if function.contains('/') && resources.join(&function).is_file() {
            last = Utf8Path::new(&test.operation).file_stem().unwrap_or_default();
            inputs.insert("script_path".to_owned(), Value::String(function.clone()));
            SCRIPT.clone_into(&mut function);
        } else if function.strip_prefix("script.") == Some(SCRIPT) {
            SCRIPT.clone_into(&mut function);
        }
        check_function(directory, &function)?;
        let operation_name = operation_name.unwrap_or_else(|| format!("{INTERFACE}.{last}"));

        let is_related = [&test.target_properties, &test.target_runtime_properties];
        let mut target = if is_related.iter().any(|given| !given.is_empty()) {
            Some(Subject {
                properties: mixed(&test.target_properties)?,
                runtime_properties: mixed(&test.target_runtime_properties)?,
                node: Map::new(),
            })
        } else {
            None
        };
        if let Some(state) = &test.state {
            let kept = read_state(state)?;
            let put = |name: &str, subject: &mut Subject| {
                if let Some(Value::Object(properties)) = kept.get(name) {
                    let given =
                        std::mem::replace(&mut subject.runtime_properties, properties.clone());
                    subject.runtime_properties.extend(given);
                }
            };
            put(OWN, &mut own);
            if let Some(target) = &mut target {
                put(TARGET, target);
            }
        }
        // The scripts of a plugin's types lie beside its plugin.yaml.
        let resources = (function == SCRIPT || test.resources.is_some()).then_some(resources);
        let resources = resources.map(Utf8Path::to_owned);
        let world = World::new(&own, target.as_ref(), mixed(&test.secrets)?, resources);
        Ok(Self { function, operation_name, inputs, world })
    }

    /// Writes the runtime properties where the next run finds them.
    pub(super) fn keep_state(&self, path: Option<&Utf8Path>) -> Result<(), Error> {
        let Some(path) = path else { return Ok(()) };
        let (own, target) = self.world.runtime_properties();
        let mut state = json!({ OWN: own });
        if let Some(target) = target {
            state[TARGET] = target;
        }
        fs_err::write(path, format!("{state:#}\n"))
            .map_err(|source| Error::Write { path: path.to_owned(), source })
    }
}

/// Finds the operation of a type by its name, with its interface or without. One that does nothing
/// is none.
fn declared<'o>(operations: &'o Value, name: &str) -> Option<(&'o String, &'o Value)> {
    let does = |operation: &Value| operation["operation"].as_str().is_some_and(|it| !it.is_empty());
    let mut all = operations.as_object()?.iter().filter(|(_, operation)| does(operation));
    all.find(|(whole, _)| *whole == name || whole.rsplit('.').next() == Some(name))
}

/// The operations of a type that do something, by their short names.
fn named(operations: &Value) -> String {
    let does = |operation: &Value| operation["operation"].as_str().is_some_and(|it| !it.is_empty());
    let all = operations.as_object().into_iter().flatten().filter(|(_, operation)| does(operation));
    let names: BTreeSet<_> = all.filter_map(|(name, _)| name.rsplit('.').next()).collect();
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn read_state(path: &Utf8PathBuf) -> Result<Map<String, Value>, Error> {
    match fs_err::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
        // JSON is YAML.
        _ => Ok(mixed(&[path.to_string()])?),
    }
}

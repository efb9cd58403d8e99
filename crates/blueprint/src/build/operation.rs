//! What an operation or a workflow runs: the function of a plugin, or a script.
//!
//! Source: `dsl_parser/elements/operation.py`, `process_operation`.

use indexmap::IndexMap;
use serde_json::{Map as Object, Value as Json, json};

use super::{
    Builder,
    interfaces::{Interfaces, Operation},
    object,
};
use crate::{Kind, Refusal, code, namespace, nearest};

/// What the script plugin runs scripts with.
const RUN: &str = "script_runner.tasks.run";
const EXECUTE_WORKFLOW: &str = "script_runner.tasks.execute_workflow";

/// The name of the script plugin, whatever its namespace.
const SCRIPT_PLUGIN: &str = "script";

/// The inputs by which the script plugin is told its script.
const SCRIPT_INPUTS: [&str; 2] = ["script_path", "script_source"];

/// What a mapping names.
pub(super) enum Mapping {
    /// A function of a plugin.
    Function { plugin: String, function: String },
    /// A script: the name of its input, and the script plugin.
    Script { plugin: String, input: &'static str },
}

/// Whose mapping it is, for messages.
pub(super) struct Mapped<'m> {
    /// "operation" or "workflow".
    pub(super) kind: &'static str,
    pub(super) name: &'m str,
    pub(super) inputs: &'m Object<String, Json>,
    /// The number of the fault when nothing fits.
    pub(super) code: i32,
}

// === impl Builder ===

impl Builder<'_> {
    /// Finds what a mapping means: the address or the path of a script, its text, or the
    /// function of a plugin, which comes after the plugin's name.
    pub(super) fn mapping(&self, mapping: &str, of: &Mapped<'_>) -> Result<Mapping, Refusal> {
        let candidates: Vec<&String> = self
            .plugins
            .keys()
            .filter(|plugin| {
                mapping.strip_prefix(plugin.as_str()).is_some_and(|rest| rest.starts_with('.'))
            })
            .collect();
        let is_file = has_scheme(mapping) || self.has_script(mapping);
        let is_text = !is_file && mapping.trim().contains('\n');
        let is_remote = candidates.is_empty() && self.is_of_imported_blueprint(mapping);
        if is_file || is_text || is_remote {
            return self.script(of, if is_text { "script_source" } else { "script_path" });
        }
        match candidates.as_slice() {
            [plugin] => Ok(Mapping::Function {
                plugin: (*plugin).clone(),
                function: mapping[plugin.len() + 1..].to_owned(),
            }),
            [] => Err(self.unknown_mapping(mapping, of)),
            several => {
                let several: Vec<_> = several.iter().map(|name| format!("`{name}`")).collect();
                let message = format!(
                    "the {} `{}` could be of any of the plugins {}",
                    of.kind,
                    of.name,
                    several.join(", ")
                );
                Err(Refusal::logic(code::AMBIGUOUS_MAPPING, message))
            }
        }
    }

    fn script(&self, of: &Mapped<'_>, input: &'static str) -> Result<Mapping, Refusal> {
        if let Some(taken) = SCRIPT_INPUTS.iter().find(|input| of.inputs.contains_key(**input)) {
            let message = format!(
                "the {} `{}` runs a script, so it cannot have an input called `{taken}`",
                of.kind, of.name
            );
            return Err(Refusal::logic(code::RESERVED_SCRIPT_INPUT, message));
        }
        if let Some(plugin) = self.plugins.keys().find(|name| name.ends_with(SCRIPT_PLUGIN)) {
            return Ok(Mapping::Script { plugin: plugin.clone(), input });
        }
        let message = format!(
            "the {} `{}` runs a script, but no script plugin is defined: import \
             `cloudify/types/types.yaml`",
            of.kind, of.name
        );
        Err(Refusal::logic(code::NO_SCRIPT_PLUGIN, message))
    }

    fn has_script(&self, path: &str) -> bool {
        let path = namespace::strip(path);
        self.script_bases.iter().any(|base| self.resolver.has_file(&format!("{base}{path}")))
    }

    fn is_of_imported_blueprint(&self, mapping: &str) -> bool {
        mapping
            .split_once(namespace::DELIMITER)
            .is_some_and(|(first, _)| self.namespaces.iter().any(|namespace| namespace == first))
    }

    fn unknown_mapping(&self, mapping: &str, of: &Mapped<'_>) -> Refusal {
        let first = mapping.split('.').next().unwrap_or_default();
        let hint = nearest::hint(first, self.plugins.keys().map(String::as_str));
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let message = format!(
            "the {} `{}` is mapped to `{mapping}`, which is neither a script of the blueprint nor \
             a function of a known plugin{hint}",
            of.kind, of.name
        );
        Refusal::logic(of.code, message)
    }

    /// Describes every operation of some interfaces as the plan does: by its full name, and
    /// by its short name where that is unique. Refusals are told by full name.
    pub(super) fn operations(
        &self,
        interfaces: &Interfaces,
        code: i32,
        faults: &mut Vec<(String, Refusal)>,
    ) -> Json {
        let mut short: IndexMap<&str, Option<Json>> = IndexMap::new();
        let mut operations = Object::new();
        for (interface, of) in interfaces {
            for (name, operation) in of {
                let full_name = format!("{interface}.{name}");
                let described =
                    self.describe(operation, &full_name, code).unwrap_or_else(|fault| {
                        faults.push((full_name.clone(), fault));
                        Json::Null
                    });
                short
                    .entry(name)
                    .and_modify(|known| *known = None)
                    .or_insert_with(|| Some(described.clone()));
                operations.insert(full_name, described);
            }
        }
        for (name, described) in short {
            if let Some(described) = described {
                operations.insert(name.to_owned(), described);
            }
        }
        Json::Object(operations)
    }

    fn describe(&self, operation: &Operation, name: &str, code: i32) -> Result<Json, Refusal> {
        if operation.implementation.is_empty() {
            return Ok(described("", "", Object::new(), &Json::Null, &Operation::default()));
        }
        let mapping = &operation.implementation;
        let of = Mapped { kind: "operation", name, inputs: &operation.inputs, code };
        let mut described = match self.mapping(mapping, &of)? {
            Mapping::Function { plugin, function } => {
                let executor = if is_empty(&operation.executor) {
                    &self.plugins[&plugin]["executor"]
                } else {
                    &operation.executor
                };
                described(&plugin, &function, operation.inputs.clone(), executor, operation)
            }
            Mapping::Script { plugin, input } => {
                let mut inputs = operation.inputs.clone();
                inputs.insert(input.to_owned(), Json::String(mapping.clone()));
                let auto = Json::from("auto");
                let executor =
                    if is_empty(&operation.executor) { &auto } else { &operation.executor };
                described(&plugin, RUN, inputs, executor, operation)
            }
        };
        let types: Object<String, Json> = operation
            .inputs
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.get("type")?.clone())))
            .collect();
        if !types.is_empty() {
            described["inputs_types"] = Json::Object(types);
        }
        Ok(described)
    }

    /// Describes a workflow as the plan does.
    pub(super) fn workflow(
        &self,
        mapping: &str,
        parameters: Object<String, Json>,
        name: &str,
    ) -> Result<(String, String, Object<String, Json>), Refusal> {
        if mapping.is_empty() {
            let message = format!("the workflow `{name}` needs a mapping");
            return Err(Refusal::new(Kind::Runtime, message));
        }
        let code = code::WORKFLOW_MAPPING;
        let of = Mapped { kind: "workflow", name, inputs: &parameters, code };
        Ok(match self.mapping(mapping, &of)? {
            Mapping::Function { plugin, function } => (plugin, function, parameters),
            Mapping::Script { plugin, input } => {
                let mut parameters = parameters;
                let description = "Workflow script executed by the script plugin";
                let script = json!({ "default": mapping, "description": description });
                parameters.insert(input.to_owned(), script);
                (plugin, EXECUTE_WORKFLOW.to_owned(), parameters)
            }
        })
    }
}

fn is_empty(executor: &Json) -> bool {
    executor.as_str().is_none_or(str::is_empty)
}

fn described(
    plugin: &str,
    function: &str,
    inputs: Object<String, Json>,
    executor: &Json,
    operation: &Operation,
) -> Json {
    let text = |text: &str| Json::String(text.to_owned());
    object([
        ("plugin", text(plugin)),
        ("operation", text(function)),
        ("executor", executor.clone()),
        ("inputs", Json::Object(inputs)),
        ("has_intrinsic_functions", Json::Bool(false)),
        ("max_retries", operation.max_retries.clone()),
        ("retry_interval", operation.retry_interval.clone()),
        ("timeout", operation.timeout.clone()),
        ("timeout_recoverable", operation.timeout_recoverable.clone()),
    ])
}

/// Says whether a mapping is a URL: it begins with a scheme, as `urllib` sees it.
fn has_scheme(mapping: &str) -> bool {
    mapping.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

//! What goes into an operation's Python process and what comes out of it. Pure, but for
//! [`Variables`], which is plain data as well.
//!
//! The contract is Cloudify's: the worker writes `<dispatch_dir>/input.json`, starts the process
//! and reads `<dispatch_dir>/output.json` (`cloudify_agent/worker.py`, `cloudify/dispatch.py`).

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value};

mod outcome;
mod variables;

pub use self::{
    outcome::{Timeout, outcome},
    variables::{Rest, Variables},
};

/// The content of the process's input, without a copy of what it is made of.
#[derive(Serialize)]
struct Input<'a> {
    cloudify_context: Context<'a>,
    args: [(); 0],
    kwargs: &'a Map<String, Value>,
}

struct Context<'a>(&'a Map<String, Value>);

/// The file that the process reads.
pub const INPUT: &str = "input.json";

/// The file that the process writes.
pub const OUTPUT: &str = "output.json";

/// The module that the process runs; its one argument is the dispatch directory.
pub const MODULE: &str = "waggoner_runtime";

/// The module that a warm server runs.
const SERVER: &str = "waggoner_runtime.server";

/// What the Terraform plugin calls a method of a dict on, whatever it is.
const TAGS: &str = "deployment_resource_tags";

/// Returns the content of `input.json` for a context and an operation's inputs.
pub fn input_json(context: &Map<String, Value>, inputs: &Map<String, Value>) -> String {
    let input = Input { cloudify_context: Context(context), args: [], kwargs: inputs };
    serde_json::to_string(&input).expect("it is JSON already")
}

/// The arguments of an environment's interpreter that run an operation. Stdout is not buffered, as
/// the stock worker starts it.
pub fn arguments(dispatch_directory: &str) -> [String; 4] {
    ["-u", "-m", MODULE, dispatch_directory].map(str::to_owned)
}

/// The arguments of an environment's interpreter that make it a warm server: it imports once what
/// every operation needs, and forks itself into them.
///
/// `own` names the variables whose values are an operation's own: what reads one of them while it is
/// imported is imported by each operation for itself.
pub fn server_arguments<'a>(own: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    ["-u", "-m", SERVER].into_iter().chain(own).map(str::to_owned).collect()
}

/// Returns the module that has a task's function.
pub fn module(task_name: &str) -> Option<&str> {
    task_name.rsplit_once('.').map(|(module, _)| module).filter(|module| !module.is_empty())
}

/// Returns the task and the inputs by which the stock script runner runs a script of a blueprint
/// in the operation's process: what a `.py` script is for.
pub fn python_script_task(
    script_path: &str,
    inputs: &Map<String, Value>,
) -> (&'static str, Map<String, Value>) {
    let mut inputs = inputs.clone();
    inputs.insert("script_path".to_owned(), Value::from(script_path));
    ("script_runner.tasks.run", inputs)
}

// === impl Context ===

impl Serialize for Context<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let given = self.0.iter().filter(|(name, value)| *name != TAGS || !value.is_null());
        let mut map = to.serialize_map(None)?;
        for (name, value) in given {
            map.serialize_entry(name, value)?;
        }
        if self.0.get(TAGS).is_none_or(Value::is_null) {
            map.serialize_entry(TAGS, &Map::new())?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_input_holds_context_and_inputs() {
        let inputs = json!({"a": 1}).as_object().unwrap().clone();
        for (given, tags) in [
            (json!({"type": "operation", "deployment_resource_tags": null}), json!({})),
            (json!({"type": "operation"}), json!({})),
            (json!({"type": "operation", "deployment_resource_tags": {"b": 2}}), json!({"b": 2})),
        ] {
            let input = input_json(given.as_object().unwrap(), &inputs);
            assert_eq!(
                serde_json::from_str::<Value>(&input).unwrap(),
                json!({
                    "cloudify_context": {"type": "operation", "deployment_resource_tags": tags},
                    "args": [],
                    "kwargs": {"a": 1},
                })
            );
        }
        let (task, inputs) = python_script_task("scripts/a.py", &inputs);
        assert_eq!(task, "script_runner.tasks.run");
        assert_eq!(Value::from(inputs), json!({"a": 1, "script_path": "scripts/a.py"}));
    }
}

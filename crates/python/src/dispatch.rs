//! What goes into an operation's Python process and what comes out of it. Pure, but for
//! [`Variables`], which is plain data as well.
//!
//! The contract is Cloudify's: the worker writes `<dispatch_dir>/input.json`, starts the process
//! and reads `<dispatch_dir>/output.json` (`cloudify_agent/worker.py`, `cloudify/dispatch.py`).

use serde_json::{Map, Value, json};

mod outcome;
mod variables;

pub use self::{
    outcome::{Timeout, outcome},
    variables::{Rest, Variables},
};

/// The file that the process reads.
pub const INPUT: &str = "input.json";

/// The file that the process writes.
pub const OUTPUT: &str = "output.json";

/// The module that the process runs; its one argument is the dispatch directory.
pub const MODULE: &str = "waggoner_runtime";

/// The module that a warm server runs.
const SERVER: &str = "waggoner_runtime.server";

/// Returns the content of `input.json` for a context and an operation's inputs.
pub fn input_json(context: &Value, inputs: &Map<String, Value>) -> Value {
    let mut context = context.clone();
    if let Value::Object(context) = &mut context {
        // The Terraform plugin calls a method of a dict on it, whatever it is.
        let tags = context.entry("deployment_resource_tags").or_insert(Value::Null);
        if tags.is_null() {
            *tags = json!({});
        }
    }
    json!({ "cloudify_context": context, "args": [], "kwargs": inputs })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_holds_context_and_inputs() {
        let context = json!({"type": "operation", "deployment_resource_tags": null});
        let inputs = json!({"a": 1}).as_object().unwrap().clone();
        assert_eq!(
            input_json(&context, &inputs),
            json!({
                "cloudify_context": {"type": "operation", "deployment_resource_tags": {}},
                "args": [],
                "kwargs": {"a": 1},
            })
        );
        let (task, inputs) = python_script_task("scripts/a.py", &inputs);
        assert_eq!(task, "script_runner.tasks.run");
        assert_eq!(Value::from(inputs), json!({"a": 1, "script_path": "scripts/a.py"}));
    }
}

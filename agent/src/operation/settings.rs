//! Cloudify's `process` input: how a script is started.

use camino::Utf8PathBuf;
use serde_json::{Map, Value};

/// Which of a script's streams are logged, line by line (`script_runner/tasks.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) stdout: bool,
    pub(super) stderr: bool,
}

/// How a script is started (`script_runner/tasks.py`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) args: Vec<String>,
    pub(super) cwd: Option<Utf8PathBuf>,
    pub(super) env: Map<String, Value>,
    pub(super) command_prefix: Option<String>,
    pub(super) stderr_to_stdout: bool,
    pub(super) logged: Logged,
    pub(super) eval_python: Option<bool>,
    /// Whether the ctx proxy is to be told of.
    pub(super) ctx_proxy: bool,
}

/// A setting cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the script's input `process.{field}` cannot be taken: {reason}")]
pub(super) struct Flaw {
    field: &'static str,
    reason: &'static str,
}

// === impl Settings ===

impl TryFrom<&Map<String, Value>> for Settings {
    type Error = Flaw;

    fn try_from(process: &Map<String, Value>) -> Result<Self, Flaw> {
        let given = |field: &str| process.get(field).filter(|value| !value.is_null());
        let text = |field: &'static str| match given(field) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Flaw { field, reason: "it is not a string" }),
        };
        let flag = |field, default| given(field).map_or(default, is_true);
        match given("ctx_proxy_type").map(|kind| kind.as_str().unwrap_or_default()) {
            None | Some("" | "auto" | "http" | "none") => {}
            Some(_) => {
                let reason = "it is neither auto, nor http, nor none";
                return Err(Flaw { field: "ctx_proxy_type", reason });
            }
        }
        let (log_stdout, log_stderr) = (flag("log_stdout", true), flag("log_stderr", true));
        Ok(Self {
            args: match given("args") {
                None => Vec::new(),
                Some(Value::Array(args)) => args.iter().map(waggoner_ctx::text).collect(),
                Some(_) => return Err(Flaw { field: "args", reason: "it is not a list" }),
            },
            cwd: text("cwd")?.map(Utf8PathBuf::from),
            env: match given("env") {
                None => Map::new(),
                Some(Value::Object(env)) => env.clone(),
                Some(_) => return Err(Flaw { field: "env", reason: "it is not a dictionary" }),
            },
            command_prefix: text("command_prefix")?,
            stderr_to_stdout: log_stderr && flag("stderr_to_stdout", false),
            logged: Logged { stdout: log_stdout, stderr: log_stderr },
            eval_python: given("eval_python").map(is_true),
            ctx_proxy: given("ctx_proxy_type").is_none_or(|kind| kind != "none"),
        })
    }
}

/// Whether Python takes a value for true.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(process: &Value) -> Result<Settings, Flaw> {
        process.as_object().unwrap().try_into()
    }

    #[test]
    fn a_script_is_logged_unless_told_otherwise() {
        let settings = settings(&json!({})).unwrap();
        assert_eq!(settings.logged, Logged { stdout: true, stderr: true });
        assert!(settings.args.is_empty() && !settings.stderr_to_stdout);
    }

    #[test]
    fn arguments_are_text_whatever_they_were() {
        let settings = settings(&json!({"args": ["a", 1, true], "cwd": "", "log_stderr": 0,
            "stderr_to_stdout": true}));
        let settings = settings.unwrap();
        assert_eq!(settings.args, ["a", "1", "True"]);
        assert_eq!(settings.cwd, None);
        assert!(!settings.stderr_to_stdout, "what is not logged goes nowhere");
    }

    #[test]
    fn what_cannot_be_taken_is_named() {
        let flaw = settings(&json!({"args": "a b"})).unwrap_err();
        assert_eq!(
            flaw.to_string(),
            "the script's input `process.args` cannot be taken: it is not a list"
        );
        assert!(settings(&json!({"ctx_proxy_type": "zmq"})).is_err());
    }
}

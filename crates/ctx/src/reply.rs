//! What the proxy answers to a `ctx` command line, and what the command makes of it.

use serde_json::{Map, Value, json};

use crate::python;

/// The answer to one command line: `{"type", "payload"}` on the wire of `CTX_SOCKET_URL`
/// (`cloudify/proxy/server.py`).
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Result(Value),
    Error(Error),
    /// The script has to end now. The message is its last line.
    Stop {
        message: String,
    },
}

/// Why a command line failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Error {
    /// The name of Python's exception.
    pub kind: String,
    pub message: String,
    /// For the operation's log; empty for none.
    pub traceback: String,
}

/// What the `ctx` command prints, and how it exits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    pub stdout: String,
    pub stderr: String,
    pub exit_code: u8,
}

/// How the `ctx` command prints a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As Python's `str()` does, and nothing for what is empty, zero or false.
    #[default]
    Text,
    Json,
}

/// The answer is not what a ctx proxy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not one of a ctx proxy: check CTX_SOCKET_URL")]
pub struct ForeignReply;

// === impl Reply ===

impl Reply {
    pub fn error(kind: &str, message: impl Into<String>) -> Self {
        Self::Error(Error::new(kind, message))
    }

    /// Returns the message on the wire.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Result(value) => json!({ "type": "result", "payload": value }),
            Self::Error(Error { kind, message, traceback }) => json!({
                "type": "error",
                "payload": { "type": kind, "message": message, "traceback": traceback },
            }),
            Self::Stop { message } => {
                json!({ "type": "stop_operation", "payload": { "message": message } })
            }
        }
    }

    /// Reads a message from the wire.
    pub fn from_json(mut reply: Value) -> Result<Self, ForeignReply> {
        let kind = reply.get("type").and_then(Value::as_str).map(str::to_owned);
        let payload = reply.get_mut("payload").ok_or(ForeignReply)?.take();
        let field = |name: &str| {
            payload.get(name).and_then(Value::as_str).map(str::to_owned).ok_or(ForeignReply)
        };
        match kind.as_deref() {
            Some("error") => Ok(Self::Error(Error {
                kind: field("type")?,
                message: field("message")?,
                traceback: field("traceback").unwrap_or_default(),
            })),
            Some("stop_operation") => Ok(Self::Stop { message: field("message")? }),
            _ => Ok(Self::Result(payload)),
        }
    }

    /// Returns what the command prints (`cloudify/proxy/client.py`), but an error in one line
    /// and not with the traceback of the client itself.
    pub fn print(&self, format: Format) -> Printed {
        match self {
            Self::Result(value) => {
                let stdout = match format {
                    Format::Json => python::json(value),
                    Format::Text if python::is_true(value) => python::text(value),
                    Format::Text => String::new(),
                };
                Printed { stdout, ..Printed::default() }
            }
            Self::Error(error) => {
                Printed { stderr: format!("{error}\n"), exit_code: 1, ..Printed::default() }
            }
            Self::Stop { message } => {
                Printed { stderr: format!("{message}\n"), exit_code: 1, ..Printed::default() }
            }
        }
    }
}

// === impl Error ===

impl Error {
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), message: message.into(), traceback: String::new() }
    }

    pub(crate) fn runtime(message: impl Into<String>) -> Self {
        Self::new("RuntimeError", message)
    }

    pub(crate) fn type_error(message: impl Into<String>) -> Self {
        Self::new("TypeError", message)
    }

    pub(crate) fn non_recoverable(message: impl Into<String>) -> Self {
        Self::new("NonRecoverableError", message)
    }
}

/// Replaces each object that stands for something without a JSON form by its description
/// (`_catch_non_serializable`, `cloudify/proxy/client.py`).
pub(crate) fn describe(value: Value) -> Value {
    const KEY: &str = "__non_json_serializable_repr__";
    match value {
        Value::Array(items) => items.into_iter().map(describe).collect(),
        Value::Object(mut map) => {
            if let Some(description) = map.remove(KEY) {
                return describe(description);
            }
            let map: Map<_, _> =
                map.into_iter().map(|(key, value)| (key, describe(value))).collect();
            Value::Object(map)
        }
        value => value,
    }
}

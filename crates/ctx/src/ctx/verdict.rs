//! What a script said about its own end (`script_runner/tasks.py`).

use std::time::Duration;

use serde_json::Value;

use super::Ctx;
use crate::{python, reply::Error};

/// How an operation ends whose script has exited.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It succeeded, with this result.
    Returned(Value),
    /// It wants to be run again: `OperationRetry`.
    Retry { message: String, retry_after: Option<Duration> },
    /// It gave up: a `NonRecoverableError` with this message.
    Aborted(String),
    /// It ended itself twice: a `NonRecoverableError` with this message.
    Misused(&'static str),
    /// It failed without a word: recoverable; the exit and the output say more.
    Failed,
}

/// What `ctx returns`, `abort-operation` and `retry-operation` have set.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Returned {
    Nothing,
    Value(Value),
    Abort(String),
    Retry,
    Misused,
}

/// `OperationRetry` (`cloudify/exceptions.py`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Retry {
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

const ONCE: &str = "ctx may only abort or return once";

// === impl Ctx ===

impl Ctx {
    /// Says how the operation ends, given whether its script exited with 0.
    pub fn verdict(&self, is_success: bool) -> Verdict {
        let retry = self.retry.as_ref();
        match &self.returned {
            Returned::Misused => Verdict::Misused(ONCE),
            Returned::Abort(message) => Verdict::Aborted(message.clone()),
            Returned::Nothing | Returned::Value(_) if !is_success => Verdict::Failed,
            Returned::Nothing => retry.map_or(Verdict::Returned(Value::Null), Retry::verdict),
            Returned::Value(value) => {
                retry.map_or(Verdict::Returned(value.clone()), Retry::verdict)
            }
            Returned::Retry => retry.map_or(Verdict::Failed, Retry::verdict),
        }
    }

    /// Sets what the script ends with, which it may do once.
    pub(super) fn set_returned(&mut self, returned: Returned) -> Result<(), Error> {
        self.check_unreturned()?;
        self.returned = match returned {
            // Nothing is `None` to Cloudify as well, so it may be returned again.
            Returned::Value(Value::Null) => Returned::Nothing,
            returned => returned,
        };
        Ok(())
    }

    /// Refuses a second end, and remembers that it was tried.
    pub(super) fn check_unreturned(&mut self) -> Result<(), Error> {
        if self.returned == Returned::Nothing {
            return Ok(());
        }
        self.returned = Returned::Misused;
        Err(Error::runtime(ONCE))
    }
}

// === impl Retry ===

impl Retry {
    /// Reads the arguments of `retry`; a number may come as text, as the shell has no other.
    pub(super) fn new(message: &Value, retry_after: &Value) -> Result<Self, Error> {
        let mut text = python::text(message);
        if !retry_after.is_null() {
            if matches!(message, Value::Null | Value::Bool(_) | Value::Number(_)) {
                let type_name = python::type_name(message);
                return Err(Error::type_error(format!(
                    "argument of type '{type_name}' is not iterable"
                )));
            }
            let suffix = format!("[retry_after={}]", python::text(retry_after));
            if !text.contains(&suffix) {
                text = format!("{text} {suffix}");
            }
        }
        let seconds = match retry_after {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_f64(),
        };
        let retry_after = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Self { message: text, retry_after })
    }

    fn verdict(&self) -> Verdict {
        Verdict::Retry { message: self.message.clone(), retry_after: self.retry_after }
    }
}

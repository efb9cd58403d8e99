//! From what an operation's process left to its outcome (`cloudify/error_handling.py`,
//! `cloudify_agent/worker.py`).

use std::time::Duration;

use serde_json::{Map, Value, json};
use waggoner_types::{ErrorKind, Exit, OperationError, Outcome};

/// The longest that an operation may run, and what it means when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// From the start of its process.
    pub after: Duration,
    /// Whether trying again may help.
    pub recoverable: bool,
}

/// Returns the outcome of a process that ended.
///
/// `output` is the text of `output.json`, absent where the process wrote none. What it holds
/// counts only when the process ended by itself and with the code 0: otherwise it may be cut off.
pub fn outcome(output: Option<&str>, exit: Exit, timeout: Option<Timeout>) -> Outcome {
    let non_recoverable = |message: String| Err(OperationError::non_recoverable(message));
    let result = match exit {
        Exit::Code(0) => from_output(output),
        Exit::Code(code) => non_recoverable(format!(
            "Unhandled exception occurred in operation dispatch (rc={code})"
        )),
        Exit::Signal(signal) => {
            let crash = crash(signal).map_or_else(String::new, |name| {
                format!(": {name}, the interpreter or a native library of the plugin crashed")
            });
            non_recoverable(format!("Process terminated (rc=-{signal}){crash}"))
        }
        Exit::TimedOut => {
            let seconds = timeout.map_or(0, |timeout| timeout.after.as_secs());
            let message = format!("Process killed due to timeout of {seconds} seconds");
            Err(if timeout.is_some_and(|timeout| timeout.recoverable) {
                OperationError::recoverable(message)
            } else {
                OperationError::non_recoverable(message)
            })
        }
        Exit::Cancelled => Err(OperationError::new(
            ErrorKind::Cancelled,
            "ProcessKillCancelled",
            "The operation was cancelled and its process ended",
        )),
        Exit::Idle => non_recoverable("Process killed because it said nothing".to_owned()),
        Exit::Unlinked => non_recoverable(
            "Process killed because its agent had no link to the manager".to_owned(),
        ),
        Exit::OutOfMemory => non_recoverable("Process killed for want of memory".to_owned()),
        Exit::HostRebooted => non_recoverable(
            "The host was started anew while the operation ran; whether it finished is not known"
                .to_owned(),
        ),
        Exit::Lost => non_recoverable(
            "The agent lost the operation's process and does not know how it ended".to_owned(),
        ),
    };
    Outcome { result, exit: Some(exit) }
}

/// The names of the signals that a process brings upon itself (`signal(7)`).
fn crash(signal: i32) -> Option<&'static str> {
    const CRASHES: [(i32, &str); 5] =
        [(4, "SIGILL"), (6, "SIGABRT"), (7, "SIGBUS"), (8, "SIGFPE"), (11, "SIGSEGV")];
    CRASHES.iter().find(|(number, _)| *number == signal).map(|(_, name)| *name)
}

fn from_output(output: Option<&str>) -> Result<Value, OperationError> {
    let Some(output) = output else {
        return Err(OperationError::non_recoverable(
            "The operation's process ended well but wrote no result: something in it called exit",
        ));
    };
    let damaged = |reason: &str| {
        let message =
            format!("The result that the operation's process wrote cannot be read: {reason}");
        OperationError::non_recoverable(message)
    };
    let output: Value = serde_json::from_str(output)
        .or_else(|_| serde_json::from_str(&without_lone_surrogates(output)))
        .map_err(|error| damaged(&error.to_string()))?;
    match (output.get("type").and_then(Value::as_str), output.get("payload")) {
        (Some("result"), Some(payload)) => Ok(payload.clone()),
        (Some("error"), Some(Value::Object(payload))) => from_error(payload),
        _ => Err(damaged("it is neither a result nor an error")),
    }
}

/// Replaces the escapes of lone surrogates by U+FFFD. Python writes them for text that came from
/// bytes that are no UTF-8 (`os.fsdecode`); RFC 8259, section 8.2, leaves them to the reader.
fn without_lone_surrogates(json: &str) -> String {
    let unit = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut mended = String::with_capacity(json.len());
    let mut at = 0;
    while let Some(rest) = json.get(at..).filter(|rest| !rest.is_empty()) {
        let next = rest.find('\\').unwrap_or(rest.len());
        mended.push_str(&rest[..next]);
        at += next;
        let length = match (unit(at), unit(at + 6)) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 12,
            (Some(0xD800..0xE000), _) => {
                mended.push_str("\\ufffd");
                at += 6;
                continue;
            }
            (Some(_), _) => 6,
            // An escape of one character, or the end.
            (None, _) => json[at..].chars().take(2).map(char::len_utf8).sum(),
        };
        mended.push_str(&json[at..at + length]);
        at += length;
    }
    mended
}

/// Reads what `serialize_known_exception` wrote.
fn from_error(payload: &Map<String, Value>) -> Result<Value, OperationError> {
    let text = |key: &str| payload.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let known = text("known_exception_type");
    let kind = match known.as_str() {
        // The agent is to stop, and the operation did what it should.
        "StopAgent" => return Ok(Value::Null),
        "OperationRetry" => ErrorKind::Retry,
        "NonRecoverableError" | "HttpException" | "ProcessKillCancelled" => {
            ErrorKind::NonRecoverable
        }
        _ => ErrorKind::Recoverable,
    };
    let retry_after = match kind {
        ErrorKind::Retry | ErrorKind::Recoverable => payload
            .get("known_exception_type_args")
            .and_then(|arguments| arguments.get(0))
            .and_then(seconds),
        ErrorKind::NonRecoverable | ErrorKind::Cancelled => None,
    };
    let exception_type = match text("exception_type") {
        empty if empty.is_empty() => known,
        given => given,
    };
    let (message, traceback) = (text("message"), text("traceback"));
    let mut causes = payload
        .get("known_exception_type_kwargs")
        .and_then(|arguments| arguments.get("causes"))
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    causes.push(json!({
        "message": message,
        "type": exception_type,
        "traceback": traceback,
    }));
    Err(OperationError { kind, exception_type, message, retry_after, traceback, causes })
}

/// Reads seconds leniently: a script's `ctx retry-operation` gives them as text.
fn seconds(given: &Value) -> Option<Duration> {
    let seconds = match given {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests;

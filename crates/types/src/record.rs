//! What an attempt leaves behind: records, and among them its outcome.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::status::LogLevel;

/// One entry of an attempt's record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its place, from 1, without holes.
    pub sequence: u64,
    /// When it was made, by the agent's clock.
    pub time: Timestamp,
    /// What it holds.
    pub body: Body,
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// The operation's process was started.
    ProcessStarted {
        /// Its process id on the agent's host.
        pid: u32,
    },
    /// Bytes that the operation's process wrote.
    Output {
        /// Where it wrote them.
        stream: OutputStream,
        /// How many bytes it wrote there before these.
        offset: u64,
        /// Whether every line of it is a log line of the operation: whole lines then, but for
        /// those too long for a record and the last of all.
        lines: bool,
        /// The bytes.
        data: Vec<u8>,
    },
    /// Output that was not kept.
    Gap {
        /// Where it was written.
        stream: OutputStream,
        /// The first byte that is missing, counted from the start of the stream.
        from: u64,
        /// The first byte after it that is there.
        to: u64,
        /// Why it was not kept, a sentence.
        reason: String,
    },
    /// A record that the agent's disk has spoilt, in whose place this one stands.
    Lost {
        /// The first of the records in a row that are lost, up to this one.
        first: u64,
        /// Why, a sentence; empty where more of the row follow.
        reason: String,
    },
    /// A log line of the plugin.
    Log {
        /// Its level.
        level: LogLevel,
        /// The logger's name.
        logger: String,
        /// The text.
        message: String,
    },
    /// An event of the plugin or of the agent.
    Event {
        /// Cloudify's event type.
        event_type: String,
        /// The text.
        message: String,
    },
    /// How the attempt ended; the last record.
    Outcome(Outcome),
}

/// The streams of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What the operation returned, or why it failed.
    pub result: Result<Value, OperationError>,
    /// How its process ended; absent where none was started.
    pub exit: Option<Exit>,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationError {
    /// What it means for the workflow.
    pub kind: ErrorKind,
    /// The exception's type, as Python names it.
    pub exception_type: String,
    /// The sentence for people.
    pub message: String,
    /// When to try again; absent means the workflow's own interval.
    pub retry_after: Option<Duration>,
    /// The traceback; empty for none.
    pub traceback: String,
    /// Cloudify's causes, outermost first: objects of message, type and traceback.
    pub causes: Vec<Value>,
}

/// What an operation's failure means for its workflow (`cloudify/exceptions.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Trying again may help.
    Recoverable,
    /// Trying again does not help.
    NonRecoverable,
    /// The operation asks to be run again.
    Retry,
    /// The operation was cancelled.
    Cancelled,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with a code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It ran over its time and was ended.
    TimedOut,
    /// It was cancelled and ended.
    Cancelled,
    /// It said nothing for longer than it may and was ended.
    Idle,
    /// Its agent had no link to the manager for longer than it may and ended it.
    Unlinked,
    /// The kernel ended it for want of memory.
    OutOfMemory,
    /// Its host was started anew while it ran.
    HostRebooted,
    /// The agent lost it and does not know.
    Lost,
}

/// Returns the log lines of an operation's output, each as Cloudify says it (`OutputConsumer`,
/// `cloudify/utils.py`).
pub fn output_lines(stream: OutputStream, data: &[u8]) -> impl Iterator<Item = String> {
    let prefix = match stream {
        OutputStream::Stdout => "<out> ",
        OutputStream::Stderr => "<err> ",
    };
    data.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let line = String::from_utf8_lossy(line);
        format!("{prefix}{}", line.trim_end_matches(['\r', '\n']))
    })
}

// === impl OperationError ===

impl OperationError {
    /// An error that trying again does not help, in one sentence.
    pub fn non_recoverable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NonRecoverable, "NonRecoverableError", message)
    }

    /// An error that trying again may help, in one sentence.
    pub fn recoverable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Recoverable, "RecoverableError", message)
    }

    /// An error of a kind and an exception type, in one sentence.
    pub fn new(kind: ErrorKind, exception_type: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            exception_type: exception_type.to_owned(),
            message: message.into(),
            retry_after: None,
            traceback: String::new(),
            causes: Vec::new(),
        }
    }
}

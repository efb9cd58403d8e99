//! What is kept of a task, so that an execution survives its manager.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The number of a task: the same for the same execution, whenever its graph is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskNumber(
    /// Fits a signed 64-bit integer.
    pub u64,
);

/// Where an operation's task is. A task without a row has not been sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub task: TaskNumber,
    pub state: TaskState,
    /// Of the attempt that runs, ran last, or (rescheduled) comes next. From 0.
    pub retry_number: u32,
    /// When the state was reached.
    pub since: Timestamp,
    /// When a rescheduled task is tried again.
    pub not_before: Option<Timestamp>,
    /// Why the last attempt failed.
    pub failure: Option<Failure>,
    /// The first attempt since the execution was resumed: retries are counted from it.
    #[serde(default)]
    pub resumed_at: u32,
    /// How often what an earlier attempt may have left was cleared away before a resume.
    #[serde(default)]
    pub cleanups: u32,
    /// What the operation returned, where the workflow decides by it later.
    pub result: Option<Value>,
}

/// The state of an operation's task (`cloudify/constants.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Not sent yet.
    Pending,
    /// Given to the dispatcher.
    Sent,
    /// An agent runs it.
    Started,
    /// Waits to be tried again.
    Rescheduled,
    Succeeded,
    /// Not tried again.
    Failed,
    /// Will not be sent any more: the execution failed elsewhere, or was cancelled.
    Dropped,
}

/// Why an operation failed, for the last words of its execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One line per cause: the exception's type and its message.
    pub causes: String,
    /// Empty for none.
    pub traceback: String,
}

// === impl TaskNumber ===

impl fmt::Display for TaskNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl TaskState ===

impl TaskState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Started => "started",
            Self::Rescheduled => "rescheduled",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }

    /// Says whether an attempt is out.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Sent | Self::Started)
    }

    /// Says whether the task stays as it is.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Dropped)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

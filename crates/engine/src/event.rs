//! What can happen to an execution.

use serde_json::Value;
use waggoner_types::{CancelMode, OperationError};

use crate::TaskNumber;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A new execution begins. Its first event.
    Started,
    /// An execution goes on after the manager was gone. The first event after a restore.
    Restored {
        /// How it was being cancelled, if it was.
        cancelling: Option<CancelMode>,
    },
    /// An execution goes on after it had ended. The first event after a resume.
    Resumed,
    /// An agent has begun to run an attempt.
    OperationStarted { task: TaskNumber, retry_number: u32 },
    /// An attempt ended well.
    OperationSucceeded { task: TaskNumber, retry_number: u32, result: Value },
    /// An attempt failed, or could not be dispatched.
    OperationFailed { task: TaskNumber, retry_number: u32, error: OperationError },
    /// The clock reached the time that [`crate::Effect::WakeAt`] named.
    Woken,
    /// Somebody wants the execution to end. May come again with a harder mode.
    Cancel(CancelMode),
}

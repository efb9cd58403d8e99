//! Why an attempt has no outcome of its agent's, in sentences.

use tonic::{Code, Status};
use waggoner_attempt::manager::Reason;
use waggoner_types::{ErrorKind, Exit, OperationError, Outcome};

use crate::fleet::AgentKey;

/// Returns what the execution hears of an attempt that was given up.
pub(super) fn outcome(
    reason: Reason,
    agent: &AgentKey,
    refused: Option<Status>,
    cancelled: bool,
) -> Outcome {
    match reason {
        Reason::Unsent if cancelled => failed(unsent()),
        Reason::Unsent => failed(OperationError::recoverable(format!(
            "agent `{agent}` did not come within a day: the operation was not sent to it"
        ))),
        Reason::Declined => {
            let status = refused.unwrap_or_else(|| Status::unknown("it did not say why"));
            let why = format!("agent `{agent}` refused the operation: {}", status.message());
            failed(match status.code() {
                Code::Unavailable | Code::ResourceExhausted => OperationError::recoverable(why),
                _ => OperationError::non_recoverable(why),
            })
        }
        Reason::Unheard | Reason::Forgotten => lost(agent, "it does not know it any more"),
        Reason::OtherHistory => {
            lost(agent, "what it kept of the operation is not what it had told")
        }
        Reason::Rebooted => Outcome {
            exit: Some(Exit::HostRebooted),
            ..failed(OperationError::non_recoverable(format!(
                "the host of agent `{agent}` was started anew while the operation ran: whether it \
                 finished is not known, so it is not run again"
            )))
        },
        Reason::Broken => lost(agent, "what it tells does not continue what it had told"),
        Reason::Absent => lost(agent, "it did not come back within a day"),
    }
}

/// The outcome of an attempt whose execution was deleted.
pub(super) fn gone() -> Outcome {
    failed(OperationError::non_recoverable("the attempt was deleted while it ran"))
}

/// The error of an attempt that was cancelled before its agent heard of it.
pub(crate) fn unsent() -> OperationError {
    OperationError::new(
        ErrorKind::Cancelled,
        "ProcessKillCancelled",
        "the operation was cancelled before it was sent to its agent",
    )
}

/// The outcome of an attempt whose agent cannot say how it ended.
pub(crate) fn lost(agent: &AgentKey, why: &str) -> Outcome {
    let message = format!(
        "agent `{agent}` lost the operation while it ran: {why}; whether the operation finished \
         is not known, so it is not run again"
    );
    Outcome { exit: Some(Exit::Lost), ..failed(OperationError::non_recoverable(message)) }
}

fn failed(error: OperationError) -> Outcome {
    Outcome { result: Err(error), exit: None }
}

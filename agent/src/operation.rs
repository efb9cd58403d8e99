//! Running an attempt: its slot, its process, its outcome.

use std::sync::Arc;

use tracing::{Instrument as _, error, info, info_span};
use waggoner_types::{ErrorKind, Exit, OperationError, Outcome};

use crate::{
    attempt::Attempt,
    house::House,
    operation::oversee::{Ended, Limits},
    start::{Operation, Start},
};

mod lines;
mod oversee;
mod place;
mod program;
mod script;
mod settings;

/// Ends an attempt whose task is gone before it could.
struct LastWords(Arc<Attempt>);

/// Runs an attempt to its outcome.
pub(crate) async fn run(house: Arc<House>, attempt: Arc<Attempt>, start: Start) {
    let span = info_span!("operation", attempt = %attempt.id);
    let last_words = LastWords(attempt.clone());
    let outcome = conduct(&house, &attempt, start).instrument(span).await;
    attempt.records.end(outcome);
    drop(last_words);
}

async fn conduct(house: &House, attempt: &Arc<Attempt>, start: Start) -> Outcome {
    let slot = tokio::select! {
        slot = house.slots.acquire() => slot.expect("the slots are never closed"),
        order = attempt.cancelled() => {
            return Outcome { result: Err(cancelled(&order.reason)), exit: None };
        }
    };
    let outcome = match start.operation.clone() {
        Operation::Program(program) => program::run(house, attempt, &start, &program).await,
        Operation::Script(script) => script::run(house, attempt, start, &script).await,
        Operation::Python { .. } => {
            failed(OperationError::non_recoverable("this agent does not run such operations yet"))
        }
    };
    drop(slot);
    if let Err(error) = &outcome.result {
        info!(kind = ?error.kind, error = error.message, "the operation failed");
    }
    outcome
}

/// Returns why a process did not end by itself, if it did not (`cloudify_agent/worker.py`).
fn interrupted(ended: &Ended, start: &Start) -> Option<OperationError> {
    match ended.exit {
        Exit::TimedOut => {
            let seconds = start.timeout.unwrap_or_default().as_secs();
            let message = format!("Process killed due to timeout of {seconds} seconds");
            let recoverable = start.context.get("timeout_recoverable");
            Some(if recoverable.and_then(serde_json::Value::as_bool) == Some(true) {
                OperationError::recoverable(message)
            } else {
                OperationError::non_recoverable(message)
            })
        }
        Exit::Cancelled => Some(cancelled(ended.cancelled.as_deref().unwrap_or_default())),
        Exit::Lost => Some(OperationError::non_recoverable(
            "the operation's process is gone, and how it ended is not known",
        )),
        Exit::Code(_) | Exit::Signal(_) => None,
    }
}

fn cancelled(reason: &str) -> OperationError {
    let message = match reason {
        "" => "the operation was cancelled".to_owned(),
        reason => format!("the operation was cancelled: {reason}"),
    };
    OperationError::new(ErrorKind::Cancelled, "ProcessKillCancelled", message)
}

/// The outcome of an operation whose process did not start.
fn failed(error: OperationError) -> Outcome {
    Outcome { result: Err(error), exit: None }
}

/// Renders an error and its causes, outermost first.
fn sentence(error: &dyn std::error::Error) -> String {
    crate::error::Chain(error).to_string()
}

// === impl Limits ===

impl From<&Start> for Limits {
    fn from(start: &Start) -> Self {
        Self { timeout: start.timeout, grace: start.grace }
    }
}

// === impl LastWords ===

impl Drop for LastWords {
    fn drop(&mut self) {
        if self.0.records.is_ended() {
            return;
        }
        error!(attempt = %self.0.id, "the operation was dropped before its end");
        let error = OperationError::non_recoverable(
            "the agent dropped the operation before its end; how far it came is not known",
        );
        self.0.records.end(Outcome { result: Err(error), exit: Some(Exit::Lost) });
    }
}

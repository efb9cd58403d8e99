//! Running an attempt: its slot, its process, its outcome.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{sync::SemaphorePermit, time::sleep};
use tracing::{Instrument as _, debug, error, info, info_span};
use waggoner_supervisor::{Refusal, Refused};
use waggoner_types::{Chain, ErrorKind, Exit, OperationError, Outcome};

use crate::{
    attempt::{Attempt, Cancel},
    house::House,
    operation::{oversee::Ended, python::Task},
    start::{Operation, Start},
};

mod host;
mod language;
mod oversee;
pub(crate) mod place;
mod program;
mod python;
mod script;
mod settings;

pub(crate) use self::host::tidy;

/// Runs an attempt to its outcome; one that another life of the daemon began, from where it is.
pub(crate) async fn run(house: Arc<House>, attempt: Arc<Attempt>, start: Start) {
    let has_place = !matches!(start.operation, Operation::Program(_));
    let span = info_span!("operation", attempt = %attempt.id);
    let conducted = AssertUnwindSafe(conduct(&house, &attempt, start)).catch_unwind();
    let outcome = match conducted.instrument(span).await {
        Ok(outcome) => outcome,
        Err(_) => fault(&attempt).await,
    };
    // One that the journal has refused has no outcome: the manager hears of the refusal.
    if attempt.is_open().await.is_ok() {
        attempt.end(outcome).await;
    }
    if has_place {
        place::clear(&house, attempt.id);
    }
}

/// The outcome of an operation over which the daemon itself failed: what runs of it is killed, since
/// nobody makes anything of it any more.
async fn fault(attempt: &Attempt) -> Outcome {
    error!(attempt = %attempt.id, "the agent failed over an operation");
    let reason = "the agent failed".to_owned();
    attempt.end_process(&Cancel { kill: true, reason }).await;
    failed(OperationError::non_recoverable(
        "the agent failed while it ran the operation, and what came of it is not known: this is a \
         fault of the agent, whose log says more",
    ))
}

async fn conduct(house: &House, attempt: &Arc<Attempt>, start: Start) -> Outcome {
    let slot = match slot(house, attempt, &start).await {
        Ok(slot) => slot,
        Err(error) => return failed(error),
    };
    debug!(waiting = house.slots.available_permits() == 0, "the operation begins");
    // In boxes, so that a program does not carry the room that they need.
    let outcome = bounded(match start.operation.clone() {
        Operation::Program(program) => program::run(house, attempt, &start, &program).await,
        Operation::Python { task_name: name, environment } => {
            let inputs = start.inputs.clone();
            let task = Task { name, inputs, environment };
            Box::pin(python::run(house, attempt, start, task)).await
        }
        Operation::Script(script) => Box::pin(script::run(house, attempt, start, &script)).await,
    });
    drop(slot);
    if let Err(error) = &outcome.result {
        info!(kind = ?error.kind, error = error.message, "the operation failed");
    }
    outcome
}

/// Waits for a slot. What runs already, since another life of the daemon started it, needs none.
async fn slot<'a>(
    house: &'a House,
    attempt: &Attempt,
    start: &Start,
) -> Result<Option<SemaphorePermit<'a>>, OperationError> {
    if attempt.had_process() {
        return Ok(house.slots.try_acquire().ok());
    }
    tokio::select! {
        slot = house.slots.acquire() => Ok(Some(slot.expect("the slots are never closed"))),
        order = attempt.cancelled() => Err(cancelled(&order.reason)),
        waited = after(start.queue_timeout) => Err(OperationError::recoverable(format!(
            "the operation waited for a slot on the agent for {} seconds, and its queue_timeout \
             is over: give the agent more slots, or the operation more time",
            waited.as_secs_f64()
        ))),
    }
}

/// Waits for so long, for ever without a time-out, and returns how long it was.
async fn after(timeout: Option<Duration>) -> Duration {
    match timeout {
        Some(timeout) => {
            sleep(timeout).await;
            timeout
        }
        None => std::future::pending().await,
    }
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
        Exit::Idle => Some(OperationError::non_recoverable(format!(
            "Process killed because it said nothing for {} seconds",
            start.idle_timeout.unwrap_or_default().as_secs()
        ))),
        Exit::Unlinked => Some(OperationError::non_recoverable(format!(
            "Process killed because the agent had no link to the manager for {} seconds",
            start.unlinked_timeout.unwrap_or_default().as_secs()
        ))),
        Exit::OutOfMemory => Some(OperationError::non_recoverable(
            "Process killed by the kernel because the host or its cgroup ran out of memory",
        )),
        Exit::HostRebooted => Some(OperationError::non_recoverable(
            "the host was started anew while the operation ran: whether it finished is not known, \
             so it is not run again",
        )),
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

/// The outcome of an operation whose process was not started, because the supervisor said no.
fn not_started(refused: &Refused, attempt: &Attempt) -> Outcome {
    match refused.refusal {
        Refusal::Cancelled => {
            let order = attempt.order().map(|order| order.reason);
            failed(cancelled(order.as_deref().unwrap_or_default()))
        }
        // It is not run again to find out.
        Refusal::NotStarted | Refusal::Spent => {
            failed(OperationError::non_recoverable(&refused.message))
        }
        _ => failed(OperationError::recoverable(&refused.message)),
    }
}

/// The outcome of an operation whose process did not start.
fn failed(error: OperationError) -> Outcome {
    Outcome { result: Err(error), exit: None }
}

/// Keeps an outcome to what can be sent in one message.
fn bounded(outcome: Outcome) -> Outcome {
    let result = match outcome.result {
        Ok(value) => {
            let bytes = value.to_string().len();
            if bytes > RESULT {
                let message = format!(
                    "the operation returned {bytes} bytes, and {RESULT} is the most: keep large \
                     values in files"
                );
                Err(OperationError::non_recoverable(message))
            } else {
                Ok(value)
            }
        }
        Err(mut error) => {
            cut(&mut error.message);
            cut(&mut error.traceback);
            if serde_json::to_string(&error.causes).is_ok_and(|causes| causes.len() > RESULT) {
                error.causes.clear();
            }
            Err(error)
        }
    };
    Outcome { result, ..outcome }
}

fn cut(text: &mut String) {
    if text.len() > TEXT {
        text.truncate(text.floor_char_boundary(TEXT));
        text.push('…');
    }
}

/// The most bytes of a result. The longest message has 4 MiB.
const RESULT: usize = 2 * 1024 * 1024;

/// The most bytes of an error's message, and of its traceback.
const TEXT: usize = 256 * 1024;

/// Renders an error and its causes, outermost first.
fn sentence(error: &dyn std::error::Error) -> String {
    Chain(error).to_string()
}

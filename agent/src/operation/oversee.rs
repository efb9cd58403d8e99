//! The process of an operation: started once, waited for by whichever daemon lives, ended on order.

use tracing::{info, warn};
use waggoner_supervisor::{Exited, Limits, Refused, Spawn};
use waggoner_types::Exit;

use crate::{attempt::Attempt, start::Start};

/// How a process ended, and why if it was ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    /// The reason of the order that ended it.
    pub(crate) cancelled: Option<String>,
    /// The ends of its stdout and stderr, for a failure's message.
    pub(crate) tails: [String; 2],
}

/// Runs a process to its end: the end of its output, its time, or an order.
///
/// What it has started and left behind lives on when it exits by itself, as in Cloudify: starting
/// a daemon is a thing that operations do. When it is ended, all its family is.
pub(crate) async fn oversee(attempt: &Attempt, spawn: &Spawn) -> Result<Ended, Refused> {
    attempt.spawn(spawn).await?;
    Ok(attend(attempt).await)
}

/// Waits for a process that was started, in this life of the daemon or before, and passes on the
/// order to end it.
pub(crate) async fn attend(attempt: &Attempt) -> Ended {
    let exited = tokio::select! {
        exited = attempt.exited() => exited,
        never = pass_on(attempt) => match never {},
    };
    let Exited { exit, stdout, stderr, cut, left, .. } = exited;
    if cut {
        info!("a process that the operation left behind holds its output; what it writes is lost");
    }
    if !left.is_empty() {
        warn!(pids = ?left, "processes of the operation cannot be ended");
    }
    let order = attempt.order().filter(|_| exit == Exit::Cancelled);
    let tails = [stdout, stderr].map(|tail| {
        let text = String::from_utf8_lossy(&tail.bytes);
        if tail.written > tail.bytes.len() as u64 {
            format!("[…]{text}")
        } else {
            text.into_owned()
        }
    });
    Ended { exit, cancelled: order.map(|order| order.reason), tails }
}

async fn pass_on(attempt: &Attempt) -> std::convert::Infallible {
    let order = attempt.cancelled().await;
    attempt.end_process(&order).await;
    if !order.kill {
        let order = attempt.killed().await;
        attempt.end_process(&order).await;
    }
    std::future::pending().await
}

// === impl Limits ===

impl From<&Start> for Limits {
    fn from(start: &Start) -> Self {
        Self {
            run: start.timeout,
            idle: start.idle_timeout,
            unlinked: start.unlinked_timeout,
            grace: start.grace,
            linger: None,
        }
    }
}

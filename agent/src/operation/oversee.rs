//! A running process of an operation: its output, its deadline, its end.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};
use waggoner_process::{Child, Chunk, Output, Source, Spawn, SpawnError};
use waggoner_types::{Body, Exit, OutputStream};

use crate::{
    attempt::{Attempt, Cancel},
    parent::Parent,
};

/// Where the output of a process goes.
pub(crate) trait Sink: Send {
    /// Hears that the process was started.
    fn begin(&mut self, _pid: i32) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Takes a chunk, in its own time: the process waits meanwhile, once its pipe is full.
    fn take(&mut self, chunk: Chunk) -> impl Future<Output = ()> + Send;
}

/// Every chunk becomes a record.
#[derive(Debug)]
pub(crate) struct Raw<'a>(pub(crate) &'a Attempt);

/// How long a process may run, and what it gets at the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) timeout: Option<Duration>,
    pub(crate) grace: Duration,
}

/// How a process ended, and why if it was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    /// The reason of the order that ended it.
    pub(crate) cancelled: Option<String>,
}

// === impl Sink ===

impl Sink for Raw<'_> {
    async fn take(&mut self, chunk: Chunk) {
        let Chunk { source, bytes: data } = chunk;
        let stream = match source {
            Source::Stdout => OutputStream::Stdout,
            Source::Stderr => OutputStream::Stderr,
        };
        self.0.records.append(Body::Output { stream, offset: 0, lines: false, data }).await;
    }
}

/// Runs a process to its end: the end of its output, its time, or an order.
///
/// What it has started and left behind lives on when it exits by itself, as in Cloudify: starting
/// a daemon is a thing that operations do. When it is ended, all its family is.
pub(crate) async fn oversee(
    parent: &Parent,
    spawn: &Spawn,
    attempt: &Attempt,
    limits: Limits,
    sink: &mut impl Sink,
) -> Result<Ended, SpawnError> {
    let (child, output) = parent.start(spawn).await?;
    attempt.records.append_now(Body::ProcessStarted { pid: child.id().unsigned_abs() });
    let (ended, ()) = tokio::join!(end(&child, attempt, limits), pump(child.id(), output, sink));
    Ok(ended)
}

async fn pump(pid: i32, mut output: Output, sink: &mut impl Sink) {
    sink.begin(pid).await;
    while let Some(chunk) = output.next().await {
        sink.take(chunk).await;
    }
    if output.is_cut() {
        info!("a process that the operation left behind holds its output; what it writes is lost");
    }
}

async fn end(child: &Child, attempt: &Attempt, limits: Limits) -> Ended {
    let deadline = limits.timeout.map(|timeout| Instant::now() + timeout);
    let overrun = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        exit = child.wait() => Ended { exit: to_exit(exit), cancelled: None },
        () = overrun => {
            stop(child, attempt, limits.grace).await;
            Ended { exit: Exit::TimedOut, cancelled: None }
        }
        Cancel { kill, reason } = attempt.cancelled() => {
            stop(child, attempt, if kill { Duration::ZERO } else { limits.grace }).await;
            Ended { exit: Exit::Cancelled, cancelled: Some(reason) }
        }
    }
}

/// Ends the family of a process; an order to kill cuts the grace short.
async fn stop(child: &Child, attempt: &Attempt, grace: Duration) {
    let stopped = tokio::select! {
        stopped = child.stop(grace) => stopped,
        _ = attempt.killed(), if !grace.is_zero() => child.stop(Duration::ZERO).await,
    };
    if !stopped.left.is_empty() {
        warn!(pids = ?stopped.left, "processes of the operation cannot be ended");
    }
}

fn to_exit(exit: waggoner_process::Exit) -> Exit {
    match exit {
        waggoner_process::Exit::Code(code) => Exit::Code(code),
        waggoner_process::Exit::Signal(signal) => Exit::Signal(signal),
        waggoner_process::Exit::Lost => Exit::Lost,
    }
}

//! Tasks that come and go while their owner lives.

use std::{any::Any, error::Error, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::{sync::oneshot, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, error, error_span, warn};

use crate::Outcome;

/// A set of tasks that come and go, such as one per connection. Dropping it aborts them.
///
/// A task that fails or panics is logged under its name and concerns nobody else. A task that is
/// done costs nothing more, so the set may live as long as the daemon.
///
/// A task must not hold the set it belongs to (in an `Arc`): nothing would ever drop it.
#[derive(Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    abort: CancellationToken,
}

/// Tasks did not heed the order to stop and were aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} tasks still ran {grace:?} after the order to stop")]
pub struct Overdue {
    pub count: usize,
    pub grace: Duration,
}

// === impl Tasks ===

impl Tasks {
    /// Returns the token that is cancelled by [`Tasks::stop`].
    pub fn token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a task. Its log lines carry the name.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        let abort = self.abort.clone();
        let task = async move {
            tokio::select! {
                biased;
                () = abort.cancelled() => {}
                ended = AssertUnwindSafe(task).catch_unwind() => report(ended),
            }
        };
        self.tracker.spawn(task.instrument(error_span!("task", name)));
    }

    /// Does a thing to its end, from now on, also when whoever waits for it has gone meanwhile.
    /// Returns nothing where it was aborted or panicked.
    pub fn whole<T, F>(&self, thing: F) -> impl Future<Output = Option<T>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (done, end) = oneshot::channel();
        self.spawn("whole", async move { drop(done.send(thing.await)) });
        async move { end.await.ok() }
    }

    /// Returns how many tasks have not ended yet.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Says whether no task is running.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Waits until all tasks have ended, also those spawned meanwhile. Cancel safe.
    pub async fn join(&self) {
        // A closed tracker still takes tasks; it is only allowed to be done.
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Tells the tasks to stop, waits for `grace`, and aborts those that still run.
    pub async fn stop(&self, grace: Duration) -> Result<(), Overdue> {
        self.stop.cancel();
        if time::timeout(grace, self.join()).await.is_ok() {
            return Ok(());
        }
        let count = self.len();
        self.abort.cancel();
        self.join().await;
        Err(Overdue { count, grace })
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.abort.cancel();
    }
}

fn report(ended: Result<impl Outcome, Box<dyn Any + Send>>) {
    match ended.map(Outcome::into_result) {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => warn!(error = &*failure as &dyn Error, "the task failed"),
        Err(panic) => error!(panic = words(&*panic), "the task panicked"),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests;

//! The parts of a daemon, which live and die together.

use std::{collections::HashMap, error::Error, time::Duration};

use tokio::{
    task::{Id, JoinError, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error_span, info, warn};

use crate::{BoxError, Outcome};

/// A set of named tasks that live and die together. Dropping it aborts them.
///
/// The first task to fail cancels the others. A task that ends well early is simply done; its
/// siblings carry on.
#[derive(Debug, Default)]
pub struct Group {
    token: CancellationToken,
    tasks: JoinSet<Result<(), BoxError>>,
    names: HashMap<Id, &'static str>,
}

/// Why a [`Group`] did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("task `{name}` failed")]
    Failed {
        name: &'static str,
        #[source]
        source: BoxError,
    },
    #[error("task `{name}` panicked")]
    Panicked {
        name: &'static str,
        #[source]
        source: JoinError,
    },
    #[error("still running {grace:?} after the order to stop: {}", names.join(", "))]
    Overdue { names: Vec<&'static str>, grace: Duration },
}

// === impl Group ===

impl Group {
    /// Returns the token that is cancelled when the group is told to stop, or when a task fails.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Starts a task of the group. Its log lines carry the name.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        let task = async move { task.await.into_result() };
        let handle = self.tasks.spawn(task.instrument(error_span!("task", name)));
        self.names.insert(handle.id(), name);
    }

    /// Runs until `shutdown` resolves, a task fails or all are done; then stops what is left.
    ///
    /// Tasks get `grace` to notice their token. Those that do not are aborted and reported as
    /// [`Failure::Overdue`]. The first failure wins; later ones are logged.
    pub async fn run(
        mut self,
        shutdown: impl Future<Output = ()>,
        grace: Duration,
    ) -> Result<(), Failure> {
        let first = tokio::select! {
            failure = self.next_failure() => failure,
            () = shutdown => None,
        };
        self.token.cancel();
        info!(tasks = self.names.len(), "stopping");

        let drained = time::timeout(grace, self.drain()).await;
        let overdue = drained.is_err().then(|| self.abort(grace));
        match first.or(overdue) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Joins tasks until one has failed. `None` means that all are done. Cancel safe.
    async fn next_failure(&mut self) -> Option<Failure> {
        loop {
            let joined = self.tasks.join_next_with_id().await?;
            let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
            let name = self.names.remove(&id).expect("`spawn` names every task");
            match joined {
                Ok((_, Ok(()))) => {}
                Ok((_, Err(source))) => return Some(Failure::Failed { name, source }),
                Err(source) => return Some(Failure::Panicked { name, source }),
            }
        }
    }

    async fn drain(&mut self) {
        while let Some(failure) = self.next_failure().await {
            warn!(error = &failure as &dyn Error, "failed while stopping");
        }
    }

    fn abort(&mut self, grace: Duration) -> Failure {
        self.tasks.abort_all();
        let mut names: Vec<_> = self.names.values().copied().collect();
        names.sort_unstable();
        Failure::Overdue { names, grace }
    }
}

#[cfg(test)]
mod tests;

//! Who runs attempts.

use std::{fmt::Debug, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use waggoner_engine::Dispatch;
use waggoner_task::CancellationToken;

use super::{Stage, actor::Happening, attempt};
use crate::home::Home;

/// An attempt that is to be run.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) home: Arc<Home>,
    pub(crate) stage: Arc<Stage>,
    pub(crate) dispatch: Dispatch,
    /// Whom to tell that it has begun, and how it ended.
    pub(crate) happenings: mpsc::Sender<Happening>,
    pub(crate) cancel: CancellationToken,
}

/// Runs attempts: agents do, except in tests and benchmarks of what is around them.
pub(crate) trait Attempts: Debug + Send + Sync {
    /// Runs an attempt to its end and tells of it.
    fn run(&self, attempt: Attempt) -> BoxFuture<'static, ()>;
}

/// Agents run attempts.
#[derive(Debug)]
pub(crate) struct OnAgents;

impl Attempts for OnAgents {
    fn run(&self, attempt: Attempt) -> BoxFuture<'static, ()> {
        let Attempt { home, stage, dispatch, happenings, cancel } = attempt;
        Box::pin(attempt::run(home, stage, dispatch, happenings, cancel))
    }
}

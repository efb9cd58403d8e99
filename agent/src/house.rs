//! What the operations of one daemon share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Semaphore, watch};
use waggoner_python::Environments;

use crate::{
    artifacts::Artifacts, attempts::Attempts, context::CtxProxy, environments::Installs,
    facade::Facade, journal::Journal, operation::place::Left, state::StateDir,
};

/// What the operations of one daemon share.
#[derive(Debug)]
pub(crate) struct House {
    /// The agent's name.
    pub(crate) name: String,
    pub(crate) state: StateDir,
    pub(crate) journal: Arc<Journal>,
    pub(crate) attempts: Attempts,
    pub(crate) artifacts: Artifacts,
    pub(crate) environments: Environments,
    pub(crate) installs: Installs,
    pub(crate) facade: Facade,
    pub(crate) ctx_proxy: CtxProxy,
    pub(crate) left: Arc<Left>,
    /// One permit for each operation that may run at once.
    pub(crate) slots: Semaphore,
    pub(crate) slot_count: u32,
    /// How often a quiet stream says that it lives; the manager may choose.
    pub(crate) heartbeat: watch::Sender<Duration>,
    pub(crate) conversations: Conversations,
    /// Counts the managers' first words: each is of a new link.
    pub(crate) hellos: watch::Sender<u64>,
}

/// Counts the conversations that are held.
#[derive(Debug, Default)]
pub(crate) struct Conversations(AtomicUsize);

/// A conversation that is held, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a Conversations);

/// How often a quiet stream says that it lives, unless the manager has chosen.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

// === impl Conversations ===

impl Conversations {
    pub(crate) fn begin(&self) -> Counted<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

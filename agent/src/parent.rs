//! Who the parent of an operation's process is: today the daemon itself.
//!
//! Nothing outside this module starts an operation's process, so that a supervisor of its own,
//! which outlives the daemon, can take its place.

use std::io;

use waggoner_process::{Child, Orphans, Output, Spawn, SpawnError};

/// The one that starts the processes of operations.
#[derive(Clone, Debug)]
pub(crate) struct Parent {}

// === impl Parent ===

impl Parent {
    /// Takes the parenthood, and the duty to bury what the operations leave behind.
    pub(crate) fn new() -> io::Result<(Self, impl Future<Output = ()> + Send)> {
        let orphans = Orphans::adopt()?;
        Ok((Self {}, orphans.reap()))
    }

    /// A parent that leaves orphans to the host, for tests, where many share one process.
    #[cfg(test)]
    pub(crate) fn unburdened() -> Self {
        Self {}
    }

    /// Starts a process.
    pub(crate) async fn start(&self, spawn: &Spawn) -> Result<(Child, Output), SpawnError> {
        spawn.start().await
    }
}

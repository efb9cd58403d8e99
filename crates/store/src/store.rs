//! The store's handle.

use std::{
    fmt,
    fs::File,
    sync::{Arc, atomic::Ordering},
};

use camino::Utf8PathBuf;
use rusqlite::Connection;
use tokio::{sync::watch, task};

use crate::{
    artifact::Artifacts,
    error::{Error, Stop},
    open::{self, OpenError},
    reader::Readers,
    vault::Vault,
    verdict::{self, Decision},
    writer::{Tx, Undo, Writer},
};

/// The manager's database and artifacts. Cheap to clone.
///
/// Dropping the last handle waits for the writes that were sent, and closes the database.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    /// What the writes of this handle decide.
    pub(crate) decides: Option<Arc<Decision>>,
}

/// Whether a thing is deleted although others use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    IfUnused,
    Forced,
}

/// How much was written since the store was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Writes that were answered.
    pub writes: u64,
    /// Transactions that carried them, each synced to the disk once.
    pub commits: u64,
}

pub(crate) struct Inner {
    // In the order of their end: the writer, as the last connection, empties the write-ahead log,
    // and then the lock goes.
    pub(crate) readers: Readers,
    pub(crate) writer: Writer,
    pub(crate) artifacts: Artifacts,
    pub(crate) vault: Vault,
    pub(crate) last_event: watch::Receiver<u64>,
    pub(crate) _lock: File,
}

// === impl Store ===

impl Store {
    /// Opens the store in a data directory, which is made if it is not there.
    pub async fn open(directory: impl Into<Utf8PathBuf>) -> Result<Self, OpenError> {
        let directory = directory.into();
        let opening = task::spawn_blocking(move || open::open(&directory));
        let inner = opening
            .await
            .unwrap_or_else(|error| Err(OpenError::Thread(std::io::Error::other(error))))?;
        Ok(Self { inner: Arc::new(inner), decides: None })
    }

    /// Returns the files that belong to plugins and blueprints.
    pub fn artifacts(&self) -> &Artifacts {
        &self.inner.artifacts
    }

    /// Returns the id of the last committed event, 0 before the first, for as long as it grows.
    ///
    /// Wait for a level with `wait_for(|last| *last > after)`, then read what came.
    pub fn last_event(&self) -> watch::Receiver<u64> {
        self.inner.last_event.clone()
    }

    /// Returns how much was written since the store was opened.
    pub fn activity(&self) -> Activity {
        let counts = self.inner.writer.counts();
        Activity {
            writes: counts.writes.load(Ordering::Relaxed),
            commits: counts.commits.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    /// Runs a write and waits until it is on the disk. `attempt` completes "failed to …".
    pub(crate) async fn write<T, F>(&self, attempt: &'static str, write: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, Stop> + Send + 'static,
    {
        self.write_or_undo(Undo::Write, attempt, write).await
    }

    /// Runs a write that refuses before it changes anything, and waits until it is on the disk.
    /// `attempt` completes "failed to …".
    pub(crate) async fn write_checked<T, F>(
        &self,
        attempt: &'static str,
        write: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, Stop> + Send + 'static,
    {
        self.write_or_undo(Undo::Group, attempt, write).await
    }

    async fn write_or_undo<T, F>(
        &self,
        undo: Undo,
        attempt: &'static str,
        write: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, Stop> + Send + 'static,
    {
        let decides = self.decides.clone();
        let write = move |tx: &Tx<'_>| match decides {
            Some(decision) => verdict::decide(tx, &decision, || write(tx)),
            None => write(tx),
        };
        let written = self.inner.writer.write(undo, write).await;
        written.map_err(|stop| Error::from_stop(stop, attempt))
    }

    /// Runs a query on one state of the database. `attempt` completes "failed to …".
    pub(crate) async fn read<T, F>(&self, attempt: &'static str, query: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Stop> + Send + 'static,
    {
        let read = self.inner.readers.read(query).await;
        read.map_err(|stop| Error::from_stop(stop, attempt))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

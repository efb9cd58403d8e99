//! Who the parent of an operation's process is: today the daemon itself.
//!
//! Nothing outside this module starts an operation's process, so that a supervisor of its own,
//! which outlives the daemon, can take its place.

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use tokio::sync::RwLock;
use waggoner_process::{Child, Orphans, Output, Spawn, SpawnError};

/// The one that starts the processes of operations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parent {
    /// Held shared while a process is started, alone while a program is written: a child that was
    /// forked meanwhile would keep the file open for writing until its own program begins, and the
    /// kernel runs no file that somebody may write (`ETXTBSY`).
    starting: Arc<RwLock<()>>,
}

// === impl Parent ===

impl Parent {
    /// Takes the parenthood, and the duty to bury what the operations leave behind.
    pub(crate) fn new() -> io::Result<(Self, impl Future<Output = ()> + Send)> {
        let orphans = Orphans::adopt()?;
        Ok((Self::default(), orphans.reap()))
    }

    /// A parent that leaves orphans to the host, for tests, where many share one process.
    #[cfg(test)]
    pub(crate) fn unburdened() -> Self {
        Self::default()
    }

    /// Starts a process.
    pub(crate) async fn start(&self, spawn: &Spawn) -> Result<(Child, Output), SpawnError> {
        let _starting = self.starting.read().await;
        spawn.start().await
    }

    /// Writes a program that can be run at once into a folder, under the name of its source.
    pub(crate) async fn install(
        &self,
        source: &Utf8Path,
        folder: &Utf8Path,
    ) -> io::Result<Utf8PathBuf> {
        let text = fs_err::tokio::read(source).await?;
        let path = folder.join(source.file_name().unwrap_or("program"));
        let _alone = self.starting.write().await;
        let mut options = fs_err::OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o700)
            .open(&path)?
            .write_all(&text)?;
        Ok(path)
    }
}

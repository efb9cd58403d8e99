//! Where a supervisor and its daemon meet.

use std::{fs::DirBuilder, io, os::unix::fs::DirBuilderExt as _};

use camino::{Utf8Path, Utf8PathBuf};

/// The directory of a supervisor: its journal, its socket and its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    directory: Utf8PathBuf,
    run: Utf8PathBuf,
}

// === impl Home ===

impl Home {
    /// Names a home. Only this user may be able to enter it.
    pub fn new(directory: impl Into<Utf8PathBuf>) -> Self {
        let directory = directory.into();
        let run = directory.join("run");
        Self { directory, run }
    }

    /// Keeps the socket elsewhere: where the home's own path is too long for one.
    #[must_use]
    pub fn with_run(self, run: impl Into<Utf8PathBuf>) -> Self {
        Self { run: run.into(), ..self }
    }

    /// Makes the directories that are missing, for this user alone.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.run())
    }

    pub fn directory(&self) -> &Utf8Path {
        &self.directory
    }

    /// Returns the directory of the journal's files.
    pub fn journal(&self) -> Utf8PathBuf {
        self.directory.join("journal")
    }

    /// Returns the directory of what belongs to the running supervisor.
    pub fn run(&self) -> Utf8PathBuf {
        self.run.clone()
    }

    pub fn socket(&self) -> Utf8PathBuf {
        self.run().join("supervisor.sock")
    }

    /// Returns the file that the supervisor writes its stderr to.
    pub fn log(&self) -> Utf8PathBuf {
        self.run().join("supervisor.log")
    }
}

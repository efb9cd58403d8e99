//! Whom a server serves.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt as _};

use camino::Utf8PathBuf;

use crate::words::{Spawn, Warm};

/// All that decides what a server is. An environment that was made anew, in the same place, is
/// another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) program: Utf8PathBuf,
    pub(super) cwd: Utf8PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    /// The program's file: its device, its number, and when it was changed.
    file: (u64, u64, i64, i64),
}

// === impl Key ===

impl Key {
    /// `None` where there is no such program.
    pub(super) fn of(spawn: &Spawn, warm: &Warm) -> Option<Self> {
        // A link, in an environment: it is made with it.
        let file = fs_err::symlink_metadata(&spawn.program).ok()?;
        Some(Self {
            program: spawn.program.clone(),
            cwd: spawn.cwd.clone(),
            args: warm.args.clone(),
            env: warm.env.clone(),
            file: (file.dev(), file.ino(), file.ctime(), file.ctime_nsec()),
        })
    }
}

//! What interpreters said of themselves, kept in a file: asking one costs tens of milliseconds.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use tracing::debug;

use super::{Candidate, Interpreter};

/// What is known, by the interpreters' own paths.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known(BTreeMap<Utf8PathBuf, Entry>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Changes with the file.
    stamp: (u64, i64, i64),
    interpreter: Interpreter,
}

// === impl Known ===

impl Known {
    /// Reads the file; one that cannot be read knows nothing.
    pub(super) fn read(file: &Utf8Path) -> Self {
        let text = fs::read(file).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes the file, if it is not what was read.
    pub(super) fn write(&self, file: &Utf8Path, before: &Self) {
        if self == before {
            return;
        }
        let partial = file.with_extension("partial");
        let text = serde_json::to_vec(self).expect("it is plain data");
        let directory = file.parent().map_or(Ok(()), fs::create_dir_all);
        let written = directory
            .and_then(|()| fs::write(&partial, text))
            .and_then(|()| fs::rename(&partial, file));
        if let Err(error) = written {
            debug!(%error, "the interpreters are asked again the next time");
        }
    }

    pub(super) fn get(&self, candidate: &Candidate) -> Option<Interpreter> {
        let entry = self.0.get(&candidate.real)?;
        (stamp(&candidate.real)? == entry.stamp).then(|| entry.interpreter.clone())
    }

    /// Keeps what an interpreter said. Not what stands for another one, which may change unseen,
    /// and not what lacks something, which comes with a package of its own.
    pub(super) fn add(&mut self, candidate: &Candidate, interpreter: &Interpreter) {
        let is_whole =
            interpreter.has_venv && (interpreter.has_pip || interpreter.bundled.is_some());
        if is_whole
            && candidate.real == interpreter.path
            && let Some(stamp) = stamp(&candidate.real)
        {
            let entry = Entry { stamp, interpreter: interpreter.clone() };
            self.0.insert(candidate.real.clone(), entry);
        }
    }
}

fn stamp(path: &Utf8Path) -> Option<(u64, i64, i64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.size(), metadata.mtime(), metadata.ctime()))
}

//! Why an archive is refused.

use std::{borrow::Cow, io};

use camino::Utf8PathBuf;

/// An archive that is not taken, in one sentence that names the file and the entry.
#[derive(Debug, thiserror::Error)]
#[error("the {kind} `{file}` is refused: {flaw}")]
pub struct Refusal {
    /// What the file was taken for: wagon, archive.
    pub kind: &'static str,
    /// The file.
    pub file: Utf8PathBuf,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What is wrong with an archive: a clause that goes on from its name.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// The file itself could not be read: the host's trouble, not the archive's.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// Something could not be written beside it: the host's trouble, not the archive's.
    #[error("`{path}` cannot be written: {error}")]
    Unwritable {
        /// The file or directory.
        path: Utf8PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It as a whole.
    #[error("it {0}")]
    Archive(Cow<'static, str>),
    /// One entry.
    #[error("its entry `{entry}` {reason}")]
    Entry {
        /// The entry's name, shortened and escaped.
        entry: String,
        /// What is wrong.
        reason: Cow<'static, str>,
    },
    /// The description of the wagon.
    #[error("its package.json {0}")]
    Metadata(String),
}

// === impl Flaw ===

impl Flaw {
    pub(crate) fn archive(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Archive(reason.into())
    }

    pub(crate) fn entry(entry: &str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Entry { entry: excerpt(entry), reason: reason.into() }
    }

    pub(crate) fn metadata(reason: impl Into<String>) -> Self {
        Self::Metadata(reason.into())
    }

    pub(crate) fn unwritable(path: impl Into<Utf8PathBuf>, error: io::Error) -> Self {
        Self::Unwritable { path: path.into(), error }
    }

    /// Whether the host failed, and the same archive may be taken another time.
    pub fn is_of_the_host(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Unwritable { .. })
    }

    pub(crate) fn of(self, kind: &'static str, file: impl Into<Utf8PathBuf>) -> Refusal {
        Refusal { kind, file: file.into(), flaw: self }
    }
}

/// Bounds what a message repeats of foreign text, and keeps control characters out of terminals.
pub(crate) fn excerpt(given: &str) -> String {
    const SHOWN: usize = 120;
    let mut shown: String = given.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if given.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

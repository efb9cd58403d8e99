//! Where the runs of one source tree keep what they have built.

use std::env;

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::Utf8TempDir;
use sha2::{Digest as _, Sha256};
use waggoner_types::{Digest, TenantName};

use crate::{
    Error,
    site::Site,
    source::{SourceError, Tree},
};

/// The file that says of which wagon the environments are.
const CURRENT: &str = "wagon.digest";

/// A directory for one source tree.
pub(super) enum Place {
    Kept(Utf8PathBuf),
    /// It goes with the command.
    Scratch(Utf8TempDir),
}

// === impl Place ===

impl Place {
    /// The tree's own place in the user's cache; a temporary one for `fresh`, and where there is no
    /// home.
    pub(super) fn of(directory: &Utf8Path, fresh: bool) -> Result<Self, SourceError> {
        match cache().filter(|_| !fresh) {
            Some(cache) => {
                let digest = Digest(Sha256::digest(directory.as_str()).into()).to_string();
                let name = directory.file_name().unwrap_or("plugin");
                // Short, as sockets lie below it.
                let name: String = name.chars().take(20).collect();
                Ok(Self::Kept(
                    cache.join("waggoner/plugins").join(format!("{name}-{}", &digest[..8])),
                ))
            }
            None => camino_tempfile::tempdir().map(Self::Scratch).map_err(SourceError::Pack),
        }
    }

    pub(super) fn path(&self) -> &Utf8Path {
        match self {
            Self::Kept(path) => path,
            Self::Scratch(directory) => directory.path(),
        }
    }
}

/// Removes the environments of wagons that are not this one.
pub(super) fn forget_others(site: &Site, tenant: &TenantName, tree: &Tree) -> Result<(), Error> {
    let (current, digest) = (site.dir().join(CURRENT), tree.digest.to_string());
    if fs_err::read_to_string(&current).is_ok_and(|known| known == digest) {
        return Ok(());
    }
    site.forget_environments(tenant)?;
    let written = fs_err::write(&current, digest);
    written.map_err(|source| Error::Write { path: current, source })
}

/// The user's cache, by the XDG base directory specification.
fn cache() -> Option<Utf8PathBuf> {
    let told = |name| env::var(name).ok().map(Utf8PathBuf::from).filter(|path| path.is_absolute());
    told("XDG_CACHE_HOME").or_else(|| Some(told("HOME")?.join(".cache")))
}

//! Files by their SHA-256: wagons and blueprints' archives.
//!
//! ```text
//!  receive ─▶ Incoming ── write… ──▶ finish ─▶ Received ── publish ──▶ Artifact
//!             a file under              │      right and on disk,      under its digest
//!             artifacts/.incoming       │      not visible yet
//!                                       └─ too long, too short, another digest: gone
//! ```
//!
//! An artifact is visible whole or not at all. An [`Incoming`] or [`Received`] that is dropped
//! leaves nothing; what a crash leaves is cleared at the next start. Who holds an [`Artifact`]
//! keeps the sweep away from all of them: store the row that refers to it, then drop it.

use std::{collections::HashSet, io, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::AsyncWriteExt as _,
    sync::{OwnedRwLockReadGuard, RwLock},
    task,
};
use uuid::Uuid;
use waggoner_types::Digest;

use crate::{
    Error, Store,
    column::{Columns as _, all},
};

/// The artifacts of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Artifacts {
    directory: Utf8PathBuf,
    /// Read while an artifact may be on the disk without a row, written by the sweep.
    held: Arc<RwLock<()>>,
}

/// What was announced of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

/// An artifact that is coming in.
#[derive(Debug)]
pub struct Incoming {
    file: fs_err::tokio::File,
    staged: Staged,
    announced: Announced,
    size: u64,
    hash: Sha256,
    artifacts: Artifacts,
}

/// An artifact that came in as it was announced and is on the disk, to be looked at before it is
/// published.
#[derive(Debug)]
pub struct Received {
    staged: Staged,
    announced: Announced,
    artifacts: Artifacts,
}

/// An artifact in its place. While it is held nothing is swept.
#[derive(Debug)]
pub struct Artifact {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    pub path: Utf8PathBuf,
    _held: OwnedRwLockReadGuard<()>,
}

/// Why an artifact was not taken or not found. No part of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    #[error("{got} bytes came where {announced} were announced: send the whole file, and only it")]
    Size { announced: u64, got: u64 },
    #[error(
        "the bytes have the digest {got} where {announced} was announced: they were changed on \
         the way; send the file again"
    )]
    Digest { announced: Digest, got: Digest },
    #[error("there is no artifact {digest}")]
    Missing { digest: Digest },
    #[error("failed to keep the artifact {digest}")]
    Io {
        digest: Digest,
        #[source]
        source: io::Error,
    },
}

/// A file that is removed unless it is published.
#[derive(Debug)]
struct Staged(Option<Utf8PathBuf>);

/// Where artifacts are while they are not whole.
const INCOMING: &str = ".incoming";

// === impl Artifacts ===

impl Artifacts {
    /// Opens the directory and clears what a crash left half done. Blocks.
    pub(crate) fn open(directory: Utf8PathBuf) -> io::Result<Self> {
        let incoming = directory.join(INCOMING);
        match fs_err::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs_err::create_dir_all(&incoming)?;
        Ok(Self { directory, held: Arc::default() })
    }

    /// Begins to take an artifact.
    pub async fn receive(&self, announced: Announced) -> Result<Incoming, ArtifactError> {
        let path = self.directory.join(INCOMING).join(Uuid::new_v4().to_string());
        let staged = Staged(Some(path.clone()));
        let made = fs_err::tokio::File::create(path).await;
        let file = made.map_err(|source| failed(announced.digest, source))?;
        let (artifacts, hash) = (self.clone(), Sha256::new());
        Ok(Incoming { file, staged, announced, size: 0, hash, artifacts })
    }

    /// Returns where an artifact is, if it is there.
    pub fn path(&self, digest: Digest) -> Utf8PathBuf {
        self.directory.join(digest.to_string())
    }

    /// Opens an artifact to be read. Returns its size in bytes too.
    pub async fn open_artifact(
        &self,
        digest: Digest,
    ) -> Result<(fs_err::tokio::File, u64), ArtifactError> {
        let find = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ArtifactError::Missing { digest },
            _ => failed(digest, source),
        };
        let file = fs_err::tokio::File::open(self.path(digest)).await.map_err(find)?;
        let size = file.metadata().await.map_err(find)?.len();
        Ok((file, size))
    }

    /// Removes an artifact; one that is not there is no error.
    pub async fn remove(&self, digest: Digest) -> Result<(), ArtifactError> {
        match fs_err::tokio::remove_file(self.path(digest)).await {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed(digest, source)),
            _ => Ok(()),
        }
    }

    /// The artifacts that are there. Other files are none of ours.
    async fn list(&self) -> io::Result<Vec<Digest>> {
        let mut found = Vec::new();
        let mut entries = fs_err::tokio::read_dir(&self.directory).await?;
        while let Some(entry) = entries.next_entry().await? {
            found.extend(entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok()));
        }
        Ok(found)
    }
}

// === impl Store ===

impl Store {
    /// Removes the artifacts that no plugin and no blueprint refers to and that `kept` does not
    /// name, and returns them.
    ///
    /// Waits until nobody holds an [`Artifact`].
    pub async fn sweep_artifacts(
        &self,
        kept: impl FnOnce() -> HashSet<Digest>,
    ) -> Result<Vec<Digest>, Error> {
        const SWEEP: &str = "sweep the artifacts";
        let broken = |source: io::Error| Error::Failed { attempt: SWEEP, source: source.into() };

        let artifacts = self.artifacts();
        let _alone = artifacts.held.write().await;
        let kept = kept();
        let used: HashSet<Digest> = self
            .read(SWEEP, |connection| {
                let query = "SELECT digest FROM plugins UNION SELECT digest FROM blueprints";
                Ok(all(connection, query, [], |row| row.digest("digest"))?.into_iter().collect())
            })
            .await?;
        let mut swept = artifacts.list().await.map_err(broken)?;
        swept.retain(|digest| !used.contains(digest) && !kept.contains(digest));
        for digest in &swept {
            fs_err::tokio::remove_file(artifacts.path(*digest)).await.map_err(broken)?;
        }
        Ok(swept)
    }
}

// === impl Incoming ===

impl Incoming {
    /// Takes the next bytes. More than were announced are refused at once.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        self.size += bytes.len() as u64;
        if self.size > self.announced.size {
            return Err(ArtifactError::Size { announced: self.announced.size, got: self.size });
        }
        self.hash.update(bytes);
        let digest = self.announced.digest;
        self.file.write_all(bytes).await.map_err(|source| failed(digest, source))
    }

    /// Checks that all came as it was announced, and has it on the disk.
    pub async fn finish(mut self) -> Result<Received, ArtifactError> {
        let announced = self.announced;
        if self.size != announced.size {
            return Err(ArtifactError::Size { announced: announced.size, got: self.size });
        }
        let got = Digest(self.hash.finalize().into());
        if got != announced.digest {
            return Err(ArtifactError::Digest { announced: announced.digest, got });
        }
        let synced = async {
            self.file.flush().await?;
            self.file.sync_all().await
        };
        synced.await.map_err(|source| failed(announced.digest, source))?;
        Ok(Received { staged: self.staged, announced, artifacts: self.artifacts })
    }
}

// === impl Received ===

impl Received {
    /// Where it is until it is published or dropped.
    pub fn path(&self) -> &Utf8Path {
        self.staged.0.as_deref().expect("only publishing takes the path")
    }

    /// Makes it visible under its digest, for good. One that is there already stays.
    pub async fn publish(mut self) -> Result<Artifact, ArtifactError> {
        let Announced { digest, size } = self.announced;
        let held = Arc::clone(&self.artifacts.held).read_owned().await;
        let (from, directory) = (self.path().to_owned(), self.artifacts.directory.clone());
        let path = self.artifacts.path(digest);
        let to = path.clone();
        let renamed = task::spawn_blocking(move || {
            fs_err::rename(from, to)?;
            fs_err::File::open(directory)?.sync_all()
        });
        let renamed = renamed.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        renamed.map_err(|source| failed(digest, source))?;
        self.staged.0 = None;
        Ok(Artifact { digest, size, path, _held: held })
    }
}

// === impl Staged ===

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            fs_err::remove_file(path).ok();
        }
    }
}

fn failed(digest: Digest, source: io::Error) -> ArtifactError {
    ArtifactError::Io { digest, source }
}

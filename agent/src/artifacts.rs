//! Artifacts on the agent's disk, by the SHA-256 of their bytes.
//!
//! ```text
//!  begin ─▶ Upload (a temporary file) ── write … ── finish ─▶ <digest>   checked, synced, renamed
//!                  └── dropped: nothing is kept
//! ```

use std::{
    collections::HashMap,
    io::{self, Write as _},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::NamedUtf8TempFile;
use fs_err as fs;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tracing::info;
use waggoner_types::Digest;

/// The directory of the artifacts.
#[derive(Clone, Debug)]
pub(crate) struct Artifacts {
    directory: Utf8PathBuf,
    /// When the use of each was noted last.
    noted: Arc<Mutex<HashMap<Digest, Instant>>>,
}

/// An artifact that is being written.
#[derive(Debug)]
pub(crate) struct Upload {
    target: Utf8PathBuf,
    file: NamedUtf8TempFile,
    hash: Sha256,
    announced: Digest,
    size: u64,
    written: u64,
}

/// Why an artifact was not taken. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("{size} bytes are more than an artifact may have, which is {MOST}")]
    TooLarge { size: u64 },

    #[error("{size} bytes were announced and {written} came: send the artifact again")]
    WrongSize { size: u64, written: u64 },

    #[error("the bytes have the digest {got}, not {announced}: send the artifact again")]
    WrongDigest { announced: Digest, got: Digest },

    #[error("failed to store the artifact {digest}")]
    Store {
        digest: Digest,
        #[source]
        source: io::Error,
    },
}

/// How often it is noted that an artifact is used, at the most: what nobody uses goes after days.
const NOTED: Duration = Duration::from_mins(1);

/// The most bytes of an artifact: what Cloudify's largest plugins have, four times over.
const MOST: u64 = 2 * 1024 * 1024 * 1024;

// === impl Artifacts ===

impl Artifacts {
    /// Opens the directory, and clears away what was left unfinished.
    pub(crate) fn open(directory: Utf8PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        for entry in directory.read_dir_utf8()? {
            let entry = entry?;
            if entry.file_name().parse::<Digest>().is_err() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { directory, noted: Arc::default() })
    }

    /// Where an artifact is, if it is there.
    pub(crate) fn find(&self, digest: Digest) -> Option<Utf8PathBuf> {
        let path = self.path(digest);
        path.is_file().then_some(path)
    }

    /// Notes that an artifact is used now.
    pub(crate) fn touch(&self, digest: Digest) {
        let now = Instant::now();
        let mut noted = self.noted.lock().expect("nothing panics while it holds them");
        if noted.get(&digest).is_some_and(|noted| now.duration_since(*noted) < NOTED) {
            return;
        }
        noted.insert(digest, now);
        drop(noted);
        let file = fs::OpenOptions::new().append(true).open(self.path(digest));
        // One that is gone is not kept.
        drop(file.and_then(|file| file.file().set_modified(SystemTime::now())));
    }

    /// Removes an artifact, if it is there.
    pub(crate) fn remove(&self, digest: Digest) -> io::Result<()> {
        self.noted.lock().expect("nothing panics while it holds them").remove(&digest);
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Removes the artifacts that nobody has used for so long.
    pub(crate) fn collect(&self, unused_for: Duration, now: Timestamp) -> io::Result<()> {
        for entry in self.directory.read_dir_utf8()? {
            let entry = entry?;
            let Ok(digest) = entry.file_name().parse::<Digest>() else { continue };
            let modified = Timestamp::try_from(entry.metadata()?.modified()?);
            let is_old = |used_at| {
                let age = now.duration_since(used_at);
                age.is_positive() && age.unsigned_abs() >= unused_for
            };
            if modified.is_ok_and(is_old) {
                info!(%digest, "removed an artifact that nobody used");
                self.remove(digest)?;
            }
        }
        Ok(())
    }

    /// Begins to write an artifact.
    pub(crate) fn begin(&self, digest: Digest, size: u64) -> Result<Upload, WriteError> {
        if size > MOST {
            return Err(WriteError::TooLarge { size });
        }
        let file = NamedUtf8TempFile::with_prefix_in("upload-", &self.directory)
            .map_err(|source| WriteError::Store { digest, source })?;
        Ok(Upload {
            target: self.path(digest),
            file,
            hash: Sha256::new(),
            announced: digest,
            size,
            written: 0,
        })
    }

    /// Where an artifact is, or would be.
    pub(crate) fn path(&self, digest: Digest) -> Utf8PathBuf {
        self.directory.join(digest.to_string())
    }
}

// === impl Upload ===

impl Upload {
    /// Takes the next bytes. Blocks on the disk.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.written += bytes.len() as u64;
        if self.written > self.size {
            return Err(self.wrong_size());
        }
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// Makes the artifact visible, if it is what was announced. Blocks on the disk.
    pub(crate) fn finish(mut self) -> Result<(), WriteError> {
        if self.written != self.size {
            return Err(self.wrong_size());
        }
        let got = Digest(std::mem::take(&mut self.hash).finalize().into());
        let announced = self.announced;
        if got != announced {
            return Err(WriteError::WrongDigest { announced, got });
        }
        let failed = |source| WriteError::Store { digest: announced, source };
        self.file.as_file().sync_all().map_err(failed)?;
        self.file.persist(&self.target).map_err(|error| failed(error.error))?;
        sync_directory(self.target.parent()).map_err(failed)
    }

    fn wrong_size(&self) -> WriteError {
        WriteError::WrongSize { size: self.size, written: self.written }
    }

    fn failed(&self, source: io::Error) -> WriteError {
        WriteError::Store { digest: self.announced, source }
    }
}

fn sync_directory(directory: Option<&Utf8Path>) -> io::Result<()> {
    directory.map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use camino_tempfile::Utf8TempDir;

    use super::*;

    const TEXT: &[u8] = b"wheels within wheels";

    fn digest() -> Digest {
        Digest(Sha256::digest(TEXT).into())
    }

    fn names(directory: &Utf8TempDir) -> Vec<String> {
        let entries = directory.path().read_dir_utf8().unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_owned()).collect()
    }

    #[test]
    fn an_artifact_is_found_once_it_is_whole() {
        let directory = Utf8TempDir::new().unwrap();
        let artifacts = Artifacts::open(directory.path().to_owned()).unwrap();
        let mut upload = artifacts.begin(digest(), TEXT.len() as u64).unwrap();
        upload.write(&TEXT[..5]).unwrap();
        assert_eq!(artifacts.find(digest()), None);
        upload.write(&TEXT[5..]).unwrap();
        upload.finish().unwrap();
        let found = artifacts.find(digest()).unwrap();
        assert_eq!(fs::read(found).unwrap(), TEXT);
    }

    #[test]
    fn nothing_is_kept_of_what_is_not_what_was_announced() {
        let directory = Utf8TempDir::new().unwrap();
        let artifacts = Artifacts::open(directory.path().to_owned()).unwrap();
        let size = TEXT.len() as u64;

        let mut other = artifacts.begin(Digest([7; 32]), size).unwrap();
        other.write(TEXT).unwrap();
        assert!(matches!(other.finish(), Err(WriteError::WrongDigest { .. })));

        let mut short = artifacts.begin(digest(), size + 1).unwrap();
        short.write(TEXT).unwrap();
        assert!(matches!(short.finish(), Err(WriteError::WrongSize { .. })));

        let mut long = artifacts.begin(digest(), size - 1).unwrap();
        assert!(matches!(long.write(TEXT), Err(WriteError::WrongSize { .. })));
        drop(long);

        assert!(matches!(artifacts.begin(digest(), MOST + 1), Err(WriteError::TooLarge { .. })));
        assert_eq!(names(&directory), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn the_use_of_an_artifact_is_noted_once_a_minute() {
        let directory = Utf8TempDir::new().unwrap();
        let artifacts = Artifacts::open(directory.path().to_owned()).unwrap();
        let path = artifacts.path(digest());
        let age = || {
            let file = fs::OpenOptions::new().write(true).create(true).open(&path).unwrap();
            file.file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        };
        let is_old = || fs::metadata(&path).unwrap().modified().unwrap() == SystemTime::UNIX_EPOCH;
        for (wait, noted) in [(Duration::ZERO, true), (NOTED / 2, false), (NOTED / 2, true)] {
            age();
            tokio::time::advance(wait).await;
            artifacts.touch(digest());
            assert_eq!(is_old(), !noted);
        }
        artifacts.remove(digest()).unwrap();
        age();
        artifacts.touch(digest());
        assert!(!is_old(), "it is another one, by the same digest");
    }

    #[test]
    fn what_a_crash_left_is_cleared_away() {
        let directory = Utf8TempDir::new().unwrap();
        fs::write(directory.path().join("upload-x"), "half").unwrap();
        Artifacts::open(directory.path().to_owned()).unwrap();
        assert_eq!(names(&directory), Vec::<String>::new());
    }
}

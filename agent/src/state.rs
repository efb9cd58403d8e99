//! The agent's directory: one agent at a time, and where everything is in it.
//!
//! ```text
//!  identity/       the private key and the certificate
//!  artifacts/      by digest
//!  python/         Python environments, and what they are made of
//!  journal/        what the supervisor keeps of attempts
//!  facade/         the certificate and the ports of what is served on the loopback
//!  attempts/<id>/  one operation's own, another's or gone soon after it ends
//!  work/           where operations work: Cloudify's AGENT_WORK_DIR
//!  bin/ctx         this program, by the name under which scripts know it
//!  run/            sockets
//! ```
//!
//! Operations outlive the daemon: what they hold stays where it is from one life of the daemon to
//! the next.

use std::{
    fs::File,
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use sha2::{Digest as _, Sha256};
use waggoner_types::Digest;

/// The directory, held by this process.
#[derive(Debug)]
pub(crate) struct StateDir {
    root: Utf8PathBuf,
    run: Utf8PathBuf,
    _lock: File,
}

/// Why a directory cannot be the agent's.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("failed to use `{path}` as the agent's directory")]
    Use {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },

    #[error(
        "the directory `{path}` is used by another agent: stop that one, or give this one its own"
    )]
    Taken { path: Utf8PathBuf },
}

/// The most bytes of a path that leads to the sockets: `sun_path` of unix(7) holds 108, with a zero
/// at the end, and a socket's own name has up to 16.
const LONGEST: usize = 108 - 1 - 16;

// === impl StateDir ===

impl StateDir {
    /// Takes the directory, and makes what is missing in it. `program` is this program, which
    /// scripts call as `ctx`.
    pub(crate) fn open(path: &Utf8Path, program: &Path) -> Result<Self, StateError> {
        let failed = |source| StateError::Use { path: path.to_owned(), source };
        private(path).map_err(failed)?;
        let root = path.canonicalize_utf8().map_err(failed)?;
        let lock = File::from(fs::File::create(root.join("lock")).map_err(failed)?);
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(StateError::Taken { path: path.to_owned() });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        let run = Self::make(&root, program).map_err(failed)?;
        Ok(Self { root, run, _lock: lock })
    }

    fn make(root: &Utf8Path, program: &Path) -> io::Result<Utf8PathBuf> {
        for name in DIRECTORIES {
            private(&root.join(name))?;
        }
        // In one step: an operation of another life may be about to call it.
        let (next, ctx) = (root.join("bin/ctx.next"), root.join("bin/ctx"));
        remove_file(&next)?;
        fs::os::unix::fs::symlink(program, &next)?;
        fs::rename(next, ctx)?;
        let run = root.join("run");
        if run.as_str().len() <= LONGEST { Ok(run) } else { outside(root) }
    }

    /// Clears away what belongs to no attempt that is still of use.
    pub(crate) fn sweep(&self, is_of_use: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in self.attempts().read_dir_utf8()?.flatten() {
            if !is_of_use(entry.file_name()) {
                remove(entry.path())?;
            }
        }
        Ok(())
    }

    pub(crate) fn identity(&self) -> Utf8PathBuf {
        self.root.join("identity")
    }

    pub(crate) fn artifacts(&self) -> Utf8PathBuf {
        self.root.join("artifacts")
    }

    /// Where Python environments and what they are made of are kept.
    pub(crate) fn python(&self) -> Utf8PathBuf {
        self.root.join("python")
    }

    /// Where the REST facade keeps its certificate.
    pub(crate) fn facade(&self) -> Utf8PathBuf {
        self.root.join("facade")
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        &self.root
    }

    pub(crate) fn attempts(&self) -> Utf8PathBuf {
        self.root.join("attempts")
    }

    pub(crate) fn work(&self) -> Utf8PathBuf {
        self.root.join("work")
    }

    /// Where `ctx` is.
    pub(crate) fn bin(&self) -> Utf8PathBuf {
        self.root.join("bin")
    }

    /// Where sockets are; their names have 15 characters at the most.
    pub(crate) fn run(&self) -> &Utf8Path {
        &self.run
    }

    /// Counts the bytes that are free on the directory's file system.
    pub(crate) fn free(&self) -> u64 {
        rustix::fs::statvfs(self.root.as_std_path())
            .map_or(0, |system| system.f_bavail.saturating_mul(system.f_frsize))
    }
}

/// What is made in it.
const DIRECTORIES: [&str; 9] =
    ["identity", "artifacts", "python", "journal", "facade", "attempts", "work", "run", "bin"];

/// Finds the directory for the sockets of a state directory whose own paths are too long for them:
/// always the same one, and nobody else's.
fn outside(root: &Utf8Path) -> io::Result<Utf8PathBuf> {
    let name = Digest(Sha256::digest(root.as_str()).into()).to_string();
    let path = Utf8PathBuf::try_from(std::env::temp_dir())
        .map_err(camino::FromPathBufError::into_io_error)?;
    let path = path.join(format!("waggoner-{}", &name[..16]));
    private(&path)?;
    let found = fs::symlink_metadata(&path)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        let why = format!("`{path}` is somebody else's");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(path)
}

/// Makes a directory that nobody else may enter.
pub(crate) fn private(path: &Utf8Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

/// Makes a directory that nobody else may enter, unless it is there.
pub(crate) fn own(path: &Utf8Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Removes a directory with all in it, if it is there.
pub(crate) fn remove(path: &Utf8Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove_file(path: &Utf8Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use camino_tempfile::Utf8TempDir;

    use super::*;

    #[test]
    fn a_directory_serves_one_agent_at_a_time() {
        let directory = Utf8TempDir::new().unwrap();
        let held = StateDir::open(directory.path(), Path::new("/bin/true")).unwrap();
        assert!(matches!(
            StateDir::open(directory.path(), Path::new("/bin/true")),
            Err(StateError::Taken { .. })
        ));
        drop(held);
        StateDir::open(directory.path(), Path::new("/bin/true")).unwrap();
    }

    #[test]
    fn nobody_else_may_enter_and_what_is_of_no_use_is_swept() {
        let directory = Utf8TempDir::new().unwrap();
        let left = ["live", "stale"].map(|name| directory.path().join("attempts").join(name));
        for path in &left {
            fs::create_dir_all(path).unwrap();
        }
        let state = StateDir::open(directory.path(), Path::new("/bin/true")).unwrap();
        state.sweep(|name| name == "live").unwrap();
        assert_eq!(left.map(|path| path.exists()), [true, false]);
        let mode = fs::metadata(state.identity()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(state.bin().join("ctx").is_symlink());
    }

    #[test]
    fn sockets_have_short_paths_in_deep_directories() {
        let directory = Utf8TempDir::new().unwrap();
        let deep = directory.path().join("d".repeat(120));
        let state = StateDir::open(&deep, Path::new("/bin/true")).unwrap();
        let socket = state.run().join("1234567890.sock");
        std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let run = state.run().to_owned();
        drop(state);
        let again = StateDir::open(&deep, Path::new("/bin/true")).unwrap();
        assert_eq!(again.run(), run, "an operation of another life knows it");
        assert!(socket.exists());
        fs::remove_dir_all(run).unwrap();
    }
}

//! The agent's directory: one agent at a time, and where everything is in it.
//!
//! ```text
//!  identity/       the private key and the certificate
//!  artifacts/      by digest
//!  python/         Python environments, and what they are made of
//!  attempts/<id>/  one operation's own, gone when it ends
//!  work/           where operations work: Cloudify's AGENT_WORK_DIR
//!  bin/ctx         this program, by the name under which scripts know it
//!  run/            sockets and the facade's certificate, made anew at each start
//! ```

use std::{fs::File, io, os::unix::fs::PermissionsExt as _, path::Path};

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::Utf8TempDir;
use fs_err as fs;

/// The directory, held by this process.
#[derive(Debug)]
pub(crate) struct StateDir {
    root: Utf8PathBuf,
    run: Run,
    _lock: File,
}

#[derive(Debug)]
enum Run {
    Inside(Utf8PathBuf),
    /// Where the paths inside would be too long for a socket.
    Outside(Utf8TempDir),
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
    /// Takes the directory, makes what is missing in it, and clears away what another life left.
    /// `program` is this program, which scripts call as `ctx`.
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

    fn make(root: &Utf8Path, program: &Path) -> io::Result<Run> {
        for name in ["attempts", "run", "bin"] {
            remove(&root.join(name))?;
        }
        for name in ["identity", "artifacts", "python", "attempts", "work", "run", "bin"] {
            private(&root.join(name))?;
        }
        fs::os::unix::fs::symlink(program, root.join("bin/ctx"))?;
        let run = root.join("run");
        if run.as_str().len() <= LONGEST {
            return Ok(Run::Inside(run));
        }
        Ok(Run::Outside(camino_tempfile::Builder::new().prefix("waggoner-").tempdir()?))
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
        match &self.run {
            Run::Inside(path) => path,
            Run::Outside(directory) => directory.path(),
        }
    }

    /// Counts the bytes that are free on the directory's file system.
    pub(crate) fn free(&self) -> u64 {
        rustix::fs::statvfs(self.root.as_std_path())
            .map_or(0, |system| system.f_bavail.saturating_mul(system.f_frsize))
    }
}

/// Makes a directory that nobody else may enter.
pub(crate) fn private(path: &Utf8Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

/// Removes a directory with all in it, if it is there.
pub(crate) fn remove(path: &Utf8Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
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
    fn nobody_else_may_enter_and_what_another_life_left_is_gone() {
        let directory = Utf8TempDir::new().unwrap();
        let left = directory.path().join("attempts/stale");
        fs::create_dir_all(&left).unwrap();
        let state = StateDir::open(directory.path(), Path::new("/bin/true")).unwrap();
        assert!(!left.exists());
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
        std::os::unix::net::UnixListener::bind(socket).unwrap();
    }
}

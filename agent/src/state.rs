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
//!  run/            sockets; and, where it leads to memory, what goes between us and operations
//! ```
//!
//! Operations outlive the daemon: what they hold stays where it is from one life of the daemon to
//! the next.
//!
//! `run/` is a link where there is a directory for what is gone with the host's next start, as
//! systemd.exec(5) has it for `RuntimeDirectory=`. A disk looks long for the numbers of files that
//! are made and removed by the hundred.

use std::{
    fs::File,
    io,
    os::unix::{
        fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::Path,
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use sha2::{Digest as _, Sha256};
use waggoner_supervisor::Home;
use waggoner_types::{AttemptId, Digest};

/// The directory, held by this process.
#[derive(Debug)]
pub(crate) struct StateDir {
    root: Utf8PathBuf,
    run: Utf8PathBuf,
    /// What `run` has is in memory.
    is_volatile: bool,
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

    #[error("failed to use `{path}`, which `--runtime-dir` names")]
    Runtime {
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
    /// scripts call as `ctx`; `runtime` is for what may be gone with the host's next start.
    pub(crate) fn open(
        path: &Utf8Path,
        runtime: Option<&Utf8Path>,
        program: &Path,
    ) -> Result<Self, StateError> {
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
        Self::make(&root, program).map_err(failed)?;
        let home = Home::new(&root);
        let run = if home.run().as_str().len() <= LONGEST {
            let runtime = runtime.map(in_memory).transpose()?;
            make_run(&home, runtime.as_deref()).map_err(failed)?;
            home.run()
        } else {
            outside(&root).map_err(failed)?
        };
        let is_volatile = run.is_symlink();
        Ok(Self { root, run, is_volatile, _lock: lock })
    }

    fn make(root: &Utf8Path, program: &Path) -> io::Result<()> {
        for name in DIRECTORIES {
            private(&root.join(name))?;
        }
        // In one step: an operation of another life may be about to call it.
        let (next, ctx) = (root.join("bin/ctx.next"), root.join("bin/ctx"));
        remove_file(&next)?;
        fs::os::unix::fs::symlink(program, &next)?;
        fs::rename(next, ctx)
    }

    /// Clears away what belongs to no attempt that is still of use.
    pub(crate) fn sweep(&self, of_use: &[AttemptId]) -> io::Result<()> {
        let is_of_use = |path: &Utf8Path| {
            of_use.iter().any(|id| path == self.attempt(*id) || path == self.dispatch(*id))
        };
        for directory in [&self.root.join("attempts"), &self.run] {
            for entry in directory.read_dir_utf8()?.flatten() {
                if entry.file_type()?.is_dir() && !is_of_use(entry.path()) {
                    remove(entry.path())?;
                }
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

    /// Where an attempt has what is its own.
    pub(crate) fn attempt(&self, id: AttemptId) -> Utf8PathBuf {
        self.root.join("attempts").join(id.to_string())
    }

    /// Where an attempt's process finds its input and leaves its output.
    pub(crate) fn dispatch(&self, id: AttemptId) -> Utf8PathBuf {
        if self.is_volatile { self.run.join(short(id)) } else { self.attempt(id) }
    }

    /// The socket of an attempt.
    pub(crate) fn socket(&self, id: AttemptId) -> Utf8PathBuf {
        self.run.join(format!("{}.sock", short(id)))
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
const DIRECTORIES: [&str; 8] =
    ["identity", "artifacts", "python", "journal", "facade", "attempts", "work", "bin"];

/// Makes the directory that is named for what is gone with the host's next start, and finds it.
fn in_memory(path: &Utf8Path) -> Result<Utf8PathBuf, StateError> {
    let found = fs::create_dir_all(path).and_then(|()| path.canonicalize_utf8());
    found.map_err(|source| StateError::Runtime { path: path.to_owned(), source })
}

/// Makes the directory of what is gone with the host's next start. It stays where it is while a
/// supervisor is there: operations of another life know it.
fn make_run(home: &Home, runtime: Option<&Utf8Path>) -> io::Result<()> {
    let (run, name) = (home.run(), own_name(home.directory()));
    let wanted = runtime.map(|runtime| runtime.join(&name));
    let there = fs::symlink_metadata(&run).is_ok();
    let leads_to = run.read_link_utf8().ok();
    if leads_to != wanted || !there {
        if UnixStream::connect(home.socket()).is_ok() {
            return Ok(());
        }
        match leads_to {
            Some(other) => {
                fs::remove_file(&run)?;
                // What is in it is nobody's any more.
                if other.file_name() == Some(&name) {
                    remove(&other)?;
                }
            }
            None => remove(&run)?,
        }
    }
    let Some(wanted) = wanted else { return private(&run) };
    private_of_ours(&wanted)?;
    if !run.is_symlink() {
        fs::os::unix::fs::symlink(wanted, run)?;
    }
    Ok(())
}

/// Finds the directory for the sockets of a state directory whose own paths are too long for them:
/// always the same one, and nobody else's.
fn outside(root: &Utf8Path) -> io::Result<Utf8PathBuf> {
    let path = Utf8PathBuf::try_from(std::env::temp_dir())
        .map_err(camino::FromPathBufError::into_io_error)?;
    let path = path.join(own_name(root));
    private_of_ours(&path)?;
    Ok(path)
}

/// The name of a state directory's directory among those of others: always the same.
fn own_name(root: &Utf8Path) -> String {
    let digest = Digest(Sha256::digest(root.as_str()).into()).to_string();
    format!("waggoner-{}", &digest[..16])
}

/// The name of what is an attempt's own in `run`: 10 characters, always the same.
fn short(id: AttemptId) -> String {
    let digits = id.0.simple().to_string();
    digits[digits.len() - 10..].to_owned()
}

/// Makes a directory that nobody else may enter, where others may have made one before us.
fn private_of_ours(path: &Utf8Path) -> io::Result<()> {
    own(path)?;
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        let why = format!("`{path}` is somebody else's");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    private(path)
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
    use std::os::unix::net::UnixListener;

    use camino_tempfile::Utf8TempDir;

    use super::*;

    #[test]
    fn a_directory_serves_one_agent_at_a_time() {
        let directory = Utf8TempDir::new().unwrap();
        let held = StateDir::open(directory.path(), None, Path::new("/bin/true")).unwrap();
        assert!(matches!(
            StateDir::open(directory.path(), None, Path::new("/bin/true")),
            Err(StateError::Taken { .. })
        ));
        drop(held);
        StateDir::open(directory.path(), None, Path::new("/bin/true")).unwrap();
    }

    #[test]
    fn nobody_else_may_enter_and_what_is_of_no_use_is_swept() {
        let directory = Utf8TempDir::new().unwrap();
        let memory = Utf8TempDir::new().unwrap();
        let volatile = Some(memory.path());
        let state = StateDir::open(directory.path(), volatile, Path::new("/bin/true")).unwrap();
        let [live, gone] = [(); 2].map(|()| AttemptId(uuid::Uuid::new_v4()));
        let left = [live, gone].map(|id| [state.attempt(id), state.dispatch(id)]).concat();
        for path in &left {
            fs::create_dir_all(path).unwrap();
        }
        state.sweep(&[live]).unwrap();
        let is_left: Vec<_> = left.iter().map(|path| path.exists()).collect();
        assert_eq!(is_left, [true, true, false, false]);
        let mode = fs::metadata(state.identity()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(state.bin().join("ctx").is_symlink());
    }

    #[test]
    fn sockets_have_short_paths_in_deep_directories() {
        let directory = Utf8TempDir::new().unwrap();
        let deep = directory.path().join("d".repeat(120));
        let state = StateDir::open(&deep, None, Path::new("/bin/true")).unwrap();
        let socket = state.run().join("1234567890.sock");
        UnixListener::bind(&socket).unwrap();
        let run = state.run().to_owned();
        drop(state);
        let again = StateDir::open(&deep, None, Path::new("/bin/true")).unwrap();
        assert_eq!(again.run(), run, "an operation of another life knows it");
        assert!(socket.exists());
        fs::remove_dir_all(run).unwrap();
    }

    #[test]
    fn what_goes_with_the_hosts_next_start_is_where_it_is_told_unless_somebody_uses_another() {
        let directory = Utf8TempDir::new().unwrap();
        let memory = Utf8TempDir::new().unwrap();
        let open = |runtime| StateDir::open(directory.path(), runtime, Path::new("/bin/true"));
        let id = AttemptId(uuid::Uuid::new_v4());
        let leads_to = |state: &StateDir, to: &Utf8TempDir| {
            state.run().canonicalize_utf8().unwrap().starts_with(to.path())
        };
        let listen = |state: &StateDir| UnixListener::bind(state.run().join("supervisor.sock"));

        let state = open(None).unwrap();
        let socket = state.socket(id);
        assert_eq!(state.dispatch(id), state.attempt(id));
        let supervisor = listen(&state).unwrap();
        drop(state);
        let state = open(Some(memory.path())).unwrap();
        assert!(leads_to(&state, &directory), "an operation knows it");
        drop((supervisor, state));

        let state = open(Some(memory.path())).unwrap();
        assert!(leads_to(&state, &memory));
        assert_eq!(state.socket(id), socket);
        assert!(state.dispatch(id).starts_with(state.run()));
        let supervisor = listen(&state).unwrap();
        drop(state);
        let state = open(None).unwrap();
        assert!(leads_to(&state, &memory), "an operation knows it");
        drop((supervisor, state));

        assert!(leads_to(&open(None).unwrap(), &directory));
        assert_eq!(fs::read_dir(memory.path()).unwrap().count(), 0, "nobody would look there");

        // The host starts again.
        fs::remove_dir_all(memory.path()).unwrap();
        fs::create_dir(memory.path()).unwrap();
        assert!(leads_to(&open(Some(memory.path())).unwrap(), &memory));
        fs::remove_dir_all(memory.path()).unwrap();
        assert!(leads_to(&open(None).unwrap(), &directory));
    }
}

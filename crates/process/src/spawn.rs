//! What to run, and starting it.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::{
    fs::{Access, access},
    io::FdFlags,
    process::{Pid, Signal, kill_process},
};
use tokio::time::sleep;
use tracing::debug;

use crate::{
    Child, Output, birth,
    cgroup::Cgroup,
    leader::{self, Leader},
    moment::Moment,
    output::receiver,
};

mod flaw;

pub use flaw::{Flaw, SpawnError};

/// A process to be started, completely described: it inherits nothing but the limits of its user.
///
/// Its stdin is empty, its stdout and stderr are pipes, it leads a process group of its own and
/// all signals are at their defaults.
#[derive(Clone, Debug)]
pub struct Spawn {
    /// A path, relative to `cwd`; or, without a slash, a name looked up in the `PATH` of `env`.
    pub program: Utf8PathBuf,
    /// The arguments after the program's name.
    pub args: Vec<String>,
    /// The whole environment, except for [`MARK`], which is added.
    pub env: BTreeMap<String, String>,
    pub cwd: Utf8PathBuf,
    /// What [`MARK`] says: a word that no other family on this host has. `None` makes one.
    pub mark: Option<String>,
    /// Where it is born, if it can be: in a cgroup that nobody else is in.
    pub cgroup: Option<Arc<Cgroup>>,
    /// How long the [`Output`] stays open after the child's exit for a descendant that holds it.
    pub linger: Duration,
}

/// The environment variable by which a family is recognised after its parents are gone.
pub const MARK: &str = "WAGGONER_FAMILY";

/// How long a pipe is kept for a descendant when nothing else was asked for.
///
/// Long enough for one that finishes writing, short enough for one that never will.
const LINGER: Duration = Duration::from_secs(2);

/// How often, and how far apart, a program is tried again that somebody is still writing.
///
/// Another thread's child holds a copy of every descriptor from its fork to its exec, also of
/// a script that was just written and closed here: milliseconds, more on a busy host.
const BUSY: (u32, Duration) = (20, Duration::from_millis(10));

/// Descriptors that we were born with are kept from our children.
///
/// What Rust opens is close-on-exec. What a shell, a service manager or a build tool left open for
/// us is not, and a daemon started by a script would hold it for good.
static SEALED: LazyLock<()> = LazyLock::new(seal_now);

/// A child that was started, before somebody has taken charge of it.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) leader: Arc<Leader>,
    /// In clock ticks since the boot.
    born: u64,
    mark: Arc<str>,
    cgroup: Option<Arc<Cgroup>>,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// A child, the ends of its stdout and stderr, and the cgroup in which it was born.
type Born = (Pid, OwnedFd, OwnedFd, Option<Arc<Cgroup>>);

// === impl Spawn ===

impl Spawn {
    /// Describes a program without arguments and environment.
    pub fn new(program: impl Into<Utf8PathBuf>, cwd: impl Into<Utf8PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: cwd.into(),
            mark: None,
            cgroup: None,
            linger: LINGER,
        }
    }

    /// Starts it. On an error nothing runs.
    pub async fn start(&self) -> Result<(Child, Output), SpawnError> {
        let begun = self.begin(None).await?;
        // Made first, so that a failure below kills what was started.
        let (leader, mark) = (Arc::clone(&begun.leader), Arc::clone(&begun.mark));
        let child = Child::born(begun.born, leader, mark, begun.cgroup.clone());
        Ok((child, begun.into_output(self.linger).map_err(|error| self.failed(error))?))
    }

    /// Starts it, with this as its stdin if there is one.
    pub(crate) async fn begin(&self, stdin: Option<&OwnedFd>) -> Result<Begun, SpawnError> {
        let fail = |flaw| SpawnError { program: self.program.clone(), flaw };
        seal();
        leader::reap_abandoned();
        let program = self.locate().map_err(fail)?;
        let word = self.mark.clone().unwrap_or_else(next_mark);
        let mark = format!("{MARK}={word}");
        let mut tries = 0;
        loop {
            match self.spawn(&program, &mark, stdin) {
                Ok(started) => return Ok(started),
                Err(error)
                    if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY.0 =>
                {
                    tries += 1;
                    sleep(BUSY.1).await;
                }
                Err(error) => return Err(fail(Flaw::diagnose(&program, &self.cwd, error))),
            }
        }
    }

    fn spawn(&self, program: &Utf8Path, mark: &str, stdin: Option<&OwnedFd>) -> io::Result<Begun> {
        let _guard = leader::SPAWNING.read();
        let before = Moment::now();
        let (pid, stdout, stderr, cgroup) = self.bear(program, mark, stdin)?;
        let leader = Arc::new(adopt(pid)?);
        let born = before.born(pid);
        Ok(Begun { leader, born, mark: mark.into(), cgroup, stdout, stderr })
    }

    /// Starts the child in its cgroup, or, where that cannot be, without.
    fn bear(&self, program: &Utf8Path, mark: &str, stdin: Option<&OwnedFd>) -> io::Result<Born> {
        if let Some(cgroup) = &self.cgroup {
            match birth::start(cgroup, self, program.as_str(), mark, stdin) {
                Ok((pid, stdout, stderr)) => {
                    return Ok((pid, stdout, stderr, Some(Arc::clone(cgroup))));
                }
                Err(error) if is_forbidden(&error) => {
                    debug!(%error, "children cannot be born in cgroups here");
                }
                Err(error) => return Err(error),
            }
        }
        let (_, word) = mark.split_once('=').unwrap_or_default();
        let mut command = Command::new(program);
        command
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .env(MARK, word)
            .current_dir(&self.cwd)
            .stdin(match stdin {
                Some(stdin) => stdin.try_clone()?.into(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut spawned = command.spawn()?;
        let pid = i32::try_from(spawned.id()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("the kernel's process ids are positive");
        let pipes = spawned.stdout.take().zip(spawned.stderr.take());
        let (stdout, stderr) = pipes.expect("both were asked to be pipes");
        Ok((pid, stdout.into(), stderr.into(), None))
    }

    /// Says why it did not start.
    pub(crate) fn failed(&self, error: io::Error) -> SpawnError {
        let flaw = Flaw::diagnose(&self.program, &self.cwd, error);
        SpawnError { program: self.program.clone(), flaw }
    }

    /// Finds the file to run.
    ///
    /// The standard library would look it up as well, but then it forks instead of using
    /// `posix_spawn`, which is slow from a large process.
    fn locate(&self) -> Result<Utf8PathBuf, Flaw> {
        if self.program.as_str().contains('/') {
            return Ok(self.cwd.join(&self.program));
        }
        let path = self.env.get("PATH").map_or("", String::as_str);
        let found =
            path.split(':').filter(|directory| !directory.is_empty()).find_map(|directory| {
                let file = self.cwd.join(directory).join(&self.program);
                let runs = file.is_file() && access(file.as_std_path(), Access::EXEC_OK).is_ok();
                runs.then_some(file)
            });
        found.ok_or_else(|| Flaw::NotInPath { path: path.to_owned() })
    }
}

// === impl Begun ===

impl Begun {
    pub(crate) fn into_output(self, linger: Duration) -> io::Result<Output> {
        let (stdout, stderr) = (receiver(self.stdout)?, receiver(self.stderr)?);
        Ok(Output::new(self.leader, stdout, stderr, linger))
    }
}

/// Says whether the kernel, or who guards it, does not let us use `clone3` or the cgroup.
///
/// What the program itself is refused with (`EACCES`, for one) is tried again without a cgroup,
/// and fails the same way.
fn is_forbidden(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, NotFound, PermissionDenied, ResourceBusy, Unsupported};
    let is_ours = matches!(error.kind(), NotFound | PermissionDenied | ResourceBusy | Unsupported);
    is_ours || error.kind() == InvalidInput && error.raw_os_error().is_some()
}

fn adopt(pid: Pid) -> io::Result<Leader> {
    Leader::adopt(pid).inspect_err(|_| _ = kill_process(pid, Signal::KILL))
}

/// Keeps the descriptors that we were born with from the children.
pub(crate) fn seal() {
    LazyLock::force(&SEALED);
}

fn seal_now() {
    for entry in fs_err::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if fd > 2 {
            #[expect(unsafe_code, reason = "these descriptors have no owner in this program")]
            // SAFETY: the borrow ends with the next line, and the flag is one that every
            // descriptor of a Rust program has: it harms nobody who opened this number meanwhile.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            _ = rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC);
        }
    }
}

/// Returns a word that no other family on this host has, also not after a restart of ours.
pub(crate) fn next_mark() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static LIFE: LazyLock<String> = LazyLock::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{}-{:x}", std::process::id(), since.as_nanos())
    });
    format!("{}-{}", *LIFE, NEXT.fetch_add(1, Ordering::Relaxed))
}

//! Starting a child inside a cgroup, from its first instruction on.
//!
//! ```text
//!  we      clone3(VM, VFORK, INTO_CGROUP) ─── wait ───────────────▶ go on
//!  child        └─▶ group, pipes, directory, signals, execve ──▶ ┘ (or the number of its error)
//! ```
//!
//! Neither the standard library nor the C library of the systems that we run on can do this. As
//! their `posix_spawn` does, the child borrows our memory until it runs its program, so that
//! nothing is copied, however large we are.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd},
    sync::OnceLock,
};

use rustix::{
    fs::{Mode, OFlags},
    pipe::{PipeFlags, pipe_with},
    process::Pid,
};

use crate::{cgroup::Cgroup, spawn::Spawn};

#[cfg(target_arch = "x86_64")]
mod vfork;
#[cfg(not(target_arch = "x86_64"))]
mod vfork {
    //! Other machines begin a child in another way, which is not written yet.
    pub(super) fn start(_: &std::os::fd::OwnedFd, _: &super::Image) -> std::io::Result<super::Pid> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// Everything that the child needs, made before it is born: it must not allocate.
#[derive(Debug)]
struct Image {
    program: CString,
    args: Strings,
    env: Strings,
    cwd: CString,
    /// What becomes its stdin, stdout and stderr.
    streams: [RawFd; 3],
}

/// A list of strings as `execve` takes it.
#[derive(Debug)]
struct Strings {
    _owned: Vec<CString>,
    /// To the strings, and a null at the end.
    pointers: Vec<*const libc::c_char>,
}

/// Starts a child in a cgroup: its id, and the ends of its stdout and stderr.
pub(crate) fn start(
    cgroup: &Cgroup,
    spawn: &Spawn,
    program: &str,
    mark: &str,
    stdin: Option<&OwnedFd>,
) -> io::Result<(Pid, OwnedFd, OwnedFd)> {
    let (stdout, stdout_child) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, stderr_child) = pipe_with(PipeFlags::CLOEXEC)?;
    let stdin = match stdin {
        Some(stdin) => stdin,
        None => nothing()?,
    };
    let streams = [stdin.as_fd(), stdout_child.as_fd(), stderr_child.as_fd()];
    let args = [program].into_iter().chain(spawn.args.iter().map(String::as_str));
    let env = spawn.env.iter().map(|(name, value)| format!("{name}={value}"));
    let image = Image {
        program: CString::new(program)?,
        args: Strings::new(args)?,
        env: Strings::new(env.chain([mark.to_owned()]))?,
        cwd: CString::new(spawn.cwd.as_str())?,
        streams: streams.map(|fd| fd.as_raw_fd()),
    };
    let pid = vfork::start(cgroup.open()?, &image)?;
    Ok((pid, stdout, stderr))
}

/// What a child reads that is given nothing.
fn nothing() -> io::Result<&'static OwnedFd> {
    static NOTHING: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(nothing) = NOTHING.get() {
        return Ok(nothing);
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = rustix::fs::open("/dev/null", flags, Mode::empty())?;
    Ok(NOTHING.get_or_init(|| opened))
}

// === impl Strings ===

impl Strings {
    fn new(strings: impl Iterator<Item = impl Into<Vec<u8>>>) -> io::Result<Self> {
        let owned = strings.map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let pointers = owned.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]);
        let pointers = pointers.collect();
        Ok(Self { _owned: owned, pointers })
    }
}

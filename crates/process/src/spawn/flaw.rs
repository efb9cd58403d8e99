//! Why a program does not start, in words that help.

use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::{
    fs::{Access, StatVfsMountFlags, access, statvfs},
    io::Errno,
};

/// A program did not start. Nothing runs.
#[derive(Debug, thiserror::Error)]
#[error("failed to start `{program}`")]
pub struct SpawnError {
    /// As it was given.
    pub program: Utf8PathBuf,
    #[source]
    pub flaw: Flaw,
}

/// What is in the way of a program.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    #[error(
        "no directory of PATH (`{path}`) has an executable of that name: install it there, or give its full path"
    )]
    NotInPath { path: String },

    #[error("the working directory `{cwd}` does not exist: create it, or name another")]
    NoCwd { cwd: Utf8PathBuf },

    #[error("the working directory `{cwd}` may not be entered: check its owner and mode")]
    ClosedCwd { cwd: Utf8PathBuf },

    #[error("`{path}` does not exist: check the path")]
    Missing { path: Utf8PathBuf },

    #[error("`{path}` is not a file: name the program inside it")]
    NotAFile { path: Utf8PathBuf },

    #[error(
        "`{path}` is not executable: run `chmod +x` on it, or check the modes of its directories"
    )]
    NotExecutable { path: Utf8PathBuf },

    #[error("`{path}` lies on a file system mounted with `noexec`: move it, or mount without")]
    Noexec { path: Utf8PathBuf },

    #[error(
        "the first line of `{path}` asks for `{interpreter}`, which does not exist: install it, or change the line"
    )]
    NoInterpreter { path: Utf8PathBuf, interpreter: String },

    #[error(
        "the first line of `{path}` asks for `{interpreter}`, which is not executable: change the line"
    )]
    ClosedInterpreter { path: Utf8PathBuf, interpreter: String },

    #[error(
        "the first line of `{path}` ends with a carriage return, so that `{interpreter}` is not found: save it with Unix line ends"
    )]
    CarriageReturn { path: Utf8PathBuf, interpreter: String },

    #[error(
        "`{path}` needs a dynamic loader that this host does not have: use a build for this system"
    )]
    NoLoader { path: Utf8PathBuf },

    #[error(
        "`{path}` is neither a program for this machine nor a script whose first line starts with `#!`"
    )]
    Format { path: Utf8PathBuf },

    #[error(
        "its arguments and environment are longer than the kernel takes: pass large values in a file"
    )]
    TooLong,

    #[error("its arguments or environment contain a NUL character: remove it")]
    Nul,

    #[error("`{path}` is being written: wait until it is closed")]
    Busy { path: Utf8PathBuf },

    #[error(
        "the host has no process, memory or file descriptor left for it: raise the limit, or run less at once"
    )]
    Exhausted(#[source] io::Error),

    #[error("the system refused it")]
    Other(#[source] io::Error),
}

/// A `#!` line is no longer than this (`BINPRM_BUF_SIZE`, linux/binfmts.h).
const FIRST_LINE: u64 = 256;

// === impl Flaw ===

impl Flaw {
    /// Looks for the reason of a failed spawn. `path` is absolute or relative to `cwd`.
    pub(crate) fn diagnose(path: &Utf8Path, cwd: &Utf8Path, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::InvalidInput && error.raw_os_error().is_none() {
            return Self::Nul;
        }
        match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => {}
            Some(Errno::NOEXEC) => return Self::Format { path: path.to_owned() },
            Some(Errno::TOOBIG) => return Self::TooLong,
            Some(Errno::TXTBSY) => return Self::Busy { path: path.to_owned() },
            Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => {
                return Self::Exhausted(error);
            }
            Some(_) | None => return Self::Other(error),
        }
        flaw_of_cwd(cwd).unwrap_or_else(|| flaw_of_file(path))
    }
}

fn flaw_of_cwd(cwd: &Utf8Path) -> Option<Flaw> {
    if !cwd.is_dir() {
        return Some(Flaw::NoCwd { cwd: cwd.to_owned() });
    }
    let closed = access(cwd.as_std_path(), Access::EXEC_OK).is_err();
    closed.then(|| Flaw::ClosedCwd { cwd: cwd.to_owned() })
}

fn flaw_of_file(path: &Utf8Path) -> Flaw {
    let own = || path.to_owned();
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => return Flaw::NotAFile { path: own() },
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Flaw::NotExecutable { path: own() };
        }
        Err(_) => return Flaw::Missing { path: own() },
    }
    // First, because `access` fails there too.
    if is_noexec(path) {
        return Flaw::Noexec { path: own() };
    }
    if access(path.as_std_path(), Access::EXEC_OK).is_err() {
        return Flaw::NotExecutable { path: own() };
    }
    match interpreter(path) {
        None => Flaw::NoLoader { path: own() },
        Some(interpreter) if interpreter.ends_with('\r') => {
            Flaw::CarriageReturn { path: own(), interpreter: interpreter.trim_end().into() }
        }
        Some(interpreter) if Utf8Path::new(&interpreter).exists() => {
            Flaw::ClosedInterpreter { path: own(), interpreter }
        }
        Some(interpreter) => Flaw::NoInterpreter { path: own(), interpreter },
    }
}

fn is_noexec(path: &Utf8Path) -> bool {
    statvfs(path.as_std_path()).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

/// Reads the interpreter that a script's `#!` line names, with a carriage return if it has one.
fn interpreter(path: &Utf8Path) -> Option<String> {
    let mut head = Vec::new();
    fs_err::File::open(path).ok()?.take(FIRST_LINE).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let (name, _) =
        line.trim_start_matches([' ', '\t']).split_once([' ', '\t']).unwrap_or((&line, ""));
    Some(name.trim_start_matches([' ', '\t']).to_owned())
}

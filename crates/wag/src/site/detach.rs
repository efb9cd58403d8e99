//! A program in a session of its own, which no terminal can end.

use std::{os::unix::process::CommandExt as _, process::Command};

use crate::Error;

/// Becomes the program, under the same process id. Returns only if that fails.
///
/// The session has to be made between fork and exec, where safe Rust cannot run: so `wag` starts
/// itself, makes the session here, and is replaced.
pub(crate) fn detach(command: &[String]) -> Error {
    let (program, arguments) = command.split_first().expect("clap requires one");
    let failed = |source| Error::Exec { program: program.clone(), source };
    match rustix::process::setsid() {
        Ok(_) => failed(Command::new(program).args(arguments).exec()),
        Err(error) => failed(error.into()),
    }
}

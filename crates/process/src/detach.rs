//! A process that is not to end with us.

use std::{collections::BTreeMap, io, os::fd::OwnedFd, process::Stdio};

use camino::Utf8Path;
use rustix::process::setsid;
use tokio::process::{Child, Command};

use crate::spawn;

/// Starts a process that inherits nothing of ours, in the directory `/`. Its stdin and stdout are
/// empty.
///
/// It lives on when the returned child is dropped and when we end; it should [`lead_session`] as
/// its first act.
pub fn detach(
    program: &Utf8Path,
    args: &[String],
    env: &BTreeMap<String, String>,
    stderr: OwnedFd,
) -> io::Result<Child> {
    spawn::seal();
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(env).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    command.spawn()
}

/// Leaves the session of who started us, so that its end and its terminal concern us no more.
///
/// What leads a process group cannot; it has been given a place of its own already.
pub fn lead_session() {
    _ = setsid();
}

//! A family by what can be written down, so that another process can end it later.

use std::{io, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::Pid;

use crate::{
    cgroup::Cgroup,
    family::Family,
    spawn::MARK,
    table::{self, Asker},
};

/// What it takes to find a family again, and never to take another for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The boot of the host: process ids and start times mean something within one only.
    pub boot_id: String,
    /// The word in the environment of the family ([`Spawn::mark`](crate::Spawn::mark)).
    pub mark: String,
    /// The directory of its cgroup.
    pub cgroup: Option<Utf8PathBuf>,
    /// Its leader. `None` when this was written down before it was started.
    pub leader: Option<Proof>,
    /// The session and the process group of who started it, which are not the family's.
    pub parent: Parent,
}

/// A process, told from all others of the same boot that have had its id or will have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    pub pid: i32,
    /// When it began, in clock ticks since the boot.
    pub started: u64,
}

/// Where who starts families lives; 0 is outside of our PID namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    pub session: i32,
    pub group: i32,
}

/// What [`Identity::bury`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Buried {
    /// Another boot: whoever has these ids now is another.
    HostRebooted,
    /// Nobody of it is alive, but for those with these process ids, which even a kill did not end.
    Done { left: Vec<i32> },
}

/// Where Linux tells the id of the boot.
pub const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Reads the id of the boot; from [`BOOT_ID`] unless a test has another.
pub fn boot_id(file: &Utf8Path) -> io::Result<String> {
    Ok(fs_err::read_to_string(file)?.trim().to_owned())
}

// === impl Identity ===

impl Identity {
    /// Kills what is left of the family.
    ///
    /// The leader's process id counts only for the process that began when it says. All others are
    /// told by the cgroup, the mark, or as relatives of these.
    pub async fn bury(&self, boot_id: &str) -> Buried {
        if boot_id != self.boot_id {
            return Buried::HostRebooted;
        }
        let leader = self.leader.filter(Proof::holds).and_then(|proof| Pid::from_raw(proof.pid));
        let family = Family {
            leader,
            born: self.leader.map_or(0, |proof| proof.started),
            mark: format!("{MARK}={}", self.mark).into(),
            cgroup: self.cgroup.as_deref().map(|directory| Arc::new(Cgroup::at(directory))),
            asker: Asker::current().and(self.parent),
        };
        Buried::Done { left: family.kill(|| true).await }
    }
}

// === impl Proof ===

impl Proof {
    /// Proves a process that is there now.
    pub fn of(pid: i32) -> Option<Self> {
        table::row(pid).map(|row| Self { pid, started: row.started })
    }

    /// Says whether this very process is there.
    pub fn holds(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }
}

// === impl Parent ===

impl Parent {
    /// Where we live. 0 stands for a session or a group that began outside our PID namespace
    /// (`pid_namespaces(7)`).
    pub fn current() -> Self {
        #[expect(unsafe_code, reason = "their safe wrappers take 0 for impossible")]
        // SAFETY: both only answer about this process, and neither fails.
        let (session, group) = unsafe { (libc::getsid(0), libc::getpgrp()) };
        Self { session, group }
    }
}

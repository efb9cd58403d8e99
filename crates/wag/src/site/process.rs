//! A process that was started by an earlier `wag`, found again without mistaking another for it.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// How long between two looks at a process that is to end.
const GLANCE: Duration = Duration::from_millis(50);

/// What tells a process from all others of its host's uptime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub pid: i32,
    /// When it was started, in clock ticks after boot (`/proc/[pid]/stat`, field 22).
    pub started: u64,
}

/// A living process.
#[derive(Debug)]
pub(super) struct Process(OwnedFd);

// === impl Mark ===

impl Mark {
    /// Marks a process that runs now.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, started: started(&stat)? })
    }

    /// Finds the process, if it is alive.
    pub(super) fn find(self) -> Option<Process> {
        let fd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::NONBLOCK).ok()?;
        // What the descriptor stands for cannot change any more; what the number stood for could.
        (Self::of(self.pid) == Some(self)).then_some(Process(fd))
    }
}

// === impl Process ===

impl Process {
    pub(super) fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Waits for its end. It is nobody's child here any more, and registering its descriptor with
    /// the runtime takes `unsafe`: so it is looked at now and then.
    pub(super) async fn ended(&self) -> io::Result<()> {
        loop {
            let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::ZERO) {
                Ok(0) | Err(Errno::EINTR) => sleep(GLANCE).await,
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.0, signal) {
            // It has ended already.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads when a process was started; none for one that only waits to be reaped.
fn started(stat: &str) -> Option<u64> {
    // The program's name is in parentheses and may hold anything, more of them too.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_read_past_any_name() {
        let stat = |state| {
            format!("7 (a) b (c) {state} 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3")
        };
        assert_eq!(started(&stat("S")), Some(98765));
        assert_eq!(started(&stat("Z")), None);
        assert_eq!(started("7 (x"), None);
    }

    #[test]
    fn a_process_is_found_by_its_mark_only() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let mark = Mark::of(pid).unwrap();
        assert!(mark.find().is_some());
        assert!(Mark { started: mark.started + 1, ..mark }.find().is_none());
    }
}

//! The direct child: when it exits, how, and who reaps it.

use std::{
    collections::HashSet,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, RawPid, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

use crate::{Exit, fork::Channel, table};

/// A direct child, or a fork of one, which stays a zombie after its exit until this is dropped.
#[derive(Debug)]
pub(crate) struct Leader {
    pid: Pid,
    watch: Watch,
    /// The child of ours that it was forked from, and that reaps it while it lives: then it is ours
    /// as every orphan.
    server: Option<Arc<Channel>>,
    /// How it ended, once somebody has seen it.
    ended: OnceLock<Exit>,
}

/// What wakes us when the leader exits.
#[derive(Debug)]
enum Watch {
    Pidfd(AsyncFd<OwnedFd>),
    /// Linux before 5.3 has no `pidfd_open`, and some sandboxes forbid it.
    Signal,
}

/// Held for reading from a spawn until the child stands in [`LIVE`], and for writing while
/// orphans are reaped: what is not in `LIVE` then was adopted.
pub(crate) static SPAWNING: RwLock<()> = RwLock::new(());

/// The children that a [`Leader`] will reap.
static LIVE: Mutex<Option<HashSet<RawPid>>> = Mutex::new(None);

/// Another child was started, whose descendants may become ours.
pub(crate) static BORN: Notify = Notify::const_new();

/// Children whose leader was dropped before they had died.
static ABANDONED: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Says whether a [`Leader`] will reap this child.
pub(crate) fn is_live(pid: RawPid) -> bool {
    lock(&LIVE).as_ref().is_some_and(|live| live.contains(&pid))
}

/// Reaps those that were dropped before they had died and are dead now.
pub(crate) fn reap_abandoned() {
    lock(&ABANDONED).retain(|pid| !reap(*pid));
}

/// Reaps a child if it is dead; says whether nothing of it is left.
pub(crate) fn reap(pid: Pid) -> bool {
    // Held over both steps: the id may be another child's as soon as it is reaped.
    let mut live = lock(&LIVE);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let gone = !matches!(waitid(WaitId::Pid(pid), options), Ok(None));
    if gone && let Some(live) = live.as_mut() {
        live.remove(&pid.as_raw_pid());
    }
    gone
}

// === impl Leader ===

impl Leader {
    /// Takes over a child that was just spawned, under [`SPAWNING`].
    pub(crate) fn adopt(pid: Pid) -> io::Result<Self> {
        Self::take_over(pid, None)
    }

    /// Takes over a fork, under [`SPAWNING`].
    pub(crate) fn adopt_fork(pid: Pid, server: Arc<Channel>) -> io::Result<Self> {
        Self::take_over(pid, Some(server))
    }

    fn take_over(pid: Pid, server: Option<Arc<Channel>>) -> io::Result<Self> {
        lock(&LIVE).get_or_insert_default().insert(pid.as_raw_pid());
        BORN.notify_one();
        // From here on dropping it reaps it, also when the watch fails.
        let mut leader = Self { pid, watch: Watch::Signal, server, ended: OnceLock::new() };
        match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(pidfd) => {
                #[expect(unsafe_code, reason = "tokio asks for the promise below")]
                // SAFETY: an `OwnedFd` names the same open descriptor until it is dropped, and the
                // `AsyncFd` that takes it never gives it away.
                let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
                leader.watch = Watch::Pidfd(pidfd.map_err(|error| error.into_parts().1)?);
            }
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => return Err(error.into()),
            Err(_) => {}
        }
        Ok(leader)
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns how it ended, without reaping it. `None` means that it runs.
    pub(crate) fn exit(&self) -> Option<Exit> {
        let ended = self.ended.get().copied().or_else(|| self.look());
        ended.inspect(|exit| _ = self.ended.set(*exit))
    }

    fn look(&self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid), options) {
            Ok(status) => status.as_ref().map(exit_of),
            // Nobody reaps it before we say so, and who cannot ask the kernel can read.
            Err(_) if self.server.is_some() => table::exit(self.pid.as_raw_pid()),
            Err(_) => Some(Exit::Lost),
        }
    }

    /// Waits until it has ended. Cancel safe; any number may wait.
    pub(crate) async fn exited(&self) -> Exit {
        match &self.watch {
            Watch::Pidfd(pidfd) => loop {
                let readable = pidfd.readable().await;
                if let Some(exit) = self.exit() {
                    return exit;
                }
                match readable {
                    Ok(mut guard) => guard.clear_ready(),
                    // The runtime is shutting down, and takes the waiting task with it.
                    Err(_) => std::future::pending().await,
                }
            },
            Watch::Signal => {
                let mut signals = signal(SignalKind::child()).ok();
                loop {
                    if let Some(exit) = self.exit() {
                        return exit;
                    }
                    match &mut signals {
                        Some(signals) => _ = signals.recv().await,
                        None => std::future::pending().await,
                    }
                }
            }
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if let Some(server) = &self.server
            && server.reap(self.pid)
        {
            lock(&LIVE).as_mut().map(|live| live.remove(&self.pid.as_raw_pid()));
        } else if !reap(self.pid) {
            lock(&ABANDONED).push(self.pid);
        }
    }
}

fn exit_of(status: &WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Lost,
    }
}

/// No holder of these locks panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

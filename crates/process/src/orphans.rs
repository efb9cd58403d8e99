//! Descendants that outlive their parents come to us, and are reaped.

use std::{io, mem::MaybeUninit, ptr, time::Duration};

use rustix::process::{Pid, RawPid, getpid, set_child_subreaper};
use tokio::time::sleep;

use crate::{
    leader,
    table::{self, Asker, Row},
};

/// The duty to reap what the families of our children leave behind.
///
/// Without it orphans go to the host's init, or to nobody where a container has none. A process
/// has one of these at most, for as long as it spawns.
#[derive(Debug)]
pub struct Orphans(());

/// How often the zombies are looked for while there are children.
///
/// A zombie costs a line in the process table, so it may wait; a look costs a file per child. The
/// signal of a child's death (`SIGCHLD`) would interrupt us for each of them.
const ROUND: Duration = Duration::from_secs(1);

// === impl Orphans ===

impl Orphans {
    /// Makes this process the one to which orphaned descendants come
    /// (`PR_SET_CHILD_SUBREAPER`, `prctl(2)`).
    pub fn adopt() -> io::Result<Self> {
        heed_children();
        set_child_subreaper(Some(getpid()))?;
        Ok(Self(()))
    }

    /// Reaps orphans until it is dropped.
    ///
    /// It leaves alone the children of [`Spawn`](crate::Spawn) and those that were spawned in
    /// another way into our own process group, as the standard library and tokio do.
    pub async fn reap(self) {
        loop {
            while reap_round() {
                sleep(ROUND).await;
            }
            // Who has no children gets no orphans.
            leader::BORN.notified().await;
        }
    }
}

/// Takes back that the deaths of children are ignored, which whoever started us may have left to
/// us: the kernel would reap them, and nobody could tell how they ended (`sigaction(2)`).
fn heed_children() {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    #[expect(unsafe_code, reason = "the C library's own interface is all there is for this")]
    // SAFETY: the first call fills the structure, for which zero is the default, or fails.
    unsafe {
        libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr());
        if action.assume_init().sa_sigaction == libc::SIG_IGN {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        }
    }
}

/// Reaps the orphans that are dead. Says whether there was any child.
fn reap_round() -> bool {
    leader::reap_abandoned();
    let asker = Asker::current();
    let _guard = leader::SPAWNING.write();
    let children = children(asker.pid);
    let zombies = children.iter().copied().filter_map(table::row).filter(|row| !row.alive);
    for row in zombies.filter(|row| is_orphan(row, asker)) {
        if let Some(pid) = Pid::from_raw(row.pid) {
            leader::reap(pid);
        }
    }
    !children.is_empty()
}

fn is_orphan(row: &Row, asker: Asker) -> bool {
    row.parent == asker.pid && !asker.is_own_group(row.group) && !leader::is_live(row.pid)
}

/// Lists the children of all our threads.
fn children(own: RawPid) -> Vec<RawPid> {
    // A kernel may be built without these lists (`CONFIG_PROC_CHILDREN`).
    listed().unwrap_or_else(|_| {
        let rows = table::read().unwrap_or_default();
        rows.iter().filter(|row| row.parent == own).map(|row| row.pid).collect()
    })
}

fn listed() -> io::Result<Vec<RawPid>> {
    let mut children = Vec::new();
    for task in fs_err::read_dir("/proc/self/task")? {
        let list = fs_err::read_to_string(task?.path().join("children"))?;
        children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<RawPid>().ok()));
    }
    Ok(children)
}

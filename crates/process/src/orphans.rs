//! Descendants that outlive their parents come to us, and are reaped.

use std::{io, time::Duration};

use rustix::process::{Pid, RawPid, getpid, set_child_subreaper};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use crate::{
    leader,
    table::{self, Asker, Row},
};

/// The duty to reap what the families of our children leave behind.
///
/// Without it orphans go to the host's init, or to nobody where a container has none. A process
/// has one of these at most, for as long as it spawns.
#[derive(Debug)]
pub struct Orphans {
    signals: Signal,
}

/// How often the zombies are looked for while children die.
///
/// A zombie costs a line in the process table, so it may wait; a look costs a file per child.
const ROUND: Duration = Duration::from_secs(1);

// === impl Orphans ===

impl Orphans {
    /// Makes this process the one to which orphaned descendants come
    /// (`PR_SET_CHILD_SUBREAPER`, `prctl(2)`).
    pub fn adopt() -> io::Result<Self> {
        let signals = signal(SignalKind::child())?;
        set_child_subreaper(Some(getpid()))?;
        Ok(Self { signals })
    }

    /// Reaps orphans until it is dropped.
    ///
    /// It leaves alone the children of [`Spawn`](crate::Spawn) and those that were spawned in
    /// another way into our own process group, as the standard library and tokio do.
    pub async fn reap(mut self) {
        while self.signals.recv().await.is_some() {
            reap_round();
            sleep(ROUND).await;
        }
    }
}

fn reap_round() {
    leader::reap_abandoned();
    let asker = Asker::current();
    let _guard = leader::SPAWNING.write();
    let zombies = children(asker.pid).into_iter().filter_map(table::row).filter(|row| !row.alive);
    for row in zombies.filter(|row| is_orphan(row, asker)) {
        if let Some(pid) = Pid::from_raw(row.pid) {
            leader::reap(pid);
        }
    }
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

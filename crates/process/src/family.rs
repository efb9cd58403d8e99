//! All the processes that came of one, and how they are ended.

use std::{collections::HashSet, sync::Arc, time::Duration};

use rustix::process::{Pid, RawPid, Signal, kill_process_group};
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::{
    cgroup::Cgroup,
    table::{self, Asker, Row},
};

/// How the members of a family are known.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// The leader, whose process group is the family's: `None` where it is gone, so that its
    /// id may be another's by now.
    pub(crate) leader: Option<Pid>,
    /// When the leader began; nobody older is a member by the mark. In clock ticks since the boot.
    pub(crate) born: u64,
    /// `NAME=value`, as it stands in the environment of the family.
    pub(crate) mark: Arc<str>,
    pub(crate) cgroup: Option<Arc<Cgroup>>,
    pub(crate) asker: Asker,
}

/// How long what was killed may take to disappear.
///
/// The kernel needs milliseconds; tearing down the memory of a very large process, a second. What
/// is stuck in an uninterruptible call may never go, and is reported instead.
const BURIAL: Duration = Duration::from_secs(5);

/// The pauses between looks at the process table: doubling from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

// === impl Family ===

impl Family {
    /// Reads who lives of the family now.
    pub(crate) async fn members(&self) -> Vec<Row> {
        let family = self.clone();
        // A table of thousands of processes takes tens of milliseconds to read.
        let found = tokio::task::spawn_blocking(move || family.scan()).await;
        found.unwrap_or_default()
    }

    /// Asks all to leave, also those that are stopped.
    pub(crate) async fn terminate(&self) {
        self.signal(&self.members().await, &[Signal::TERM, Signal::CONT]);
    }

    /// Waits until nobody is left.
    pub(crate) async fn emptied(&self) {
        let mut pause = PAUSES.0;
        while !self.members().await.is_empty() {
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Kills all until nobody is left and `is_over`. Returns who is left after [`BURIAL`].
    pub(crate) async fn kill(&self, is_over: impl Fn() -> bool) -> Vec<i32> {
        let deadline = Instant::now() + BURIAL;
        let mut pause = PAUSES.0;
        loop {
            if let Some(cgroup) = &self.cgroup {
                cgroup.kill();
            }
            let members = self.members().await;
            if members.is_empty() && is_over() {
                return Vec::new();
            }
            if Instant::now() >= deadline {
                return members.iter().map(|row| row.pid).collect();
            }
            self.signal(&members, &[Signal::KILL]);
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Signals the group in one step, which no fork escapes, and each of the others.
    fn signal(&self, members: &[Row], signals: &[Signal]) {
        let group = self.leader.map_or(0, Pid::as_raw_pid);
        for signal in signals {
            if let Some(leader) = self.leader {
                // Fails when only the zombie of the leader is left in the group.
                _ = kill_process_group(leader, *signal);
            }
            for row in members.iter().filter(|row| row.group != group) {
                table::send(row, *signal);
            }
        }
    }

    fn scan(&self) -> Vec<Row> {
        let inside: HashSet<RawPid> =
            self.cgroup.as_ref().map(|cgroup| cgroup.members()).unwrap_or_default();
        let seed = table::Seed {
            leader: self.leader.map(Pid::as_raw_pid),
            born: self.born,
            inside: &inside,
        };
        match table::read() {
            Ok(rows) => {
                table::family(&rows, &seed, self.asker, |pid| table::carries(pid, &self.mark))
            }
            Err(error) => {
                warn!(%error, "failed to read the process table: only the process group is stopped");
                Vec::new()
            }
        }
    }
}

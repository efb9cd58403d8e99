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

    /// Asks all to leave, also those that are stopped. Returns whom it has asked.
    pub(crate) async fn terminate(&self) -> Vec<Row> {
        let found = self.members().await;
        self.signal(&found, &[Signal::TERM, Signal::CONT]);
        found
    }

    /// Waits until nobody is left, of `known` either.
    pub(crate) async fn emptied(&self, mut known: Vec<Row>) {
        let mut pause = PAUSES.0;
        loop {
            self.look(&mut known).await;
            if known.is_empty() {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Kills all until nobody is left and `is_over`. Returns who is left after [`BURIAL`].
    pub(crate) async fn kill(&self, is_over: impl Fn() -> bool) -> Vec<i32> {
        let deadline = Instant::now() + BURIAL;
        let mut pause = PAUSES.0;
        let mut known: Vec<Row> = Vec::new();
        loop {
            if let Some(cgroup) = &self.cgroup {
                cgroup.kill();
            }
            self.look(&mut known).await;
            if known.is_empty() && is_over() {
                return Vec::new();
            }
            if Instant::now() >= deadline {
                return known.iter().map(|row| row.pid).collect();
            }
            self.signal(&known, &[Signal::KILL]);
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Brings what is known of who lives up to date.
    ///
    /// One that is ending has no environment any more by which it could be told: who was found once
    /// counts until it is dead.
    async fn look(&self, known: &mut Vec<Row>) {
        let found = self.members().await;
        for row in found {
            if !known.iter().any(|known| known.is_same(&row)) {
                known.push(row);
            }
        }
        known.retain(|row| table::row(row.pid).is_some_and(|now| now.alive && now.is_same(row)));
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

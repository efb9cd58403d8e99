//! A running child: wait for it, or stop it and all its family.

use std::{sync::Arc, time::Duration};

use rustix::process::{RawPid, Signal, kill_process_group};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use crate::{
    Exit,
    leader::Leader,
    table::{self, Asker, Row},
};

/// A process that was started, and its family.
///
/// Dropping it while the leader runs kills the group at once. Dropping it after the leader's exit
/// leaves the rest of the family alone: a script may have started a daemon on purpose.
#[derive(Debug)]
pub struct Child {
    leader: Arc<Leader>,
    /// `NAME=value`, as it stands in the environment of the family.
    mark: Arc<str>,
}

/// What [`Child::stop`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How the leader ended. `None` if even KILL did not end it in time.
    pub exit: Option<Exit>,
    /// Some did not leave within the grace, and were killed.
    pub forced: bool,
    /// The process ids of those that are still there: stuck in the kernel, or another user's.
    pub left: Vec<i32>,
}

/// How long what was killed may take to disappear.
///
/// The kernel needs milliseconds; tearing down the memory of a very large process, a second. What
/// is stuck in an uninterruptible call may never go, and is reported instead.
const BURIAL: Duration = Duration::from_secs(5);

/// The pauses between looks at the process table: doubling from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

// === impl Child ===

impl Child {
    pub(crate) fn new(leader: Arc<Leader>, mark: Arc<str>) -> Self {
        Self { leader, mark }
    }

    /// Returns the process id, which is also the id of the process group.
    pub fn id(&self) -> i32 {
        self.leader.pid().as_raw_pid()
    }

    /// Waits until the leader has ended. Its descendants may live on.
    ///
    /// Cancel safe. Somebody has to read the [`Output`](crate::Output) meanwhile: a child whose
    /// pipe is full waits too.
    pub async fn wait(&self) -> Exit {
        self.leader.exited().await
    }

    /// Returns how the leader ended, or `None` while it runs.
    pub fn exit(&self) -> Option<Exit> {
        self.leader.exit()
    }

    /// Ends the whole family: TERM (and CONT, for those that are stopped), `grace`, KILL. Then
    /// makes sure that nobody is left, and says who is.
    ///
    /// May be called after the leader's exit, and again after it was cancelled. Takes at most
    /// `grace` and five seconds.
    pub async fn stop(&self, grace: Duration) -> Stopped {
        self.signal(&self.family().await, &[Signal::TERM, Signal::CONT]);
        let forced = timeout(grace, self.emptied()).await.is_err();
        let left = if forced { self.kill().await } else { Vec::new() };
        Stopped { exit: self.leader.exit(), forced, left }
    }

    /// Waits until the leader has ended and the family is empty.
    async fn emptied(&self) {
        self.leader.exited().await;
        let mut pause = PAUSES.0;
        while !self.family().await.is_empty() {
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Kills the family until it is empty. Returns who is left after [`BURIAL`].
    async fn kill(&self) -> Vec<i32> {
        let deadline = Instant::now() + BURIAL;
        let mut pause = PAUSES.0;
        loop {
            let family = self.family().await;
            if family.is_empty() && self.leader.exit().is_some() {
                return Vec::new();
            }
            if Instant::now() >= deadline {
                return family.iter().map(|row| row.pid).collect();
            }
            self.signal(&family, &[Signal::KILL]);
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Signals the group in one step, which no fork escapes, and each of the others.
    fn signal(&self, family: &[Row], signals: &[Signal]) {
        let group = self.leader.pid();
        for signal in signals {
            // Fails when only the zombie of the leader is left in the group.
            _ = kill_process_group(group, *signal);
            for row in family.iter().filter(|row| row.group != group.as_raw_pid()) {
                table::send(row, *signal);
            }
        }
    }

    /// Reads who lives of the family now.
    async fn family(&self) -> Vec<Row> {
        let leader = self.id();
        let mark = Arc::clone(&self.mark);
        // A table of thousands of processes takes tens of milliseconds to read.
        let found = tokio::task::spawn_blocking(move || scan(leader, &mark)).await;
        found.unwrap_or_default()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.leader.exit().is_none() {
            _ = kill_process_group(self.leader.pid(), Signal::KILL);
        }
    }
}

fn scan(leader: RawPid, mark: &str) -> Vec<Row> {
    match table::read() {
        Ok(rows) => table::family(&rows, leader, Asker::current(), |pid| table::carries(pid, mark)),
        Err(error) => {
            warn!(%error, "failed to read the process table: only the process group is stopped");
            Vec::new()
        }
    }
}

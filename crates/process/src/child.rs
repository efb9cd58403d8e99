//! A running child: wait for it, or stop it and all its family.

use std::{sync::Arc, time::Duration};

use rustix::process::{Signal, kill_process_group};
use tokio::time::timeout;

use crate::{
    Exit,
    cgroup::Cgroup,
    family::Family,
    identity::Proof,
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
    family: Family,
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

// === impl Child ===

impl Child {
    pub(crate) fn new(leader: Arc<Leader>, mark: Arc<str>, cgroup: Option<Arc<Cgroup>>) -> Self {
        let born = table::row(leader.pid().as_raw_pid()).map_or(0, |row| row.started);
        Self::born(born, leader, mark, cgroup)
    }

    /// Takes charge of one of which it is known when it began.
    pub(crate) fn born(
        born: u64,
        leader: Arc<Leader>,
        mark: Arc<str>,
        cgroup: Option<Arc<Cgroup>>,
    ) -> Self {
        let asker = Asker::current();
        let family = Family { leader: Some(leader.pid()), born, mark, cgroup, asker };
        Self { leader, family }
    }

    /// Returns the process id, which is also the id of the process group.
    pub fn id(&self) -> i32 {
        self.leader.pid().as_raw_pid()
    }

    /// Proves the leader: what tells it from all that will have its id.
    pub fn proof(&self) -> Proof {
        Proof { pid: self.id(), started: self.family.born }
    }

    /// Says whether it was born in a cgroup.
    pub fn has_cgroup(&self) -> bool {
        self.family.cgroup.is_some()
    }

    /// Says whether the kernel killed the leader for want of memory. Only a cgroup can tell.
    pub fn lacked_memory(&self) -> bool {
        self.exit() == Some(Exit::Signal(Signal::KILL.as_raw()))
            && self.family.cgroup.as_ref().is_some_and(|cgroup| cgroup.lacked_memory())
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

    /// Ends the whole family: TERM (and CONT, for those that are stopped), `grace`, KILL; without
    /// a grace only KILL. Then makes sure that nobody is left, and says who is.
    ///
    /// May be called after the leader's exit, and again after it was cancelled. Takes at most
    /// `grace` and five seconds.
    pub async fn stop(&self, grace: Duration) -> Stopped {
        let forced = if grace.is_zero() {
            // Who may not leave in its own time is not asked to.
            true
        } else {
            let asked = self.family.terminate().await;
            timeout(grace, self.emptied(asked)).await.is_err()
        };
        let left = if forced { self.kill().await } else { Vec::new() };
        Stopped { exit: self.leader.exit(), forced, left }
    }

    /// Waits until the leader has ended and the family is empty, and nobody of `known` lives.
    async fn emptied(&self, known: Vec<Row>) {
        self.leader.exited().await;
        self.family.emptied(known).await;
    }

    async fn kill(&self) -> Vec<i32> {
        self.family.kill(|| self.leader.exit().is_some()).await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.leader.exit().is_none() {
            _ = kill_process_group(self.leader.pid(), Signal::KILL);
        }
    }
}

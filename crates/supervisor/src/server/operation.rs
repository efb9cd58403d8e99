//! The process of one attempt, from its birth to the note that tells how it ended.

use std::{error::Error as _, sync::Arc, time::Duration};

use jiff::Timestamp;
use prost::Message as _;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error, info, warn};
use waggoner_journal::{Class, Refused as Unwritten, Write};
use waggoner_process::{Cgroup, Child, Output, SpawnError};
use waggoner_proto::supervisor::v1 as pb;
use waggoner_task::CancellationToken;
use waggoner_types::{Body, Exit};

use crate::{
    message::to_exited,
    news::Event,
    refusal::{Refusal, Refused},
    server::{
        attempt::{Attempt, Life},
        birth::{self, Slot},
        fault::{abandon, caught, guarded},
        house::House,
        limits::{Course, Verdict, judge},
        pump::Pump,
        warm::{Spare, Used},
    },
    words::{CancelOrder, Exited, Limits, Spawn},
};

/// A process that was started.
pub(super) struct Operation {
    house: Arc<House>,
    attempt: Arc<Attempt>,
    spawn: Spawn,
    child: Child,
    output: Output,
    began: Instant,
    /// By what its family is found again.
    pub(super) birth: pb::Birth,
    /// Its cgroup is another's only when its end is on record.
    cgroup: Option<Arc<Cgroup>>,
    /// The warm server that it came from.
    used: Option<Used>,
}

/// What came of the order to start one.
pub(super) enum Started {
    Now(i32, Box<Operation>),
    Before(i32),
}

/// How long the rest of the output of a leader that even a kill did not end is waited for.
const ABANDON: Duration = Duration::from_secs(15);

/// Starts the process of an attempt, unless it has had one.
///
/// That it may be started is written down for good before it is: whatever happens in between, it
/// is never started a second time.
pub(super) async fn start(
    house: &Arc<House>,
    attempt: Arc<Attempt>,
    spawn: Spawn,
) -> Result<Started, Refused> {
    let _turn = attempt.turn.lock().await;
    if let Some(before) = before(&attempt) {
        return before;
    }
    let beginning = Box::pin(begin(house, &attempt, spawn));
    if let Some(started) = caught(&attempt, beginning).await {
        return started;
    }
    abandon(house, &attempt).await?;
    before(&attempt).unwrap_or_else(|| {
        let message = "the supervisor failed before it started the process";
        Err(Refused::new(Refusal::NotStarted, message))
    })
}

/// What is answered where there was a process before, or may have been.
fn before(attempt: &Attempt) -> Option<Result<Started, Refused>> {
    match attempt.life() {
        Life::Open => None,
        Life::Running { pid } | Life::Spent { pid: Some(pid) } => Some(Ok(Started::Before(pid))),
        Life::Begun | Life::Spent { pid: None } => {
            let message = "the attempt's process was, or may have been, started before";
            Some(Err(Refused::new(Refusal::Spent, message)))
        }
    }
}

async fn begin(
    house: &Arc<House>,
    attempt: &Arc<Attempt>,
    spawn: Spawn,
) -> Result<Started, Refused> {
    let may_start = || {
        if house.is_leaving() {
            return Err(Refused::new(Refusal::Leaving, "the supervisor is about to end"));
        }
        if attempt.is_ordered() {
            return Err(Refused::new(Refusal::Cancelled, "the attempt was cancelled"));
        }
        Ok(())
    };
    may_start()?;
    let spare = house.warm.take(&spawn).await;
    // A warm server may have taken its time.
    may_start()?;
    let birth = birth::announce(house, attempt.id, spare.as_ref());
    let slot = Slot::Birth.number();
    let note = birth.note(house, None).encode_to_vec();
    let write = Write::Note { attempt: attempt.id, slot, bytes: note.into() };
    // From here on the supervisor does not end by itself.
    attempt.live(Life::Begun);
    if let Err(error) = house.write(write, true).await {
        attempt.live(Life::Open);
        return Err(error.into());
    }
    let process = waggoner_process::Spawn {
        args: spawn.args.clone(),
        env: spawn.env.clone(),
        mark: Some(birth.mark.clone()),
        cgroup: birth.cgroup.clone(),
        linger: spawn.limits.linger.unwrap_or(house.linger),
        ..waggoner_process::Spawn::new(&spawn.program, &spawn.cwd)
    };
    let (child, output, used) = match give_birth(&process, spare).await {
        Ok(started) => started,
        Err(error) => {
            // Nothing runs, so that another may be tried.
            house.note(attempt.id, slot, Vec::new()).await.ok();
            attempt.live(Life::Open);
            return Err(Refused::new(Refusal::NotStarted, sentence(&error)));
        }
    };
    let (pid, began) = (child.id(), Instant::now());
    attempt.hear();
    attempt.live(Life::Running { pid });
    let (cgroup, birth) = (birth.cgroup.clone(), birth.note(house, Some(child.proof())));
    let note = birth.encode_to_vec();
    let body = Body::ProcessStarted { pid: pid.unsigned_abs() };
    // In this order, and in one breath.
    let told = tokio::join!(
        biased;
        house.note(attempt.id, slot, note),
        house.append(attempt, Class::Kept, body),
    );
    if let Err(error) = told.0.and(told.1) {
        warn!(%error, attempt = %attempt.id, "the start of a process is not on record");
    }
    debug!(attempt = %attempt.id, pid, warm = used.is_some(), "process started");
    let (house, attempt) = (Arc::clone(house), Arc::clone(attempt));
    let operation = Operation { house, attempt, spawn, child, output, began, birth, cgroup, used };
    Ok(Started::Now(pid, Box::new(operation)))
}

/// Starts a process, by a fork if there is one.
async fn give_birth(
    process: &waggoner_process::Spawn,
    spare: Option<Spare>,
) -> Result<(Child, Output, Option<Used>), SpawnError> {
    if let Some(Spare { fork, used }) = spare {
        match fork.run(process).await {
            Ok((child, output)) => return Ok((child, output, Some(used))),
            Err(error) => warn!(%error, "a fork was lost before it was anything"),
        }
    }
    process.start().await.map(|(child, output)| (child, output, None))
}

// === impl Operation ===

impl Operation {
    /// Sees the process to its end, and writes down how it ended.
    ///
    /// What it has started and left behind lives on when it exits by itself: starting a daemon is
    /// a thing that operations do. When it is ended, all its family is.
    pub(super) async fn run(self) {
        let (house, attempt) = (Arc::clone(&self.house), Arc::clone(&self.attempt));
        let birth = self.birth.clone();
        guarded(&house, &attempt, birth, self.see()).await;
    }

    async fn see(self) {
        let Self { house, attempt, spawn, child, mut output, began, birth: _, cgroup, used } = self;
        let stopped = CancellationToken::new();
        let modes = (spawn.stdout, spawn.stderr);
        let mut pump = Pump::new(&house, &attempt, modes, stopped.clone());
        let seeing = See { house: &house, attempt: &attempt, child: &child, limits: &spawn.limits };
        let carry = async {
            tokio::select! {
                () = pump.run(&mut output) => output.is_cut(),
                () = async { stopped.cancelled().await; sleep(ABANDON).await } => true,
            }
        };
        let ((exit, left), cut) = tokio::join!(seeing.end(began, &stopped), carry);
        let heard = pump.finish(cut).await;
        let exited = Exited {
            exit,
            stdout: heard.stdout,
            stderr: heard.stderr,
            cut: heard.cut,
            left,
            time: Timestamp::now(),
        };
        // Before the note: who hears of the end may look for what is left.
        let pid = child.id();
        drop((child, output));
        if let Some(used) = used {
            house.warm.done(used, exited.exit == Exit::Code(0));
        }
        let is_own = matches!(exited.exit, Exit::Code(_));
        settle(&house, &attempt, Some(pid), exited).await;
        if let (Some(cgroups), Some(cgroup)) = (&house.cgroups, cgroup.filter(|_| is_own)) {
            cgroups.put_back(cgroup);
        }
    }
}

/// Writes down how a process ended, and tells.
///
/// Who is told dies with this host: what is made of it, the outcome, brings the note to the disk
/// before anybody else hears.
pub(super) async fn settle(house: &House, attempt: &Attempt, pid: Option<i32>, exited: Exited) {
    let note = to_exited(&exited).encode_to_vec();
    match house.note(attempt.id, Slot::Exited.number(), note).await {
        // The outcome of one that the daemon has given up is there already.
        Ok(()) | Err(Unwritten::Ended(_)) => {}
        Err(error) => {
            error!(%error, attempt = %attempt.id, "the end of a process is not on record");
        }
    }
    debug!(attempt = %attempt.id, exit = ?exited.exit, "process ended");
    attempt.live(Life::Spent { pid });
    house.tell(Event::Ended { attempt: attempt.id, exited, last: attempt.last() });
    house.forget(attempt);
    house.settled();
}

/// Who watches over one process.
struct See<'a> {
    house: &'a House,
    attempt: &'a Attempt,
    child: &'a Child,
    limits: &'a Limits,
}

// === impl See ===

impl See<'_> {
    /// Waits for the end of the process, or brings it about. Returns who is left of the family.
    async fn end(&self, began: Instant, stopped: &CancellationToken) -> (Exit, Vec<i32>) {
        let mut unlinked = self.house.unlinked.subscribe();
        let (exit, grace) = loop {
            let since = *unlinked.borrow_and_update();
            let course = Course { began, heard: self.attempt.heard(), unlinked: since };
            let until = match judge(self.limits, &course, Instant::now()) {
                Verdict::Over(exit) => break (exit, self.limits.grace),
                Verdict::Until(until) => until,
            };
            tokio::select! {
                biased;
                exit = self.child.wait() => return (self.own(exit), Vec::new()),
                CancelOrder { kill, .. } = self.attempt.ordered() => {
                    break (Exit::Cancelled, if kill { Duration::ZERO } else { self.limits.grace });
                }
                changed = unlinked.changed() => changed.expect("the house outlives us"),
                () = reached(until) => {}
            }
        };
        info!(attempt = %self.attempt.id, why = ?exit, "ending a process");
        let ended = tokio::select! {
            ended = self.child.stop(grace) => ended,
            () = self.attempt.killed(), if !grace.is_zero() => {
                self.child.stop(Duration::ZERO).await
            }
        };
        stopped.cancel();
        if !ended.left.is_empty() {
            warn!(attempt = %self.attempt.id, pids = ?ended.left, "processes cannot be ended");
        }
        (exit, ended.left)
    }

    /// How it ended by itself.
    fn own(&self, exit: waggoner_process::Exit) -> Exit {
        match exit {
            _ if self.child.lacked_memory() => Exit::OutOfMemory,
            waggoner_process::Exit::Code(code) => Exit::Code(code),
            waggoner_process::Exit::Signal(signal) => Exit::Signal(signal),
            waggoner_process::Exit::Lost => Exit::Lost,
        }
    }
}

async fn reached(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

fn sentence(error: &SpawnError) -> String {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}

//! One attempt at an operation, as everything in the agent sees it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::warn;
use waggoner_attempt::{
    Order,
    agent::{Half, Held, Input, Next, Output, Talk, WINDOW},
};
use waggoner_proto::agent::v1::question::Ask;
use waggoner_supervisor::{Exited, Kept, Process, Refusal, Refused, Spawn, Written};
use waggoner_types::{AttemptId, Body, Exit, Outcome, Record};

use crate::{
    context::Key,
    journal::Journal,
    questions::{Questions, Replies},
};

mod loss;

use self::loss::Loss;

/// An attempt that the agent knows. It outlives the conversations about it, and the daemon.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    /// What the manager sent to start it.
    pub(crate) start: Bytes,
    pub(crate) questions: Questions,
    journal: Arc<Journal>,
    half: Mutex<Half>,
    /// Counts what may change what is said next.
    changes: watch::Sender<u64>,
    opening: watch::Sender<Opening>,
    cancel: watch::Sender<Option<Cancel>>,
    exited: watch::Sender<Option<Exited>>,
    loss: Mutex<Loss>,
    before: Before,
}

/// The order to end an attempt early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cancel {
    /// Whether to kill without asking first.
    pub(crate) kill: bool,
    pub(crate) reason: String,
}

/// Something of the daemon's own that is kept with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// What the operation's `ctx` commands have changed.
    Ctx = 8,
}

/// Whether an attempt is in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Opening {
    Pending,
    Done,
    Failed(Refused),
}

/// What another life of the daemon left.
#[derive(Debug, Default)]
struct Before {
    is_resumed: bool,
    /// The process that it started.
    pid: Option<i32>,
    notes: BTreeMap<u8, Bytes>,
}

// === impl Attempt ===

impl Attempt {
    /// An attempt that is about to be written to the journal.
    pub(crate) fn new(journal: Arc<Journal>, id: AttemptId, epoch: u64, start: Bytes) -> Self {
        let half = Half::new(epoch, WINDOW);
        Self::with(journal, id, start, half, Opening::Pending, Before::default())
    }

    /// An attempt that the journal knows.
    pub(crate) fn recovered(journal: Arc<Journal>, known: waggoner_supervisor::Attempt) -> Self {
        let held = Held { last: known.last, acked: known.acked, ended: known.ended };
        let half = Half::recovered(known.epoch, WINDOW, held);
        let exit = known.exited.as_ref().map(|exited| exited.exit);
        let half = if exit == Some(Exit::HostRebooted) { half.rebooted() } else { half };
        let pid = match known.process {
            Process::Started { pid } => Some(pid),
            Process::None | Process::Begun => None,
        };
        let before = Before { is_resumed: true, pid, notes: known.notes };
        let attempt = Self::with(journal, known.id, known.start, half, Opening::Done, before);
        attempt.exited.send_replace(known.exited);
        if let Some(order) = known.cancel {
            attempt.cancel(Cancel { kill: order.kill, reason: order.reason });
        }
        attempt
    }

    fn with(
        journal: Arc<Journal>,
        id: AttemptId,
        start: Bytes,
        half: Half,
        opening: Opening,
        before: Before,
    ) -> Self {
        Self {
            id,
            start,
            questions: Questions::new(),
            journal,
            half: Mutex::new(half),
            changes: watch::Sender::new(0),
            opening: watch::Sender::new(opening),
            cancel: watch::Sender::new(None),
            exited: watch::Sender::new(None),
            loss: Mutex::default(),
            before,
        }
    }

    /// Tells what came of writing it to the journal.
    pub(crate) fn opened(&self, opened: Result<(), Refused>) {
        self.opening.send_replace(match opened {
            Ok(()) => Opening::Done,
            Err(refused) => Opening::Failed(refused),
        });
    }

    /// Waits until it is in the journal for good. Cancel safe.
    pub(crate) async fn is_open(&self) -> Result<(), Refused> {
        let mut opening = self.opening.subscribe();
        let settled = opening.wait_for(|opening| *opening != Opening::Pending).await;
        match settled.as_deref() {
            Ok(Opening::Failed(refused)) => Err(refused.clone()),
            Ok(Opening::Done | Opening::Pending) | Err(_) => Ok(()),
        }
    }

    // The conversation.

    /// Tells the conversation's half what happened.
    pub(crate) fn step(&self, input: Input) -> Vec<Output> {
        let outputs = self.half().step(input);
        self.changes.send_modify(|changes| *changes += 1);
        outputs
    }

    /// Says what a conversation does next, with so many bytes that may be unacknowledged.
    pub(crate) fn next(&self, talk: Talk, window: usize) -> Next {
        let mut half = self.half();
        half.widen(window);
        half.next(talk)
    }

    /// Follows what may change what is said next.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns what the journal holds.
    pub(crate) fn held(&self) -> Held {
        self.half().held()
    }

    /// Says whether the outcome is among the records.
    pub(crate) fn is_ended(&self) -> bool {
        self.held().ended
    }

    /// Says whether the manager holds the outcome.
    pub(crate) fn is_done(&self) -> bool {
        self.half().is_done()
    }

    // The questions.

    /// Asks the manager, and returns the replies as they come. What has an effect needs a key, so
    /// that it has it once. Cancel safe.
    pub(crate) async fn put(&self, ask: Ask, key: Option<Key>) -> Replies<'_> {
        let replies = self.questions.put(ask, key).await;
        self.step(Input::Asked(replies.id()));
        replies
    }

    // The records.

    /// Appends a record, once for each key. Where there is no room for it, a later one says so.
    pub(crate) async fn append(&self, body: Body, key: Key) {
        self.tell_loss(false).await;
        let bytes = record(body);
        let mut appended = self.journal.append(self.id, &bytes, Kept::Log, key).await;
        // A supervisor that was started anew may hear of it before it hears of the attempt.
        if let Err(Refused { refusal: Refusal::Unknown, .. }) = appended
            && self.is_open().await.is_ok()
        {
            appended = self.journal.append(self.id, &bytes, Kept::Log, key).await;
        }
        match appended {
            Ok(Written { sequence, .. }) => self.grow(sequence, false),
            Err(Refused { refusal: Refusal::Ended, .. }) => {
                // A straggler of the plugin's, after the end of its attempt.
            }
            Err(Refused { refusal: Refusal::OverQuota, .. }) => self.loss().add(1),
            Err(refused) => warn!(attempt = %self.id, %refused, "a record is not kept"),
        }
    }

    /// Tells of the records that were not kept, if it is time to.
    async fn tell_loss(&self, is_end: bool) {
        let Some(count) = self.loss().take(is_end) else { return };
        let body = record(loss::told(count));
        match self.journal.append(self.id, &body, Kept::Durable, Key::fresh()).await {
            Ok(Written { sequence, .. }) => self.grow(sequence, false),
            Err(_) => self.loss().add(count),
        }
    }

    /// Appends the outcome, which is the last record. A second outcome is not taken.
    pub(crate) async fn end(&self, outcome: Outcome) {
        if self.is_ended() {
            return;
        }
        // Else a supervisor that was started anew could hear of the end first.
        drop(self.is_open().await);
        self.tell_loss(true).await;
        match self.journal.end(self.id, &record(Body::Outcome(outcome))).await {
            Ok(Written { sequence, .. }) => self.grow(sequence, true),
            Err(refused) => warn!(attempt = %self.id, %refused, "the outcome is not kept"),
        }
    }

    /// Hears that the journal has grown.
    pub(crate) fn grow(&self, last: u64, ended: bool) {
        self.step(Input::Appended { last, ended });
    }

    /// Lets go what the manager holds.
    pub(crate) async fn release(&self, upto: u64) {
        if let Err(refused) = self.journal.ack(self.id, upto).await {
            warn!(attempt = %self.id, %refused, "an acknowledgement is not kept");
        }
    }

    /// Keeps something of the daemon's own, for good.
    pub(crate) async fn keep(&self, slot: Slot, bytes: Bytes) {
        if let Err(refused) = self.journal.note(self.id, slot as u8, bytes).await {
            warn!(attempt = %self.id, %refused, "a note is not kept");
        }
    }

    /// Returns what another life of the daemon has kept.
    pub(crate) fn note(&self, slot: Slot) -> Option<Bytes> {
        self.before.notes.get(&(slot as u8)).cloned()
    }

    /// The key of something that happens once in the course of an attempt.
    pub(crate) fn once(&self, what: &str) -> Key {
        Key::from(self.id.0).part(what)
    }

    // The process.

    /// Says whether another life of the daemon knew it.
    pub(crate) fn is_resumed(&self) -> bool {
        self.before.is_resumed
    }

    /// Says whether its process was started before this life of the daemon, or may have been.
    pub(crate) fn had_process(&self) -> bool {
        self.before.pid.is_some() || self.exited.borrow().is_some()
    }

    /// Returns the process that another life of the daemon started.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.before.pid
    }

    /// Starts its process, once. Returns its id.
    pub(crate) async fn spawn(&self, spawn: &Spawn) -> Result<i32, Refused> {
        match self.journal.spawn(self.id, spawn).await {
            // A supervisor that was started anew may hear of it before it hears of the attempt.
            Err(Refused { refusal: Refusal::Unknown, .. }) => {
                self.is_open().await?;
                self.journal.spawn(self.id, spawn).await
            }
            spawned => spawned,
        }
    }

    /// Hears how its process ended.
    pub(crate) fn hear_exited(&self, exited: Exited) {
        self.exited.send_replace(Some(exited));
    }

    /// Waits until its process has ended. Cancel safe.
    pub(crate) async fn exited(&self) -> Exited {
        let mut exited = self.exited.subscribe();
        let known = exited.wait_for(Option::is_some).await;
        known.ok().and_then(|exited| exited.clone()).expect("the attempt holds the sender")
    }

    /// Tells the supervisor of an order to end.
    pub(crate) async fn end_process(&self, order: &Cancel) {
        if let Err(refused) = self.journal.cancel(self.id, order.kill, &order.reason).await {
            warn!(attempt = %self.id, %refused, "the order to end is not taken");
        }
    }

    /// Says that the operation is not idle.
    pub(crate) async fn touch(&self) {
        self.journal.touch(self.id).await;
    }

    // The order to end.

    /// Orders the end. An order to kill stands; another does not soften it.
    pub(crate) fn cancel(&self, order: Cancel) {
        self.cancel.send_if_modified(|current| {
            let stands = current.as_ref().is_some_and(|current| current.kill || !order.kill);
            if !stands {
                *current = Some(order);
            }
            !stands
        });
    }

    /// Returns the order to end, if there is one.
    pub(crate) fn order(&self) -> Option<Cancel> {
        self.cancel.borrow().clone()
    }

    /// Waits for the order to end. Cancel safe.
    pub(crate) async fn cancelled(&self) -> Cancel {
        self.ordered(|_| true).await
    }

    /// Waits for the order to end without asking first. Cancel safe.
    pub(crate) async fn killed(&self) -> Cancel {
        self.ordered(|order| order.kill).await
    }

    async fn ordered(&self, wanted: impl Fn(&Cancel) -> bool) -> Cancel {
        let mut orders = self.cancel.subscribe();
        let order = orders.wait_for(|order| order.as_ref().is_some_and(&wanted)).await;
        order.ok().and_then(|order| order.clone()).expect("the attempt holds the sender")
    }

    fn loss(&self) -> MutexGuard<'_, Loss> {
        self.loss.lock().expect("nothing panics while it counts")
    }

    fn half(&self) -> MutexGuard<'_, Half> {
        self.half.lock().expect("nothing panics while it holds the conversation's half")
    }
}

// === impl Cancel ===

impl Cancel {
    /// How strong it is.
    pub(crate) fn order(&self) -> Order {
        if self.kill { Order::Kill } else { Order::Terminate }
    }
}

/// The message of a record that has no place yet.
fn record(body: Body) -> waggoner_proto::agent::v1::Record {
    waggoner_wire::to_record(Record { sequence: 0, time: Timestamp::now(), body })
}

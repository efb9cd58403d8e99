//! The actor of one execution: an event, a turn of the engine, one transaction, then its effects.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time,
};
use tracing::error;
use waggoner_engine::{Dispatch, Event, Execution as Engine, TaskNumber};
use waggoner_store::advance::Advance;
use waggoner_task::{Backoff, CancellationToken};
use waggoner_types::{CancelMode, Chain, ExecutionStatus, Outcome};

use super::{
    Stage, WAITING,
    attempts::Attempt,
    kept::Endings,
    look::{Depth, Sight},
    prepare::undrained,
    turn::Then,
};
use crate::home::Home;

/// How many happenings one turn takes at the most: one transaction stores what comes of them.
pub(crate) const TOGETHER: usize = 64;

/// Something that happened to an execution.
#[derive(Debug)]
pub(crate) enum Happening {
    /// An agent has begun to run an attempt; who tells it wants to know when that is stored.
    Started { task: TaskNumber, retry_number: u32, stored: oneshot::Sender<()> },
    /// An attempt ended, or could not be dispatched.
    Ended { task: TaskNumber, retry_number: u32, outcome: Outcome },
    /// Somebody wants the execution to end, and to know when that is stored.
    Cancel { mode: CancelMode, stored: oneshot::Sender<()> },
    /// Somebody wants to see how it stands.
    Look { depth: Depth, sight: oneshot::Sender<Sight> },
}

/// The actor of one execution.
#[derive(Debug)]
pub(crate) struct Actor {
    home: Arc<Home>,
    pub(super) stage: Arc<Stage>,
    pub(super) engine: Engine,
    pub(super) endings: Endings,
    priority: i32,
    happenings: mpsc::Sender<Happening>,
    inbox: mpsc::Receiver<Happening>,
    attempts: HashMap<(TaskNumber, u32), Out>,
    /// The operations that have ended.
    pub(super) ended: HashSet<TaskNumber>,
    /// Told when the next turn is stored.
    awaited: Vec<oneshot::Sender<()>>,
    pub(super) wake_at: Option<Timestamp>,
    pub(super) status: ExecutionStatus,
}

/// An attempt that is out.
#[derive(Debug)]
struct Out {
    cancel: CancellationToken,
    /// Whether it has one of the places that all executions share.
    has_place: Arc<AtomicBool>,
}

// === impl Actor ===

impl Actor {
    pub(crate) fn new(
        home: &Arc<Home>,
        stage: Stage,
        engine: Engine,
        endings: Endings,
        priority: i32,
        ended: HashSet<TaskNumber>,
    ) -> Self {
        let (happenings, inbox) = mpsc::channel(WAITING);
        Self {
            home: Arc::clone(home),
            stage: Arc::new(stage),
            engine,
            endings,
            priority,
            happenings,
            inbox,
            attempts: HashMap::new(),
            ended,
            awaited: Vec::new(),
            wake_at: None,
            status: ExecutionStatus::Pending,
        }
    }

    /// Where to tell what happens to the execution.
    pub(crate) fn handle(&self) -> mpsc::Sender<Happening> {
        self.happenings.clone()
    }

    /// Runs until the execution has ended, or the manager stops. `events` are the first turn.
    pub(crate) async fn run(mut self, mut events: Vec<Event>) -> Result<(), waggoner_store::Error> {
        loop {
            if !events.is_empty() && self.turn(events).await? {
                return Ok(());
            }
            match self.next().await {
                Some(next) => events = next,
                None => return Ok(()),
            }
        }
    }

    /// Takes one turn: decide, store, do. Says whether the execution is over.
    pub(crate) async fn turn(&mut self, events: Vec<Event>) -> Result<bool, waggoner_store::Error> {
        let turn = self.decide(events);
        self.store(turn.advance).await?;
        Ok(self.carry_out(turn.then))
    }

    /// Waits for what happens next; for nothing any more when the manager stops.
    pub(super) async fn next(&mut self) -> Option<Vec<Event>> {
        let stop = self.home.tasks.token();
        let mut events = Vec::new();
        while events.is_empty() {
            let happening = tokio::select! {
                biased;
                // What is out is found again by the next manager.
                () = stop.cancelled() => return None,
                happening = self.inbox.recv() => happening,
                () = until(self.wake_at) => {
                    self.wake_at = None;
                    return Some(vec![Event::Woken]);
                }
            };
            events.extend(self.event(happening.expect("the actor holds a sender itself")));
        }
        // What happened while the last turn was stored shares the next transaction.
        while events.len() < TOGETHER
            && let Ok(happening) = self.inbox.try_recv()
        {
            events.extend(self.event(happening));
        }
        Some(events)
    }

    /// Does what a stored turn wants done. Says whether the execution is over.
    pub(super) fn carry_out(&mut self, then: Then) -> bool {
        for stored in self.awaited.drain(..) {
            // Who asked may have gone away.
            let _gone = stored.send(());
        }
        for dispatch in then.dispatches {
            self.dispatch(dispatch);
        }
        // Last: what is cancelled may have been dispatched in the same turn.
        for attempt in then.cancels {
            if let Some(out) = self.attempts.get(&attempt) {
                out.cancel.cancel();
            }
        }
        then.is_over
    }

    fn event(&mut self, happening: Happening) -> Option<Event> {
        match happening {
            Happening::Started { task, retry_number, stored } => {
                self.awaited.push(stored);
                Some(Event::OperationStarted { task, retry_number })
            }
            Happening::Ended { task, retry_number, outcome } => {
                self.attempts.remove(&(task, retry_number));
                Some(match outcome.result {
                    Ok(result) => Event::OperationSucceeded { task, retry_number, result },
                    Err(error) => Event::OperationFailed { task, retry_number, error },
                })
            }
            Happening::Cancel { mode, stored } => {
                self.awaited.push(stored);
                self.status = match mode {
                    CancelMode::Cancel => ExecutionStatus::Cancelling,
                    CancelMode::Force => ExecutionStatus::ForceCancelling,
                    CancelMode::Kill => ExecutionStatus::KillCancelling,
                };
                Some(Event::Cancel(mode))
            }
            Happening::Look { depth, sight } => {
                let waits = |out: &&Out| !out.has_place.load(Ordering::Relaxed);
                let waiting = self.attempts.iter().filter(|(_, out)| waits(out));
                // Who asked may have gone away.
                let _gone = sight.send(Sight {
                    explanation: self.engine.explain(),
                    tasks: match depth {
                        Depth::Open => Vec::new(),
                        Depth::All => self.engine.tasks(),
                    },
                    without_place: waiting.map(|(attempt, _)| *attempt).collect(),
                });
                None
            }
        }
    }

    /// Runs an attempt as soon as it has one of the places that all executions share.
    fn dispatch(&mut self, dispatch: Dispatch) {
        let (cancel, has_place) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let out = Out { cancel: cancel.clone(), has_place: Arc::clone(&has_place) };
        self.attempts.insert((dispatch.task, dispatch.retry_number), out);
        let is_out_already = dispatch.again;
        let attempt = Attempt {
            home: Arc::clone(&self.home),
            stage: Arc::clone(&self.stage),
            dispatch,
            happenings: self.happenings.clone(),
            cancel: cancel.clone(),
        };
        let (home, priority) = (Arc::clone(&self.home), self.priority);
        self.home.tasks.spawn("attempt", async move {
            let slots = &home.executions.slots;
            let stop = home.tasks.token();
            let place = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // It is told so in the attempt's own words.
                () = cancel.cancelled() => None,
                place = async {
                    if is_out_already {
                        return slots.take();
                    }
                    // Where that cannot be told, the attempt says why.
                    drop(undrained(&home, &attempt.stage, &attempt.dispatch).await);
                    slots.acquire(priority).await
                } => Some(place),
            };
            has_place.store(true, Ordering::Relaxed);
            home.executions.attempts.run(attempt).await;
            drop(place);
        });
    }

    /// Stores a turn. A store that fails is tried again for ever: the turn is taken already.
    pub(super) async fn store(&self, advance: Advance) -> Result<(), waggoner_store::Error> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            match self.home.store.advance(advance.clone()).await {
                Ok(()) => return Ok(()),
                Err(error @ waggoner_store::Error::Failed { .. }) => {
                    error!(error = %Chain(&error), "failed to store a turn; trying again");
                    time::sleep(backoff.next()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

async fn until(at: Option<Timestamp>) {
    match at {
        Some(at) => {
            let left = at.duration_since(Timestamp::now());
            time::sleep(Duration::try_from(left).unwrap_or_default()).await;
        }
        None => std::future::pending().await,
    }
}

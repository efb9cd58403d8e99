//! The actor of one execution: an event, a turn of the engine, one transaction, then its effects.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    time,
};
use tracing::error;
use waggoner_engine::{Dispatch, Effect, Event, Execution as Engine, Finish, TaskNumber, Told};
use waggoner_store::{
    advance::{Advance, Progress, StatusChange},
    event::{Entry, EntryKind, Origin},
    execution::{Operation, Task},
    instance::InstanceChange,
};
use waggoner_task::{Backoff, CancellationToken};
use waggoner_types::{CancelMode, Chain, ExecutionStatus, Outcome};

use crate::{
    executions::{Stage, attempt},
    home::Home,
};

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
}

/// The actor of one execution.
#[derive(Debug)]
pub(crate) struct Actor {
    home: Arc<Home>,
    stage: Arc<Stage>,
    engine: Engine,
    happenings: mpsc::Sender<Happening>,
    inbox: mpsc::Receiver<Happening>,
    /// Cancels the attempts that are out.
    attempts: HashMap<(TaskNumber, u32), CancellationToken>,
    /// The operations that have ended.
    ended: HashSet<TaskNumber>,
    /// Told when the next turn is stored.
    awaited: Vec<oneshot::Sender<()>>,
    wake_at: Option<Timestamp>,
    status: ExecutionStatus,
}

/// What a turn of the engine comes to.
struct Turn {
    advance: Advance,
    dispatches: Vec<Dispatch>,
    cancels: Vec<(TaskNumber, u32)>,
    is_over: bool,
}

// === impl Actor ===

impl Actor {
    pub(crate) fn new(
        home: Arc<Home>,
        stage: Arc<Stage>,
        engine: Engine,
        happenings: mpsc::Sender<Happening>,
        inbox: mpsc::Receiver<Happening>,
        ended: HashSet<TaskNumber>,
    ) -> Self {
        Self {
            home,
            stage,
            engine,
            happenings,
            inbox,
            attempts: HashMap::new(),
            ended,
            awaited: Vec::new(),
            wake_at: None,
            status: ExecutionStatus::Pending,
        }
    }

    /// Runs until the execution has ended, or the manager stops.
    pub(crate) async fn run(mut self, first: Event) -> Result<(), waggoner_store::Error> {
        let stop = self.home.tasks.token();
        let mut events = vec![first];
        loop {
            if self.turn(events).await? {
                return Ok(());
            }
            let event = tokio::select! {
                biased;
                // What is out is found again by the next manager.
                () = stop.cancelled() => return Ok(()),
                happening = self.inbox.recv() => {
                    self.event(happening.expect("the actor holds a sender itself"))
                }
                () = until(self.wake_at) => {
                    self.wake_at = None;
                    Event::Woken
                }
            };
            events = vec![event];
            // What happened while the last turn was stored shares the next transaction.
            while events.len() < TOGETHER
                && let Ok(happening) = self.inbox.try_recv()
            {
                events.push(self.event(happening));
            }
        }
    }

    fn event(&mut self, happening: Happening) -> Event {
        match happening {
            Happening::Started { task, retry_number, stored } => {
                self.awaited.push(stored);
                Event::OperationStarted { task, retry_number }
            }
            Happening::Ended { task, retry_number, outcome } => {
                self.attempts.remove(&(task, retry_number));
                match outcome.result {
                    Ok(result) => Event::OperationSucceeded { task, retry_number, result },
                    Err(error) => Event::OperationFailed { task, retry_number, error },
                }
            }
            Happening::Cancel { mode, stored } => {
                self.awaited.push(stored);
                self.status = match mode {
                    CancelMode::Cancel => ExecutionStatus::Cancelling,
                    CancelMode::Force => ExecutionStatus::ForceCancelling,
                    CancelMode::Kill => ExecutionStatus::KillCancelling,
                };
                Event::Cancel(mode)
            }
        }
    }

    /// Takes one turn: decide, store, do. Says whether the execution is over.
    async fn turn(&mut self, events: Vec<Event>) -> Result<bool, waggoner_store::Error> {
        let now = Timestamp::now();
        let beginning = events.iter().any(|event| matches!(event, Event::Started));
        let cancelling = events.iter().any(|event| matches!(event, Event::Cancel(_)));
        let effects = events.into_iter().flat_map(|event| self.engine.step(event, now)).collect();
        let mut turn = self.gather(effects, now);
        if turn.advance.status.is_none() && (beginning || cancelling) {
            let status = if cancelling { self.status } else { ExecutionStatus::Started };
            turn.advance.status = Some(StatusChange { status, error: None });
        }
        self.store(turn.advance).await?;
        for stored in self.awaited.drain(..) {
            // Who asked may have gone away.
            let _gone = stored.send(());
        }
        for dispatch in turn.dispatches {
            let cancel = CancellationToken::new();
            self.attempts.insert((dispatch.task, dispatch.retry_number), cancel.clone());
            let (home, stage) = (Arc::clone(&self.home), Arc::clone(&self.stage));
            let happenings = self.happenings.clone();
            self.home
                .tasks
                .spawn("attempt", attempt::run(home, stage, dispatch, happenings, cancel));
        }
        // Last: what is cancelled may have been dispatched in the same turn.
        for (task, retry_number) in turn.cancels {
            if let Some(attempt) = self.attempts.get(&(task, retry_number)) {
                attempt.cancel();
            }
        }
        Ok(turn.is_over)
    }

    fn gather(&mut self, effects: Vec<Effect>, now: Timestamp) -> Turn {
        let mut turn = Turn {
            advance: Advance::new(self.stage.scene.execution, now),
            dispatches: Vec::new(),
            cancels: Vec::new(),
            is_over: false,
        };
        for effect in effects {
            match effect {
                Effect::Save(row) => {
                    if row.state.is_end() {
                        self.ended.insert(row.task);
                    }
                    turn.advance.tasks.push(Task {
                        number: row.task.0,
                        status: row.state.as_str().to_owned(),
                        operation: None,
                        retry: row.retry_number,
                        not_before: row.not_before,
                        state: serde_json::to_value(&row).expect("a row is JSON"),
                    });
                }
                Effect::Dispatch(dispatch) => {
                    if !dispatch.again {
                        turn.advance.operations.push(self.operation(&dispatch, now));
                    }
                    turn.dispatches.push(*dispatch);
                }
                Effect::CancelOperation { task, retry_number } => {
                    turn.cancels.push((task, retry_number));
                }
                Effect::SetInstanceState { instance, state } => {
                    turn.advance.instances.push(InstanceChange {
                        id: instance,
                        state: Some(state),
                        ..InstanceChange::default()
                    });
                }
                Effect::SetSystemProperties { instance, properties } => {
                    turn.advance.instances.push(InstanceChange {
                        id: instance,
                        system_properties: Some(properties),
                        ..InstanceChange::default()
                    });
                }
                Effect::Emit(told) => turn.advance.events.push(self.entry(*told, now)),
                Effect::WakeAt(at) => self.wake_at = Some(at),
                // No execution is started with a modification, so none ends.
                Effect::EndModification(_) => {}
                Effect::Finish(Finish { status, error }) => {
                    turn.advance.status = Some(StatusChange { status, error });
                    turn.is_over = true;
                }
            }
        }
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let finished = count(self.ended.len());
        turn.advance.progress = Some(Progress {
            total_operations: count(self.engine.operations()).max(finished),
            finished_operations: finished,
        });
        turn
    }

    fn operation(&self, dispatch: &Dispatch, now: Timestamp) -> Operation {
        let target = dispatch.relationship.as_ref().map(|of| of.target_instance.clone());
        Operation {
            id: self.stage.operation(dispatch.task.0, dispatch.retry_number),
            task: dispatch.task.0,
            retry: dispatch.retry_number,
            name: dispatch.operation_name.clone(),
            node_instance_id: Some(dispatch.instance.clone()),
            target_id: target,
            created_at: now,
            ended_at: None,
            outcome: None,
        }
    }

    fn entry(&self, told: Told, now: Timestamp) -> Entry {
        let scene = &self.stage.scene;
        let node = told.instance.as_deref().map(|instance| {
            // Instance ids are the node's with a suffix (`dsl_parser/rel_graph.py`).
            instance.rsplit_once('_').map_or(instance, |(node, _)| node).to_owned()
        });
        let causes = told.causes.iter().map(|cause| {
            serde_json::json!({
                "message": cause.message,
                "type": cause.exception_type,
                "traceback": cause.traceback,
            })
        });
        Entry {
            origin: Arc::new(Origin {
                execution_id: Some(scene.execution),
                deployment_id: Some(scene.deployment.clone()),
                workflow_id: Some(scene.workflow.clone()),
                node_id: node,
                node_instance_id: told.instance,
                operation: told.operation,
                ..Origin::of(scene.tenant.clone())
            }),
            time: now,
            kind: EntryKind::Event { event_type: told.event_type.to_string() },
            message: told.message,
            causes: causes.collect::<Vec<Value>>(),
            sequence: 0,
        }
    }

    /// Stores a turn. A store that fails is tried again for ever: the turn is taken already.
    async fn store(&self, advance: Advance) -> Result<(), waggoner_store::Error> {
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

//! Executions: one actor each, which turns the engine's wishes into operations on agents.
//!
//! ```text
//!  start ──▶ actor ── event ──▶ engine ── effects ──▶ one transaction ──▶ dispatch ─┐
//!    │         ▲                                                                    │
//!    ▼         └──────────── started, ended ◀── attempt: one conversation ◀─────────┘
//!  queue, schedule ─▶ begun when their turn or their time has come
//! ```

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, mpsc},
    task::spawn_blocking,
};
use tracing::{error, info, warn};
use waggoner_engine::{Event, Execution as Engine, Row, TaskNumber};
use waggoner_store::execution::Execution;
use waggoner_types::{CancelMode, Chain, ExecutionId, ExecutionStatus};
use waggoner_wire::{Reason, Refused};

use crate::{api::refused, home::Home};

pub(crate) mod actor;
pub(crate) mod answers;
pub(crate) mod attempt;
pub(crate) mod attempts;
mod availability;
mod built_in;
mod cancel;
pub(crate) mod context;
pub(crate) mod conversation;
pub(crate) mod environment;
pub(crate) mod evaluate;
mod kept;
mod look;
mod modify;
mod outcome;
mod policy;
pub(crate) mod prepare;
mod rest;
mod resume;
mod shapes;
mod slots;
mod stage;
mod start;
mod turn;
mod update;
mod verdict;
pub(crate) mod waiting;

pub(crate) use cancel::cancel;
pub(crate) use conversation::lost;
pub(crate) use evaluate::outputs;
pub(crate) use look::{Depth, Looked, Wait, Why, look};
pub(crate) use outcome::told;
pub(crate) use rest::init_script::page as install_page;
pub(crate) use resume::{resume, resume_as};
pub(crate) use stage::Stage;
pub(crate) use start::{Asked, When, new_id, start, start_as};
pub(crate) use update::{UpdateAsked, Updated, update, update_as};

use actor::{Actor, Happening};
use attempts::{Attempts, OnAgents};
use kept::Kept;
use slots::Slots;
use start::not_accepted;

/// How many happenings may wait for an execution's actor: each attempt in flight tells two.
const WAITING: usize = 1024;

/// The executions that run now, and how to reach them.
#[derive(Debug)]
pub(crate) struct Executions {
    running: Mutex<HashMap<ExecutionId, mpsc::Sender<Happening>>>,
    attempts: Arc<dyn Attempts>,
    slots: Arc<Slots>,
    /// Told when an execution is scheduled.
    scheduled: Notify,
}

/// Goes on with the executions that had not ended when the manager did.
pub(crate) async fn restore(home: &Arc<Home>) -> Result<(), waggoner_store::Error> {
    let mut queues = HashSet::new();
    for execution in home.store.open_executions().await? {
        let id = execution.id;
        match execution.status {
            ExecutionStatus::Scheduled => {}
            ExecutionStatus::Queued => {
                queues.insert((execution.tenant, execution.deployment_id));
            }
            _ => {
                if let Err(refusal) = go_on(home, &execution).await {
                    error!(execution = %id, why = refusal.message, "failed to go on with it");
                }
            }
        }
    }
    for (tenant, deployment) in queues {
        waiting::begin_next(home, &tenant, &deployment).await;
    }
    Ok(())
}

/// Removes files that nothing needs any more: those of deployments that were deleted, and bodies of
/// requests that were never made.
pub(crate) async fn sweep(home: &Home) {
    if let Err(unanswered) = rest::files::sweep(home).await {
        warn!(why = unanswered.message, "failed to sweep the files of deployments");
    }
    let incoming = home.incoming();
    let swept = spawn_blocking(move || answers::sweep(&incoming)).await;
    if let Err(error) = swept.map_err(std::io::Error::other).flatten() {
        warn!(error = %Chain(&error), "failed to sweep the bodies of requests");
    }
}

/// Does a thing to its end, also when whoever asked for it has gone meanwhile: what is stored half
/// way would wait for the next start of the manager.
fn whole<T: Send + 'static>(
    home: &Home,
    thing: impl Future<Output = Result<T, Refused>> + Send + 'static,
) -> impl Future<Output = Result<T, Refused>> + Send {
    let done = home.tasks.whole(thing);
    let stops =
        || Err(Refused::new(Reason::Unavailable, "the manager is about to end: ask the next one"));
    async move { done.await.unwrap_or_else(stops) }
}

async fn go_on(home: &Arc<Home>, execution: &Execution) -> Result<(), Refused> {
    let kept = Kept::load(home, execution.id).await?;
    let stage = kept.stage(home, execution).await?;
    let plan = Arc::clone(&stage.plan);
    let cancelling = match execution.status {
        ExecutionStatus::Cancelling => Some(CancelMode::Cancel),
        ExecutionStatus::ForceCancelling => Some(CancelMode::Force),
        ExecutionStatus::KillCancelling => Some(CancelMode::Kill),
        _ => None,
    };
    let mut ended = HashSet::new();
    let (engine, event) = if execution.status == ExecutionStatus::Pending {
        (Engine::start(plan, &kept.start).map_err(not_accepted)?, Event::Started)
    } else {
        let rows = rows(home, execution.id).await?;
        ended.extend(ended_of(&rows));
        let engine = Engine::restore(plan, &kept.start, rows).map_err(not_accepted)?;
        (engine, Event::Restored { cancelling })
    };
    info!(execution = %execution.id, "going on with an execution");
    let actor = Actor::new(home, stage, engine, kept.endings(), execution.priority, ended);
    run(home, execution, actor, vec![event]);
    Ok(())
}

/// Reads the rows of an execution's tasks.
async fn rows(home: &Home, id: ExecutionId) -> Result<Vec<Row>, Refused> {
    let tasks = home.store.tasks(id).await.map_err(refused)?;
    let rows = tasks.into_iter().map(|task| serde_json::from_value::<Row>(task.state));
    rows.collect::<Result<_, _>>()
        .map_err(|error| Refused::new(Reason::Internal, format!("the tasks of `{id}`: {error}")))
}

fn ended_of(rows: &[Row]) -> impl Iterator<Item = TaskNumber> {
    rows.iter().filter(|row| row.state.is_end()).map(|row| row.task)
}

/// Lets an execution's actor run. `events` are its first turn, unless that was taken already.
fn run(home: &Arc<Home>, execution: &Execution, actor: Actor, events: Vec<Event>) {
    let id = execution.id;
    let (tenant, deployment) = (execution.tenant.clone(), execution.deployment_id.clone());
    home.executions.running().insert(id, actor.handle());
    let at_home = Arc::clone(home);
    home.tasks.spawn("execution", async move {
        let run = actor.run(events).await;
        at_home.executions.running().remove(&id);
        match run {
            Ok(()) => waiting::begin_next(&at_home, &tenant, &deployment).await,
            Err(error) => error!(execution = %id, error = %Chain(&error), "an execution stopped"),
        }
    });
}

#[cfg(test)]
mod tests;

// === impl Executions ===

impl Executions {
    /// Operations are run by agents, so many of them at a time.
    pub(crate) fn on_agents(operations: usize) -> Self {
        Self::new(Arc::new(OnAgents), operations)
    }

    /// Operations are run by `attempts`, `operations` of them at a time.
    pub(crate) fn new(attempts: Arc<dyn Attempts>, operations: usize) -> Self {
        Self {
            running: Mutex::default(),
            attempts,
            slots: Arc::new(Slots::new(operations)),
            scheduled: Notify::new(),
        }
    }

    fn handle(&self, id: ExecutionId) -> Option<mpsc::Sender<Happening>> {
        self.running().get(&id).cloned()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<ExecutionId, mpsc::Sender<Happening>>> {
        // A panic while it was held left the map whole: each change is one call.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

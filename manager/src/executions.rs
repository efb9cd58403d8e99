//! Executions: one actor each, which turns the engine's wishes into operations on agents.
//!
//! ```text
//!  start ─▶ actor ── event ──▶ engine ── effects ──▶ one transaction ──▶ dispatch ─┐
//!             ▲                                                                    │
//!             └──────────── started, ended ◀── attempt: one conversation ◀─────────┘
//! ```

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};
use uuid::Uuid;
use waggoner_engine::{Event, Execution as Engine, Refusal, Row, Start, TaskNumber};
use waggoner_store::execution::{Execution, NewExecution};
use waggoner_types::{CancelMode, Chain, DeploymentId, ExecutionId, ExecutionStatus, TenantName};
use waggoner_wire::{Reason, Refused};

use crate::{api::refused, home::Home};

pub(crate) mod actor;
pub(crate) mod answers;
pub(crate) mod attempt;
mod built_in;
pub(crate) mod context;
pub(crate) mod conversation;
pub(crate) mod evaluate;
mod outcome;
mod policy;
pub(crate) mod prepare;
mod rest;
mod shapes;
mod stage;

pub(crate) use evaluate::outputs;
pub(crate) use stage::Stage;

use actor::{Actor, Happening};

/// How many happenings may wait for an execution's actor: each attempt in flight tells two.
const WAITING: usize = 1024;

/// The executions that run now, and how to reach them.
#[derive(Debug, Default)]
pub(crate) struct Executions {
    running: Mutex<HashMap<ExecutionId, mpsc::Sender<Happening>>>,
}

/// What is asked of a deployment.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) tenant: TenantName,
    pub(crate) deployment: DeploymentId,
    pub(crate) workflow: String,
    pub(crate) parameters: Map<String, Value>,
    pub(crate) allow_custom_parameters: bool,
}

/// Starts a workflow. It is stored, and then its first turn is taken.
pub(crate) async fn start(home: &Arc<Home>, asked: Asked) -> Result<Execution, Refused> {
    let id = ExecutionId(Uuid::now_v7());
    let stage = Stage::load(home, &asked, id).await?;
    let instances = stage.instances(home).await?;
    let start = Start {
        workflow: asked.workflow.clone(),
        parameters: asked.parameters.clone(),
        allow_custom_parameters: asked.allow_custom_parameters,
        instances: instances.iter().map(shapes::plan_instance).collect(),
        modification: None,
        update: None,
        settings: home.settings.clone(),
    };
    let engine = Engine::start(Arc::clone(&stage.plan), &start).map_err(not_accepted)?;
    let settings = serde_json::json!({ "start": start });
    let now = Timestamp::now();
    let execution = Execution {
        parameters: Value::Object(asked.parameters),
        ..Execution::new(id, asked.tenant, asked.deployment, asked.workflow, now)
    };
    let new = NewExecution::new(execution, settings);
    let execution = home.store.create_execution(new).await.map_err(refused)?;
    run(home, stage, engine, Event::Started, HashSet::new());
    Ok(execution)
}

/// Asks a running execution to end.
pub(crate) async fn cancel(
    home: &Arc<Home>,
    tenant: TenantName,
    id: ExecutionId,
    mode: CancelMode,
) -> Result<Execution, Refused> {
    let execution = home.store.execution(tenant.clone(), id).await.map_err(refused)?;
    let ended = |status: ExecutionStatus| {
        let why = format!("failed to cancel execution `{id}`: it has ended already, {status}");
        Refused::new(Reason::ExecutionEnded, why)
    };
    if execution.status.is_end() {
        return Err(ended(execution.status));
    }
    let handle = home.executions.running().get(&id).cloned();
    let (stored, is_stored) = oneshot::channel();
    let told = match handle {
        Some(handle) => handle.send(Happening::Cancel { mode, stored }).await.is_ok(),
        None => false,
    };
    // An order is acknowledged once it survives us.
    let told = told && is_stored.await.is_ok();
    let execution = home.store.execution(tenant, id).await.map_err(refused)?;
    match (told, execution.status.is_end()) {
        (true, _) => Ok(execution),
        (false, true) => Err(ended(execution.status)),
        (false, false) => {
            let why = format!("failed to cancel execution `{id}`: it is just starting; try again");
            Err(Refused::new(Reason::Unavailable, why))
        }
    }
}

/// Goes on with the executions that had not ended when the manager did.
pub(crate) async fn restore(home: &Arc<Home>) -> Result<(), waggoner_store::Error> {
    for execution in home.store.open_executions().await? {
        let id = execution.id;
        if let Err(refusal) = resume(home, execution).await {
            error!(execution = %id, why = refusal.message, "failed to go on with an execution");
        }
    }
    Ok(())
}

async fn resume(home: &Arc<Home>, execution: Execution) -> Result<(), Refused> {
    let mut settings = home.store.execution_settings(execution.id).await.map_err(refused)?;
    let start: Start = serde_json::from_value(settings["start"].take())
        .map_err(|error| Refused::new(Reason::Internal, format!("its start: {error}")))?;
    let asked = Asked {
        tenant: execution.tenant.clone(),
        deployment: execution.deployment_id.clone(),
        workflow: execution.workflow_id.clone(),
        parameters: start.parameters.clone(),
        allow_custom_parameters: start.allow_custom_parameters,
    };
    let stage = Stage::load(home, &asked, execution.id).await?;
    let tasks = home.store.tasks(execution.id).await.map_err(refused)?;
    let plan = Arc::clone(&stage.plan);
    let cancelling = match execution.status {
        ExecutionStatus::Cancelling => Some(CancelMode::Cancel),
        ExecutionStatus::ForceCancelling => Some(CancelMode::Force),
        ExecutionStatus::KillCancelling => Some(CancelMode::Kill),
        _ => None,
    };
    let mut ended = HashSet::new();
    let (engine, event) = if execution.status == ExecutionStatus::Pending {
        (Engine::start(plan, &start).map_err(not_accepted)?, Event::Started)
    } else {
        let rows = tasks.into_iter().map(|task| serde_json::from_value::<Row>(task.state));
        let rows: Vec<Row> = rows
            .collect::<Result<_, _>>()
            .map_err(|error| Refused::new(Reason::Internal, format!("its tasks: {error}")))?;
        ended.extend(rows.iter().filter(|row| row.state.is_end()).map(|row| row.task));
        (Engine::restore(plan, &start, rows).map_err(not_accepted)?, Event::Restored { cancelling })
    };
    info!(execution = %execution.id, "going on with an execution");
    run(home, stage, engine, event, ended);
    Ok(())
}

fn run(home: &Arc<Home>, stage: Stage, engine: Engine, first: Event, ended: HashSet<TaskNumber>) {
    let (happenings, inbox) = mpsc::channel(WAITING);
    let id = stage.scene.execution;
    home.executions.running().insert(id, happenings.clone());
    let actor = Actor::new(Arc::clone(home), Arc::new(stage), engine, happenings, inbox, ended);
    let at_home = Arc::clone(home);
    home.tasks.spawn("execution", async move {
        let run = actor.run(first).await;
        at_home.executions.running().remove(&id);
        if let Err(error) = run {
            error!(execution = %id, error = %Chain(&error), "an execution stopped");
        }
    });
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn not_accepted(refusal: Refusal) -> Refused {
    let reason = match refusal {
        Refusal::UnknownWorkflow { .. } | Refusal::NotBuiltIn { .. } => Reason::UnknownWorkflow,
        Refusal::UnknownParameter { .. }
        | Refusal::MissingParameters { .. }
        | Refusal::WrongType { .. }
        | Refusal::Unknown { .. }
        | Refusal::FixedInput { .. } => Reason::InvalidParameters,
        Refusal::Impossible { .. } | Refusal::Cycle { .. } | Refusal::NotResumable { .. } => {
            Reason::WorkflowUnavailable
        }
        Refusal::Inconsistent(_) => Reason::Internal,
    };
    Refused::new(reason, refusal.to_string())
}

impl Executions {
    fn running(&self) -> MutexGuard<'_, HashMap<ExecutionId, mpsc::Sender<Happening>>> {
        // A panic while it was held left the map whole: each change is one call.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

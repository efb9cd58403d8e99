//! How an execution stands: what it waits for, and its task graph.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use tokio::sync::oneshot;
use waggoner_engine::{Execution as Engine, Explanation, Line, Standing, Task, TaskNumber};
use waggoner_store::execution::{Execution, OutAttempt};
use waggoner_types::{ExecutionId, ExecutionStatus, OperationId, TenantName, plan::Executor};
use waggoner_wire::{Reason, Refused};

use super::{
    Stage, actor::Happening, kept::Kept, not_accepted, prepare::host_agent, rows,
    stage::operation_id,
};
use crate::{api::refused, fleet::AgentKey, home::Home};

/// What an execution's actor tells of it.
#[derive(Debug)]
pub(crate) struct Sight {
    pub(crate) explanation: Explanation,
    /// All tasks of the graph, where they were asked for.
    pub(crate) tasks: Vec<Task>,
    /// The attempts that wait for one of the places that all executions share.
    pub(crate) without_place: HashSet<(TaskNumber, u32)>,
}

/// How much is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What is not done.
    Open,
    /// The whole graph.
    All,
}

/// How an execution stands.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) execution: Execution,
    /// What it waits for as a whole: a sentence.
    pub(crate) summary: String,
    pub(crate) waits: Vec<Wait>,
    pub(crate) tasks: Vec<Task>,
}

/// An operation that is not done.
#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) line: Line,
    pub(crate) reason: Why,
    /// What it waits for, where that is other operations.
    pub(crate) waits_for: Vec<String>,
    pub(crate) agent: Option<String>,
    pub(crate) is_agent_linked: bool,
    pub(crate) last_line: Option<(Timestamp, String)>,
}

/// Why an operation is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Runs,
    /// It was sent, and its agent has not begun it.
    Sent,
    /// As many operations are out as may be, for all executions together.
    NoPlace,
    Retry,
    Queued,
    Waits,
    Lost,
    /// Its agent takes no new operations.
    Drained,
}

/// Looks at an execution.
pub(crate) async fn look(
    home: &Home,
    tenant: TenantName,
    id: ExecutionId,
    depth: Depth,
) -> Result<Looked, Refused> {
    let execution = home.store.execution(tenant, id).await.map_err(refused)?;
    let still = |summary: String, tasks| Looked {
        execution: execution.clone(),
        summary,
        waits: Vec::new(),
        tasks,
    };
    if execution.status.is_waiting() {
        return Ok(still(waiting(home, &execution).await?, Vec::new()));
    }
    let (sight, seen) = oneshot::channel();
    if let Some(handle) = home.executions.handle(id) {
        // An actor that has just ended drops it.
        drop(handle.send(Happening::Look { depth, sight }).await);
        if let Ok(sight) = seen.await {
            return running(home, execution, sight).await;
        }
    }
    let tasks = match depth {
        Depth::Open => Vec::new(),
        Depth::All => drawn(home, &execution).await?,
    };
    let summary = match (&execution.error, execution.status.is_end()) {
        (Some(error), true) => format!("it has ended: {}: {error}", execution.status),
        (_, true) => format!("it has ended: {}", execution.status),
        (_, false) => "nobody looks after it: the manager's log says why".to_owned(),
    };
    Ok(still(summary, tasks))
}

/// The graph of an execution that does not run, made again.
async fn drawn(home: &Home, execution: &Execution) -> Result<Vec<Task>, Refused> {
    let (tenant, deployment) = (execution.tenant.clone(), execution.deployment_id.clone());
    let shape = home.store.deployment_shape(tenant, deployment).await.map_err(refused)?;
    let kept = Kept::load(home, execution.id).await?;
    let stage = kept.stage(home, execution).await?;
    let rows = rows(home, execution.id).await?;
    let engine = Engine::restore(stage.plan, &kept.start, rows);
    match engine {
        Ok(engine) => Ok(engine.tasks()),
        Err(_) if shape.revision != execution.revision => {
            let why = format!(
                "failed to draw execution `{}`: deployment `{}` was scaled or updated since, and \
                 is not what the graph was made of",
                execution.id, execution.deployment_id
            );
            Err(Refused::new(Reason::WorkflowUnavailable, why))
        }
        Err(refusal) => Err(not_accepted(refusal)),
    }
}

async fn waiting(home: &Home, execution: &Execution) -> Result<String, Refused> {
    if execution.status == ExecutionStatus::Scheduled {
        let time = execution.scheduled_for.unwrap_or(execution.created_at);
        return Ok(format!("it is to begin at {time}"));
    }
    let open = home.store.open_executions().await.map_err(refused)?;
    let same = open.iter().filter(|other| {
        other.tenant == execution.tenant
            && other.deployment_id == execution.deployment_id
            && other.id != execution.id
    });
    let (queued, running): (Vec<_>, Vec<_>) = same.partition(|other| other.status.is_waiting());
    let running: Vec<String> = running
        .iter()
        .map(|other| format!("`{}` ({}, {})", other.id, other.workflow_id, other.status))
        .collect();
    let rank = |one: &Execution| (-one.priority, one.created_at, one.id);
    let before = queued
        .iter()
        .filter(|other| other.status == ExecutionStatus::Queued && rank(other) < rank(execution));
    let before = before.count();
    Ok(format!(
        "it waits for its turn on deployment `{}`: {} of its queue come before it, and {} run{}",
        execution.deployment_id,
        before,
        if running.is_empty() { "none".to_owned() } else { running.join(", ") },
        if running.len() == 1 { "s" } else { "" },
    ))
}

async fn running(home: &Home, execution: Execution, sight: Sight) -> Result<Looked, Refused> {
    let Sight { explanation, tasks, without_place } = sight;
    let out = home.store.attempts_out(execution.id).await.map_err(refused)?;
    let mut out: HashMap<OperationId, OutAttempt> =
        out.into_iter().map(|attempt| (attempt.operation, attempt)).collect();
    let names: HashMap<TaskNumber, String> =
        explanation.lines.iter().map(|line| (line.task, name(line))).collect();
    let kept = Kept::load(home, execution.id).await?;
    let stage = kept.stage(home, &execution).await?;
    let mut waits = Vec::new();
    for line in explanation.lines {
        let attempt = out.remove(&operation_id(execution.id, line.task.0, line.retry_number));
        let mut reason = match &line.standing {
            Standing::Running { .. } if without_place.contains(&(line.task, line.retry_number)) => {
                Why::NoPlace
            }
            Standing::Running { state, .. } if state.as_str() == "sent" => Why::Sent,
            Standing::Running { .. } => Why::Runs,
            Standing::Retry { .. } => Why::Retry,
            Standing::Queued => Why::Queued,
            Standing::Waits { .. } => Why::Waits,
            Standing::Lost => Why::Lost,
        };
        let (agent, is_agent_linked) = match &attempt {
            Some(attempt) => linked(home, &execution.tenant, Some(attempt.agent.to_string())),
            None if matches!(reason, Why::Runs | Why::Sent | Why::NoPlace) => {
                let (agent, is_drained) = agent(home, &stage, &line).await;
                if is_drained {
                    reason = Why::Drained;
                }
                linked(home, &execution.tenant, agent)
            }
            None => (None, false),
        };
        let waits_for = match &line.standing {
            Standing::Waits { tasks } => {
                tasks.iter().filter_map(|task| names.get(task)).cloned().collect()
            }
            _ => Vec::new(),
        };
        let last_line = attempt.and_then(|attempt| attempt.last_line);
        waits.push(Wait { line, reason, waits_for, agent, is_agent_linked, last_line });
    }
    Ok(Looked { summary: summary(&execution, &waits), execution, waits, tasks })
}

/// The agent that an operation is for, none where any central one may run it; and whether it takes
/// no new operations.
async fn agent(home: &Home, stage: &Stage, line: &Line) -> (Option<String>, bool) {
    let tenant = &stage.scene.tenant;
    match (line.executor, &line.host) {
        (Executor::CentralDeploymentAgent, _) | (Executor::Auto, None) => {
            let central = home.fleet.central(tenant);
            let name = central.map(|central| central.key.name.to_string());
            (name, home.fleet.is_central_drained(tenant))
        }
        (Executor::HostAgent | Executor::Auto, _) => {
            let host = line.host.as_deref();
            let Ok(name) = host_agent(home, stage, host, &line.node).await else {
                return (None, false);
            };
            let key = AgentKey { tenant: tenant.clone(), name };
            (Some(key.name.to_string()), home.fleet.is_drained(&key))
        }
    }
}

fn linked(home: &Home, tenant: &TenantName, agent: Option<String>) -> (Option<String>, bool) {
    let name = agent.as_deref().and_then(|name| name.parse().ok());
    let key = name.map(|name| AgentKey { tenant: tenant.clone(), name });
    let is_linked = key.is_some_and(|key| home.fleet.link(&key).is_some());
    (agent, is_linked)
}

fn summary(execution: &Execution, waits: &[Wait]) -> String {
    let count = |reason: Why| waits.iter().filter(|wait| wait.reason == reason).count();
    let parts = [
        (Why::Runs, "run"),
        (Why::Sent, "are on the way to their agents"),
        (Why::Drained, "wait for an agent that is drained"),
        (Why::NoPlace, "wait for the manager's limit on running operations"),
        (Why::Retry, "wait to be tried again"),
        (Why::Queued, "wait for the deployment's limit on running operations"),
        (Why::Waits, "wait for other operations"),
        (Why::Lost, "will not run, since what they need has failed"),
    ];
    let told = parts.map(|(reason, what)| (count(reason), what));
    let told: Vec<String> = told
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let told = if told.is_empty() { "nothing is left to do".to_owned() } else { told.join(", ") };
    format!("it is {}: of the operations of this phase {told}", execution.status)
}

/// An operation as people call it.
fn name(line: &Line) -> String {
    let operation = line.operation.rsplit('.').next().unwrap_or(&line.operation);
    match &line.relationship {
        Some(of) => format!("{}->{}.{operation}", of.source_instance, of.target_instance),
        None => format!("{}.{operation}", line.instance),
    }
}

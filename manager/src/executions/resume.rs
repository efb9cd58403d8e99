//! Letting an execution that ended badly go on.

use std::sync::Arc;

use waggoner_engine::{Event, Execution as Engine, Resume};
use waggoner_store::{Store, execution::Execution};
use waggoner_types::{ExecutionId, ExecutionStatus, TenantName};
use waggoner_wire::{Reason, Refused};

use super::{actor::Actor, ended_of, kept::Kept, not_accepted, rows, run, whole};
use crate::{api::refused, home::Home};

/// Lets an execution that failed or was cancelled go on: what failed and what was not sent any
/// more is run, and what had succeeded is not.
pub(crate) async fn resume(
    home: &Arc<Home>,
    tenant: TenantName,
    id: ExecutionId,
    resume: Resume,
) -> Result<Execution, Refused> {
    resume_as(home, home.store.clone(), tenant, id, resume).await
}

/// The same; `store` stores that it goes on.
pub(crate) async fn resume_as(
    home: &Arc<Home>,
    store: Store,
    tenant: TenantName,
    id: ExecutionId,
    resume: Resume,
) -> Result<Execution, Refused> {
    let execution = home.store.execution(tenant.clone(), id).await.map_err(refused)?;
    let refuse = |reason, why: String| {
        Err(Refused::new(reason, format!("failed to resume execution `{id}`: {why}")))
    };
    match execution.status {
        ExecutionStatus::Failed | ExecutionStatus::Cancelled => {}
        ExecutionStatus::Terminated => {
            return refuse(Reason::WorkflowUnavailable, "it has succeeded, terminated".to_owned());
        }
        status => {
            return refuse(Reason::ExecutionRunning, format!("it has not ended: it is {status}"));
        }
    }
    if execution.started_at.is_none() {
        let why = "it was never begun; start its workflow instead";
        return refuse(Reason::WorkflowUnavailable, why.to_owned());
    }
    let deployment = execution.deployment_id.clone();
    let shape = home.store.deployment_shape(tenant.clone(), deployment.clone()).await;
    if shape.map_err(refused)?.revision != execution.revision {
        let why = format!(
            "deployment `{deployment}` was scaled or updated since; start workflow `{}` instead",
            execution.workflow_id
        );
        return refuse(Reason::WorkflowUnavailable, why);
    }
    let kept = Kept::load(home, id).await?;
    let stage = kept.stage(home, &execution).await?;
    let rows = rows(home, id).await?;
    let before = ended_of(&rows).collect();
    let engine = Engine::resume(Arc::clone(&stage.plan), &kept.start, rows, resume);
    let engine = engine.map_err(not_accepted)?;
    let mut actor = Actor::new(home, stage, engine, kept.endings(), execution.priority, before);
    let by = Arc::clone(home);
    whole(home, async move {
        // The first turn is what makes it run again: until it is stored, nothing has happened.
        let turn = actor.decide(vec![Event::Resumed]);
        store.advance(turn.advance).await.map_err(refused)?;
        let is_over = actor.carry_out(turn.then);
        if !is_over {
            run(&by, &execution, actor, Vec::new());
        }
        Ok(())
    })
    .await?;
    home.store.execution(tenant, id).await.map_err(refused)
}

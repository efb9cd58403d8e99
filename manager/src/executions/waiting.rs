//! Executions that wait: for their turn on a deployment, or for their time.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time;
use tracing::{error, info};
use waggoner_store::{
    Error,
    advance::{Advance, StatusChange},
    event::{Entry, EntryKind, Origin},
    execution::{Company, Execution},
};
use waggoner_task::CancellationToken;
use waggoner_types::{Chain, DeploymentId, ExecutionStatus, TenantName};

use super::{
    kept::Kept,
    start::{draft, run_draft},
};
use crate::{api::refused, home::Home};

/// How long to wait before a store that failed is asked again.
const AGAIN: Duration = Duration::from_secs(5);

/// The longest sleep: a clock that was set is noticed within it.
const NAP: Duration = Duration::from_mins(1);

/// Lets the next execution of a deployment's queue begin, if nobody is in its way. One that cannot
/// begin has failed, and the next one is tried.
pub(crate) async fn begin_next(home: &Arc<Home>, tenant: &TenantName, deployment: &DeploymentId) {
    loop {
        let next = home.store.next_queued(tenant.clone(), deployment.clone()).await;
        let execution = match next {
            Ok(Some(execution)) => execution,
            Ok(None) => return,
            Err(error) => {
                error!(%deployment, error = %Chain(&error), "failed to read a queue");
                return;
            }
        };
        match begin(home, &execution).await {
            Ok(Begun::Runs) if execution.company == Company::Alone => return,
            Ok(Begun::Runs | Begun::WasCancelled) => {}
            Err(why) => fail(home, &execution, why).await,
        }
    }
}

/// Lets scheduled executions begin when their time has come, until `stop`.
pub(crate) async fn keep_time(home: Arc<Home>, stop: CancellationToken) {
    loop {
        // Before the store is asked: what is scheduled meanwhile is not missed.
        let is_new = home.executions.scheduled.notified();
        let sleep = match home.store.next_scheduled().await {
            Ok(Some(next)) => {
                let due = next.scheduled_for.unwrap_or(next.created_at);
                let left = due.duration_since(Timestamp::now());
                match Duration::try_from(left) {
                    Ok(left) if !left.is_zero() => Some(left.min(NAP)),
                    _ => {
                        enqueue(&home, &next).await;
                        continue;
                    }
                }
            }
            Ok(None) => None,
            Err(error) => {
                error!(error = %Chain(&error), "failed to read the schedule");
                Some(AGAIN)
            }
        };
        let slept = async {
            match sleep {
                Some(sleep) => time::sleep(sleep).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = is_new => {}
            () = slept => {}
        }
    }
}

enum Begun {
    /// This one, or another that changes the deployment.
    Runs,
    WasCancelled,
}

async fn begin(home: &Arc<Home>, execution: &Execution) -> Result<Begun, String> {
    let id = execution.id;
    let asked = match Kept::load(home, id).await {
        Ok(kept) => kept.asked(execution),
        Err(refusal) => return Err(refusal.message),
    };
    let draft = draft(home, &asked, id).await.map_err(|refusal| refusal.message)?;
    let (settings, reshape) = (draft.kept.to_json(), draft.reshape.clone());
    match home.store.release_execution(id, settings, reshape).await {
        Ok(released) if released.status == ExecutionStatus::Pending => {
            info!(execution = %id, "an execution that waited begins");
            run_draft(home, &released, draft);
            Ok(Begun::Runs)
        }
        Ok(_) => Ok(Begun::WasCancelled),
        Err(Error::InUse { .. }) => Ok(Begun::Runs),
        Err(error) => Err(refused(error).message),
    }
}

async fn enqueue(home: &Arc<Home>, execution: &Execution) {
    match home.store.enqueue_execution(execution.id).await {
        Ok(now) => begin_next(home, &now.tenant, &now.deployment_id).await,
        Err(error) => {
            error!(execution = %execution.id, error = %Chain(&error), "failed to queue it");
            time::sleep(AGAIN).await;
        }
    }
}

/// Ends an execution that waited and cannot begin.
async fn fail(home: &Home, execution: &Execution, why: String) {
    let now = Timestamp::now();
    let event = Entry {
        origin: Arc::new(Origin {
            execution_id: Some(execution.id),
            deployment_id: Some(execution.deployment_id.clone()),
            workflow_id: Some(execution.workflow_id.clone()),
            ..Origin::of(execution.tenant.clone())
        }),
        time: now,
        kind: EntryKind::Event { event_type: "workflow_failed".to_owned() },
        message: format!("'{}' workflow execution failed: {why}", execution.workflow_id),
        causes: Vec::new(),
        sequence: 0,
    };
    let status = StatusChange { status: ExecutionStatus::Failed, error: Some(why) };
    let end =
        Advance { events: vec![event], status: Some(status), ..Advance::new(execution.id, now) };
    if let Err(error) = home.store.advance(end).await {
        error!(execution = %execution.id, error = %Chain(&error), "failed to end it");
        time::sleep(AGAIN).await;
    }
}

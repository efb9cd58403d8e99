//! Asking an execution to end.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;
use waggoner_store::{
    advance::{Advance, StatusChange},
    execution::Execution,
};
use waggoner_types::{CancelMode, ExecutionId, ExecutionStatus, TenantName};
use waggoner_wire::{Reason, Refused};

use super::{actor::Happening, waiting};
use crate::{api::refused, home::Home};

/// Asks an execution to end. One that waits for its time or its turn never begins.
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
    if execution.status.is_waiting() {
        let now = home.store.withdraw_execution(id, Timestamp::now()).await.map_err(refused)?;
        if now.status.is_end() {
            return Ok(now);
        }
    }
    let (stored, is_stored) = oneshot::channel();
    let told = match home.executions.handle(id) {
        Some(handle) => handle.send(Happening::Cancel { mode, stored }).await.is_ok(),
        None => false,
    };
    // An order is acknowledged once it survives us.
    let told = told && is_stored.await.is_ok();
    let execution = home.store.execution(tenant, id).await.map_err(refused)?;
    match (told, execution.status.is_end(), mode) {
        (true, _, _) => Ok(execution),
        (false, true, _) => Err(ended(execution.status)),
        // It could not be gone on with, and nobody looks after it.
        (false, false, CancelMode::Force | CancelMode::Kill)
            if home.executions.handle(id).is_none() =>
        {
            give_up(home, execution).await
        }
        (false, false, _) => {
            let why = format!(
                "failed to cancel execution `{id}`: it does not run now; try again in a moment, \
                 or force it"
            );
            Err(Refused::new(Reason::Unavailable, why))
        }
    }
}

async fn give_up(home: &Arc<Home>, execution: Execution) -> Result<Execution, Refused> {
    let id = execution.id;
    let status = StatusChange { status: ExecutionStatus::Cancelled, error: None };
    let end = Advance { status: Some(status), ..Advance::new(id, Timestamp::now()) };
    home.store.advance(end).await.map_err(refused)?;
    waiting::begin_next(home, &execution.tenant, &execution.deployment_id).await;
    home.store.execution(execution.tenant, id).await.map_err(refused)
}

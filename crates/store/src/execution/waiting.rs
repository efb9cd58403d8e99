//! Executions that wait: for their time, or for their turn on a deployment.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::Value;
use waggoner_types::{DeploymentId, ExecutionId, ExecutionStatus, TenantName};

use super::{Execution, execution, put_settings, require, require_alone, reshaped};
use crate::{
    Error, Store,
    column::{micros, one, run},
    reshape::Reshape,
};

// === impl Store ===

impl Store {
    /// Returns the execution that is the next to begin: of those in a deployment's queue with
    /// nobody in their way the one with the highest priority, of these the oldest.
    pub async fn next_queued(
        &self,
        tenant: TenantName,
        deployment: DeploymentId,
    ) -> Result<Option<Execution>, Error> {
        self.read("read the deployment's queue", move |connection| {
            let query = "SELECT * FROM executions WHERE tenant = ?1 AND deployment = ?2
                 AND ended_at IS NULL AND status = 'queued'
                 AND (company = 'beside' OR NOT EXISTS (
                     SELECT 1 FROM executions WHERE tenant = ?1 AND deployment = ?2
                     AND ended_at IS NULL AND company = 'alone'
                     AND status NOT IN ('queued', 'scheduled')))
                 ORDER BY priority DESC, created_at, id LIMIT 1";
            let key = params![tenant.as_str(), deployment.as_str()];
            Ok(one(connection, query, key, execution)?)
        })
        .await
    }

    /// Returns the execution that is the next to come due.
    pub async fn next_scheduled(&self) -> Result<Option<Execution>, Error> {
        self.read("read the scheduled executions", |connection| {
            let query = "SELECT * FROM executions WHERE ended_at IS NULL AND status = 'scheduled'
                 ORDER BY scheduled_for, id LIMIT 1";
            Ok(one(connection, query, [], execution)?)
        })
        .await
    }

    /// Puts a scheduled execution into the queue of its deployment. One that does not wait any
    /// more is left alone. Returns it as it is now.
    pub async fn enqueue_execution(&self, id: ExecutionId) -> Result<Execution, Error> {
        self.write("queue the execution", move |tx| {
            let found = require(tx, id)?;
            if found.status == ExecutionStatus::Scheduled {
                set(tx, id, ExecutionStatus::Queued, None)?;
            }
            require(tx, id)
        })
        .await
    }

    /// Lets an execution that waits begin, with new settings, and changes its deployment. Refused
    /// while another one is in its way. One that does not wait any more is left alone. Returns it
    /// as it is now.
    pub async fn release_execution(
        &self,
        id: ExecutionId,
        settings: Value,
        reshape: Option<Reshape>,
    ) -> Result<Execution, Error> {
        self.write("let the execution begin", move |tx| {
            let found = require(tx, id)?;
            if !found.status.is_waiting() {
                return Ok(found);
            }
            require_alone(tx, &found)?;
            let revision = reshaped(tx, &found, reshape.as_ref())?;
            set(tx, id, ExecutionStatus::Pending, None)?;
            put_settings(tx, id, &settings)?;
            let statement = "UPDATE executions SET revision = ?2 WHERE id = ?1";
            run(tx, statement, params![id.to_string(), revision])?;
            require(tx, id)
        })
        .await
    }

    /// Ends an execution that waits, as cancelled. One that does not wait any more is left alone.
    /// Returns it as it is now.
    pub async fn withdraw_execution(
        &self,
        id: ExecutionId,
        at: Timestamp,
    ) -> Result<Execution, Error> {
        self.write("cancel the execution", move |tx| {
            if require(tx, id)?.status.is_waiting() {
                set(tx, id, ExecutionStatus::Cancelled, Some(at))?;
            }
            require(tx, id)
        })
        .await
    }
}

fn set(
    connection: &Connection,
    id: ExecutionId,
    status: ExecutionStatus,
    ended_at: Option<Timestamp>,
) -> rusqlite::Result<usize> {
    let statement = "UPDATE executions SET status = ?2, ended_at = ?3 WHERE id = ?1";
    run(connection, statement, params![id.to_string(), status.as_str(), ended_at.map(micros)])
}

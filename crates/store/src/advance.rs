//! One turn of an execution in one transaction.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use waggoner_types::{ExecutionId, ExecutionStatus};

use crate::{
    Error, Store,
    attempt::{self, Attempt},
    column::{micros, run},
    event::{self, Entry},
    execution::{self, Operation, Task},
    instance::{self, InstanceChange},
    reshape::Reshape,
};

/// What one turn of an execution changed. All of it is stored, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Advance {
    pub execution: ExecutionId,
    /// The tasks that are new or changed, as they are now.
    pub tasks: Vec<Task>,
    /// The operations that are new or have ended, as they are now.
    pub operations: Vec<Operation>,
    /// The attempts that are new.
    pub attempts: Vec<Attempt>,
    /// What changed in node instances of the execution's tenant, whatever their version.
    pub instances: Vec<InstanceChange>,
    /// What to tell of it.
    pub events: Vec<Entry>,
    /// The execution's new status. Absent leaves it.
    pub status: Option<StatusChange>,
    /// How many operations there are and have ended. Absent leaves it.
    pub progress: Option<Progress>,
    /// What the execution's deployment becomes, after all else. Absent leaves it.
    pub reshape: Option<Reshape>,
    /// When the turn was taken.
    pub at: Timestamp,
}

/// A new status of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// The first `started` notes when it started; an end notes when it ended, and a status that is
    /// no end takes that back.
    pub status: ExecutionStatus,
    /// Why it failed.
    pub error: Option<String>,
}

/// How far an execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub total_operations: u32,
    pub finished_operations: u32,
}

// === impl Store ===

impl Store {
    /// Stores one turn of an execution. A turn that takes back the end of an execution that has to
    /// be alone is refused while another one is in its way.
    pub async fn advance(&self, advance: Advance) -> Result<(), Error> {
        self.write("store a turn of the execution", move |tx| {
            let id = advance.execution.to_string();
            let execution = execution::require(tx, advance.execution)?;
            let tenant = &execution.tenant;
            let goes_on = advance.status.as_ref().is_some_and(|change| !change.status.is_end());
            if execution.ended_at.is_some() && goes_on {
                execution::require_alone(tx, &execution)?;
            }

            for task in &advance.tasks {
                execution::put_task(tx, &id, task)?;
            }
            for operation in &advance.operations {
                execution::put_operation(tx, &id, operation)?;
            }
            for attempt in &advance.attempts {
                attempt::insert(tx, attempt)?;
            }
            for change in advance.instances {
                instance::apply(tx, tenant, change)?;
            }
            for entry in &advance.events {
                event::insert(tx, entry, advance.at)?;
            }
            if let Some(change) = &advance.status {
                set_status(tx, &id, change, advance.at)?;
            }
            if let Some(progress) = advance.progress {
                set_progress(tx, &id, progress)?;
            }
            if let Some(reshape) = &advance.reshape {
                execution::reshaped(tx, &execution, Some(reshape))?;
            }
            Ok(())
        })
        .await
    }
}

// === impl Advance ===

impl Advance {
    /// A turn in which nothing changed yet.
    pub fn new(execution: ExecutionId, at: Timestamp) -> Self {
        Self {
            execution,
            tasks: Vec::new(),
            operations: Vec::new(),
            attempts: Vec::new(),
            instances: Vec::new(),
            events: Vec::new(),
            status: None,
            progress: None,
            reshape: None,
            at,
        }
    }
}

fn set_status(
    connection: &Connection,
    execution: &str,
    change: &StatusChange,
    at: Timestamp,
) -> rusqlite::Result<usize> {
    let started = (change.status == ExecutionStatus::Started).then(|| micros(at));
    let ended = change.status.is_end().then(|| micros(at));
    run(
        connection,
        "UPDATE executions SET status = ?2, error = ?3,
             started_at = coalesce(started_at, ?4), ended_at = ?5 WHERE id = ?1",
        params![execution, change.status.as_str(), change.error, started, ended],
    )
}

fn set_progress(
    connection: &Connection,
    execution: &str,
    progress: Progress,
) -> rusqlite::Result<usize> {
    run(
        connection,
        "UPDATE executions SET total_operations = ?2, finished_operations = ?3 WHERE id = ?1",
        params![execution, progress.total_operations, progress.finished_operations],
    )
}

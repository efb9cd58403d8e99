//! What executions are made of: the tasks of their graphs, and the operations these run.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde_json::Value;
use waggoner_types::{ExecutionId, OperationId};

use crate::{
    Error, Store,
    column::{Columns as _, all, json_text, maybe_micros, micros, run, signed},
};

/// A task of an execution's graph, as the engine has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its place in the graph.
    pub number: u64,
    /// The engine's word for where it stands.
    pub status: String,
    /// The operation that it runs now or ran last.
    pub operation: Option<OperationId>,
    /// How often it was tried again.
    pub retry: u32,
    /// When it may be tried again.
    pub not_before: Option<Timestamp>,
    /// What the engine keeps of it.
    pub state: Value,
}

/// An operation: one task of an execution with one retry number.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub id: OperationId,
    /// The task it belongs to, by number.
    pub task: u64,
    pub retry: u32,
    /// Its full name: `cloudify.interfaces.lifecycle.create`.
    pub name: String,
    pub node_instance_id: Option<String>,
    /// The other node instance of a relationship operation.
    pub target_id: Option<String>,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Value>,
}

// === impl Store ===

impl Store {
    /// Returns an execution's tasks by number.
    pub async fn tasks(&self, execution: ExecutionId) -> Result<Vec<Task>, Error> {
        self.read("read the execution's tasks", move |connection| {
            let query = "SELECT * FROM tasks WHERE execution = ?1 ORDER BY number";
            Ok(all(connection, query, [execution.to_string()], task)?)
        })
        .await
    }

    /// Returns an execution's operations by task and retry.
    pub async fn operations(&self, execution: ExecutionId) -> Result<Vec<Operation>, Error> {
        self.read("read the execution's operations", move |connection| {
            let query = "SELECT * FROM operations WHERE execution = ?1 ORDER BY task, retry, id";
            Ok(all(connection, query, [execution.to_string()], operation)?)
        })
        .await
    }
}

/// Stores a task as it is now.
pub(crate) fn put_task(
    connection: &Connection,
    execution: &str,
    task: &Task,
) -> rusqlite::Result<usize> {
    run(
        connection,
        "INSERT INTO tasks (execution, number, status, operation, retry, not_before, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET status = excluded.status, operation = excluded.operation,
             retry = excluded.retry, not_before = excluded.not_before, state = excluded.state",
        params![
            execution,
            signed(task.number),
            task.status,
            task.operation.map(|operation| operation.to_string()),
            task.retry,
            maybe_micros(task.not_before),
            json_text(&task.state),
        ],
    )
}

/// Stores an operation, or its end.
pub(crate) fn put_operation(
    connection: &Connection,
    execution: &str,
    operation: &Operation,
) -> rusqlite::Result<usize> {
    run(
        connection,
        "INSERT INTO operations
            (id, execution, task, retry, name, node_instance, target, created_at, ended_at, outcome)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT DO UPDATE SET ended_at = excluded.ended_at, outcome = excluded.outcome",
        params![
            operation.id.to_string(),
            execution,
            signed(operation.task),
            operation.retry,
            operation.name,
            operation.node_instance_id,
            operation.target_id,
            micros(operation.created_at),
            maybe_micros(operation.ended_at),
            operation.outcome.as_ref().map(json_text),
        ],
    )
}

fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    Ok(Task {
        number: row.unsigned("number")?,
        status: row.get("status")?,
        operation: row.maybe_text("operation")?,
        retry: row.get("retry")?,
        not_before: row.maybe_time("not_before")?,
        state: row.json("state")?,
    })
}

fn operation(row: &Row<'_>) -> rusqlite::Result<Operation> {
    Ok(Operation {
        id: row.text("id")?,
        task: row.unsigned("task")?,
        retry: row.get("retry")?,
        name: row.get("name")?,
        node_instance_id: row.get("node_instance")?,
        target_id: row.get("target")?,
        created_at: row.time("created_at")?,
        ended_at: row.maybe_time("ended_at")?,
        outcome: row.maybe_json("outcome")?,
    })
}

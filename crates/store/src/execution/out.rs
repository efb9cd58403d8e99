//! The attempts of an execution that are out, and the last that each of them said.

use jiff::Timestamp;
use rusqlite::{Row, params};
use waggoner_types::{AgentName, ExecutionId, OperationId};

use crate::{
    Error, Store,
    column::{Columns as _, all},
};

/// An attempt that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutAttempt {
    pub operation: OperationId,
    pub agent: AgentName,
    pub started_at: Timestamp,
    /// Its last log line, and when it was written; a long one is cut.
    pub last_line: Option<(Timestamp, String)>,
}

// === impl Store ===

impl Store {
    /// Returns the attempts of an execution that have not ended.
    pub async fn attempts_out(&self, execution: ExecutionId) -> Result<Vec<OutAttempt>, Error> {
        self.read("read the execution's open attempts", move |connection| {
            // `max` lets the other columns be those of the same row.
            let query = "WITH out AS (
                    SELECT a.id, a.operation, a.agent, a.started_at
                    FROM operations o JOIN attempts a ON a.operation = o.id
                    WHERE o.execution = ?1 AND a.ended_at IS NULL),
                said AS (
                    SELECT max(id), attempt, time, substr(message, 1, 400) AS line FROM events
                    WHERE execution = ?1 AND level IS NOT NULL
                        AND attempt IN (SELECT id FROM out) GROUP BY attempt)
                SELECT out.operation, out.agent, out.started_at, said.time, said.line
                FROM out LEFT JOIN said ON said.attempt = out.id ORDER BY out.started_at, out.id";
            Ok(all(connection, query, params![execution.to_string()], out)?)
        })
        .await
    }
}

fn out(row: &Row<'_>) -> rusqlite::Result<OutAttempt> {
    let line: Option<String> = row.get("line")?;
    Ok(OutAttempt {
        operation: row.text("operation")?,
        agent: row.text("agent")?,
        started_at: row.time("started_at")?,
        last_line: row.maybe_time("time")?.zip(line),
    })
}

//! Attempts, and the ingest of their records.
//!
//! An attempt's watermark is its last record that is stored for good: what the manager may
//! acknowledge, and where it resumes. Records and watermark are written in one transaction, and
//! records at or below the watermark are skipped, so that a batch may be sent any number of times.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde_json::Value;
use waggoner_types::{AgentName, AttemptId, OperationId, TenantName};

use crate::{
    Error, Kind, Store, Thing, agent,
    column::{
        Columns as _, OrExists as _, all, is_orphan, json_text, maybe_micros, micros, one, run,
        signed,
    },
    error::Stop,
    event::{self, Entry},
    verdict,
};

/// An attempt: one delivery of an operation to an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub id: AttemptId,
    /// The operation, which is stored already.
    pub operation: OperationId,
    /// The tenant of the agent.
    pub tenant: TenantName,
    pub agent: AgentName,
    /// Grows with each attempt at the same task.
    pub epoch: u64,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Value>,
    /// What is stored for good.
    pub watermark: Watermark,
}

/// The records of an attempt that are stored for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    /// The last of them; 0 for none.
    pub upto: u64,
    /// The digest of all of them; 0 for none, or where it is not known.
    pub chain: u64,
}

/// An attempt as it matters to its agent that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub id: AttemptId,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether the execution that wanted it is over.
    pub over: bool,
}

/// What an attempt's next records amount to.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub attempt: AttemptId,
    /// The watermark after it.
    pub upto: Watermark,
    /// The log lines and events of the records, each with its record's sequence.
    pub entries: Vec<Entry>,
    /// How the attempt ended, where the last record says so.
    pub end: Option<End>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    pub at: Timestamp,
    pub outcome: Value,
}

/// Adds an attempt.
const NEW: &str = "INSERT INTO attempts
        (id, operation, tenant, agent, epoch, started_at, ended_at, outcome, watermark, chain)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// Adds an attempt, or gives one that nothing was heard of to its agent.
const MOVED: &str = "INSERT INTO attempts
        (id, operation, tenant, agent, epoch, started_at, ended_at, outcome, watermark, chain)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (id) DO UPDATE SET tenant = excluded.tenant, agent = excluded.agent,
        epoch = excluded.epoch, started_at = excluded.started_at
    WHERE ended_at IS NULL AND watermark = 0";

// === impl Store ===

impl Store {
    /// Stores a new attempt: before it is sent to its agent, which may not be drained.
    ///
    /// One that is stored and that nothing was heard of takes this agent instead: who asks has
    /// made sure that the one before never heard of it.
    pub async fn create_attempt(&self, attempt: Attempt) -> Result<(), Error> {
        self.write_checked("store the attempt", move |tx| {
            if agent::is_drained(tx, &attempt.tenant, &attempt.agent)? {
                let agent = Thing::of(&attempt.tenant, Kind::Agent, &attempt.agent);
                return Err(Stop::Refused(Error::Drained(agent)));
            }
            put(tx, &attempt, MOVED)
        })
        .await
    }

    /// Returns an attempt.
    pub async fn attempt(&self, id: AttemptId) -> Result<Attempt, Error> {
        self.read("read the attempt", move |connection| require(connection, id)).await
    }

    /// Returns every attempt at an operation, oldest first.
    pub async fn attempts(&self, operation: OperationId) -> Result<Vec<Attempt>, Error> {
        self.read("read the operation's attempts", move |connection| {
            let query = "SELECT * FROM attempts WHERE operation = ?1 ORDER BY epoch, id";
            Ok(all(connection, query, [operation.to_string()], attempt)?)
        })
        .await
    }

    /// Returns the attempts on an agent that have not ended: what to reconcile with it.
    pub async fn open_attempts(
        &self,
        tenant: TenantName,
        agent: AgentName,
    ) -> Result<Vec<Attempt>, Error> {
        self.read("read the agent's open attempts", move |connection| {
            let query = "SELECT * FROM attempts
                         WHERE tenant = ?1 AND agent = ?2 AND ended_at IS NULL ORDER BY id";
            Ok(all(connection, query, params![tenant.as_str(), agent.as_str()], attempt)?)
        })
        .await
    }

    /// Returns what there is of an agent's attempts: all that are open, and of the others those
    /// that are named and stored.
    pub async fn attempt_standings(
        &self,
        tenant: TenantName,
        agent: AgentName,
        named: Vec<AttemptId>,
    ) -> Result<Vec<Standing>, Error> {
        const OF: &str =
            "SELECT a.id, a.ended_at IS NOT NULL AS ended, e.ended_at IS NOT NULL AS over
             FROM attempts a JOIN operations o ON o.id = a.operation
                 JOIN executions e ON e.id = o.execution";
        self.read("read the agent's attempts", move |connection| {
            let open = format!("{OF} WHERE a.tenant = ?1 AND a.agent = ?2 AND a.ended_at IS NULL");
            let key = params![tenant.as_str(), agent.as_str()];
            let mut found = all(connection, &open, key, standing)?;
            let ended = format!(
                "{OF} WHERE a.id = ?1 AND a.tenant = ?2 AND a.agent = ?3
                                     AND a.ended_at IS NOT NULL"
            );
            for id in named {
                let key = params![id.to_string(), tenant.as_str(), agent.as_str()];
                found.extend(one(connection, &ended, key, standing)?);
            }
            Ok(found)
        })
        .await
    }

    /// Stores an attempt's records and its watermark, or finds that they are stored already.
    /// Returns the watermark.
    pub async fn ingest(&self, batch: Batch, now: Timestamp) -> Result<Watermark, Error> {
        self.write_checked("store the attempt's records", move |tx| {
            let Watermark { upto, chain } = batch.upto;
            let stored = watermark_of(tx, batch.attempt)?;
            if upto <= stored.upto {
                return Ok(stored);
            }
            let fresh = stored.upto + 1..=upto;
            for entry in batch.entries.iter().filter(|entry| fresh.contains(&entry.sequence)) {
                event::insert(tx, entry, now)?;
            }
            let statement = "UPDATE attempts SET watermark = ?2, chain = ?3,
                                 ended_at = coalesce(?4, ended_at),
                                 outcome = coalesce(?5, outcome) WHERE id = ?1";
            let ended_at = batch.end.as_ref().map(|end| micros(end.at));
            let outcome = batch.end.as_ref().map(|end| json_text(&end.outcome));
            let id = batch.attempt.to_string();
            let values = params![id, signed(upto), chain.cast_signed(), ended_at, outcome];
            run(tx, statement, values)?;
            if batch.end.is_some() {
                verdict::forget(tx, batch.attempt)?;
            }
            Ok(batch.upto)
        })
        .await
    }

    /// Ends an attempt without a record of it, unless it has ended.
    pub async fn end_attempt(&self, id: AttemptId, end: End) -> Result<(), Error> {
        self.write("end the attempt", move |tx| {
            let statement = "UPDATE attempts SET ended_at = ?2, outcome = ?3
                             WHERE id = ?1 AND ended_at IS NULL";
            run(tx, statement, params![id.to_string(), micros(end.at), json_text(&end.outcome)])?;
            Ok(verdict::forget(tx, id)?)
        })
        .await
    }
}

/// Adds an attempt.
pub(crate) fn insert(connection: &Connection, attempt: &Attempt) -> Result<(), Stop> {
    put(connection, attempt, NEW)
}

/// Adds an attempt, by one statement.
fn put(connection: &Connection, attempt: &Attempt, statement: &str) -> Result<(), Stop> {
    let operation = attempt.operation.to_string();
    let exists = || Thing::of(&attempt.tenant, Kind::Attempt, attempt.id);
    let added = run(
        connection,
        statement,
        params![
            attempt.id.to_string(),
            operation,
            attempt.tenant.as_str(),
            attempt.agent.as_str(),
            signed(attempt.epoch),
            micros(attempt.started_at),
            maybe_micros(attempt.ended_at),
            attempt.outcome.as_ref().map(json_text),
            signed(attempt.watermark.upto),
            attempt.watermark.chain.cast_signed(),
        ],
    );
    if added.as_ref().is_err_and(is_orphan) {
        return Err(Stop::missing(Thing::new(Kind::Operation, operation)));
    }
    match added.or_exists(exists)? {
        0 => Err(Error::Exists(exists()).into()),
        _ => Ok(()),
    }
}

/// Reads what is stored of an attempt's records.
fn watermark_of(connection: &Connection, id: AttemptId) -> Result<Watermark, Stop> {
    let query = "SELECT watermark, chain FROM attempts WHERE id = ?1";
    one(connection, query, [id.to_string()], watermark)?
        .ok_or_else(|| Stop::missing(Thing::new(Kind::Attempt, id)))
}

fn require(connection: &Connection, id: AttemptId) -> Result<Attempt, Stop> {
    let query = "SELECT * FROM attempts WHERE id = ?1";
    one(connection, query, [id.to_string()], attempt)?
        .ok_or_else(|| Stop::missing(Thing::new(Kind::Attempt, id)))
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        id: row.text("id")?,
        operation: row.text("operation")?,
        tenant: row.text("tenant")?,
        agent: row.text("agent")?,
        epoch: row.unsigned("epoch")?,
        started_at: row.time("started_at")?,
        ended_at: row.maybe_time("ended_at")?,
        outcome: row.maybe_json("outcome")?,
        watermark: watermark(row)?,
    })
}

fn watermark(row: &Row<'_>) -> rusqlite::Result<Watermark> {
    Ok(Watermark {
        upto: row.unsigned("watermark")?,
        chain: row.get::<_, i64>("chain")?.cast_unsigned(),
    })
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    Ok(Standing { id: row.text("id")?, ended: row.get("ended")?, over: row.get("over")? })
}

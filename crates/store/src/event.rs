//! Events and log lines, in one growing sequence for the whole store.
//!
//! Ids grow in the order of commits: who has read up to one has missed nothing before it.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Row, params, params_from_iter, types::Value as Parameter};
use serde_json::Value;
use waggoner_types::{
    AgentName, AttemptId, DeploymentId, ExecutionId, LogLevel, OutputStream, TenantName,
};

use crate::{
    Error, Page, PageRequest, Store,
    column::{Columns as _, enough, json_text, micros, run, signed},
    error::Stop,
    filter::{Filtered, text},
    writer::Tx,
};

mod output;
mod retention;

use output::Packed;

pub use retention::Retention;

/// An event or a log line that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place among all events of the store; later ones are greater.
    pub id: u64,
    /// When it was stored.
    pub reported_at: Timestamp,
    pub entry: Entry,
}

/// What an event or a log line says.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it is about; shared by all entries of the same thing.
    pub origin: Arc<Origin>,
    /// When it happened, by the clock of who made it.
    pub time: Timestamp,
    pub kind: EntryKind,
    /// The text for people.
    pub message: String,
    /// What led to a failure: Cloudify's causes.
    pub causes: Vec<Value>,
    /// The record's sequence in its attempt; 0 for what is no record.
    pub sequence: u64,
}

/// Whether it is an event or a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// An event, with Cloudify's event type.
    Event { event_type: String },
    /// A log line. The logger of what a process wrote is stdout or stderr.
    Log { level: LogLevel, logger: String },
    /// What a process wrote. It is stored packed, and read again as [`EntryKind::Log`]: one for
    /// each line, or one for all.
    Output { level: LogLevel, logger: String, stream: OutputStream, lines: bool, data: Vec<u8> },
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub tenant: TenantName,
    pub execution_id: Option<ExecutionId>,
    pub deployment_id: Option<DeploymentId>,
    pub workflow_id: Option<String>,
    pub node_id: Option<String>,
    pub node_instance_id: Option<String>,
    /// The other node instance of a relationship operation.
    pub target_id: Option<String>,
    /// The operation's name.
    pub operation: Option<String>,
    pub agent: Option<AgentName>,
    pub attempt_id: Option<AttemptId>,
}

/// Which of a tenant's events are meant; absent means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    pub execution_id: Option<ExecutionId>,
    pub deployment_id: Option<DeploymentId>,
    pub node_instance_id: Option<String>,
    /// Whether to leave out log lines.
    pub no_logs: bool,
    /// The lowest level of log lines.
    pub min_level: Option<LogLevel>,
}

/// The columns that may be long.
const HEAVY: &[&str] = &["message", "causes", "weight"];

// === impl Store ===

impl Store {
    /// Stores events and log lines that are no records of an attempt. Returns the last one's id, 0
    /// for none.
    pub async fn add_events(&self, entries: Vec<Entry>, now: Timestamp) -> Result<u64, Error> {
        self.write("store events", move |tx| {
            let mut last = 0;
            for entry in &entries {
                last = insert(tx, entry, now)?;
            }
            Ok(last)
        })
        .await
    }

    /// Lists a tenant's events, oldest first. A page ends early where the texts are long.
    pub async fn events(
        &self,
        tenant: TenantName,
        filter: EventFilter,
        page: &PageRequest,
    ) -> Result<Page<Event>, Error> {
        let cut = page.cut("events", ["0"])?;
        let after = cut.after[0].parse().map_err(|_| Error::InvalidPageToken)?;
        self.read("list events", move |connection| {
            let (query, parameters) = select(&tenant, &filter, after, cut.limit());
            let rows = enough(connection, &query, params_from_iter(parameters), HEAVY, events)?;
            // A row has one event at least.
            let page = cut.page(rows, |events| [events[0].id.to_string()]);
            Ok(Page { items: page.items.into_iter().flatten().collect(), next: page.next })
        })
        .await
    }

    /// Returns at most `limit` of a tenant's events after one, oldest first; fewer where their
    /// texts are longer than 1 MiB together, but one at least if there is any.
    ///
    /// To follow: read until nothing comes, then wait on [`Store::last_event`] for more.
    pub async fn events_after(
        &self,
        tenant: TenantName,
        filter: EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Event>, Error> {
        self.read("read events", move |connection| {
            let (query, parameters) = select(&tenant, &filter, after, limit.into());
            let read = enough(connection, &query, params_from_iter(parameters), HEAVY, events)?;
            Ok(read.rows.into_iter().flatten().collect())
        })
        .await
    }
}

// === impl Origin ===

impl Origin {
    /// What is about a tenant and nothing in it yet.
    pub fn of(tenant: TenantName) -> Self {
        Self {
            tenant,
            execution_id: None,
            deployment_id: None,
            workflow_id: None,
            node_id: None,
            node_instance_id: None,
            target_id: None,
            operation: None,
            agent: None,
            attempt_id: None,
        }
    }
}

/// Adds an event. Returns its id.
pub(crate) fn insert(tx: &Tx<'_>, entry: &Entry, now: Timestamp) -> Result<u64, Stop> {
    let origin = &*entry.origin;
    let (event_type, level, logger) = match &entry.kind {
        EntryKind::Event { event_type } => (Some(event_type), None, None),
        EntryKind::Log { level, logger } | EntryKind::Output { level, logger, .. } => {
            (None, Some(rank(*level)), Some(logger))
        }
    };
    let packed = match &entry.kind {
        EntryKind::Output { stream, lines, data, .. } => Some(Packed::new(*stream, *lines, data)),
        EntryKind::Event { .. } | EntryKind::Log { .. } => None,
    };
    let packed = packed.as_ref();
    run(
        tx,
        "INSERT INTO events
            (tenant, time, reported_at, event_type, level, logger, execution, deployment, workflow,
             node, node_instance, target, operation, agent, attempt, sequence, message, causes, output,
             packing, stream, weight)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                 ?19, ?20, ?21, ?22)",
        params![
            origin.tenant.as_str(),
            micros(entry.time),
            micros(now),
            event_type,
            level,
            logger,
            origin.execution_id.map(|id| id.to_string()),
            origin.deployment_id.as_ref().map(DeploymentId::as_str),
            origin.workflow_id,
            origin.node_id,
            origin.node_instance_id,
            origin.target_id,
            origin.operation,
            origin.agent.as_ref().map(AgentName::as_str),
            origin.attempt_id.map(|id| id.to_string()),
            signed(entry.sequence),
            entry.message,
            (!entry.causes.is_empty()).then(|| json_text(&entry.causes)),
            packed.map(|packed| &*packed.bytes),
            packed.map(|packed| packed.packing),
            packed.map(|packed| packed.stream),
            packed.map_or(0, |packed| packed.weight),
        ],
    )?;
    let id = u64::try_from(tx.last_insert_rowid()).unwrap_or(0);
    tx.saw_event(id);
    Ok(id)
}

/// Reads the narrowest index there is: that of the execution, else of the deployment, else of the
/// tenant. A `+` keeps SQLite from taking a wider one.
fn select(
    tenant: &TenantName,
    filter: &EventFilter,
    after: u64,
    limit: i64,
) -> (String, Vec<Parameter>) {
    let (of_tenant, of_deployment) = match filter.execution_id {
        Some(_) => ("+tenant = ?", "+deployment = ?"),
        None => ("tenant = ?", "deployment = ?"),
    };
    let mut query = Filtered::new("SELECT * FROM events WHERE id > ?", [signed(after).into()])
        .and_with(of_tenant, [text(tenant)])
        .and_if("execution = ?", filter.execution_id.as_ref())
        .and_if(of_deployment, filter.deployment_id.as_ref())
        .and_if("node_instance = ?", filter.node_instance_id.as_ref());
    if let Some(level) = filter.min_level {
        query = query.and_with("(level IS NULL OR level >= ?)", [rank(level).into()]);
    }
    if filter.no_logs {
        query = query.and("level IS NULL");
    }
    query.ordered("id", limit)
}

/// A level as it is stored: its place among the levels, lowest first.
fn rank(level: LogLevel) -> i64 {
    level as i64
}

/// Reads the events of a row: one for each log line of what a process wrote.
fn events(row: &Row<'_>) -> rusqlite::Result<Vec<Event>> {
    let first = event(row)?;
    let Some(texts) = output::texts(row)? else { return Ok(vec![first]) };
    if texts.is_empty() {
        return Ok(vec![first]);
    }
    let events = texts.into_iter().map(|message| {
        let entry = Entry { message, ..first.entry.clone() };
        Event { entry, ..first.clone() }
    });
    Ok(events.collect())
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let level: Option<usize> = row.get::<_, Option<u32>>("level")?.map(|level| level as usize);
    let kind = match level.and_then(|level| LogLevel::ALL.get(level)) {
        Some(&level) => EntryKind::Log { level, logger: row.get("logger")? },
        None => EntryKind::Event { event_type: row.get("event_type")? },
    };
    let origin = Origin {
        tenant: row.text("tenant")?,
        execution_id: row.maybe_text("execution")?,
        deployment_id: row.maybe_text("deployment")?,
        workflow_id: row.get("workflow")?,
        node_id: row.get("node")?,
        node_instance_id: row.get("node_instance")?,
        target_id: row.get("target")?,
        operation: row.get("operation")?,
        agent: row.maybe_text("agent")?,
        attempt_id: row.maybe_text("attempt")?,
    };
    Ok(Event {
        id: row.unsigned("id")?,
        reported_at: row.time("reported_at")?,
        entry: Entry {
            origin: Arc::new(origin),
            time: row.time("time")?,
            kind,
            message: row.get("message")?,
            causes: row.maybe_json("causes")?.unwrap_or_default(),
            sequence: row.unsigned("sequence")?,
        },
    })
}

#[cfg(test)]
mod tests;

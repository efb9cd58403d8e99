//! Executions: runs of a workflow on a deployment.
//!
//! An execution moves on by [`Store::advance`](crate::Store::advance) alone.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params, params_from_iter};
use serde_json::Value;
use waggoner_types::{DeploymentId, ExecutionId, ExecutionStatus, TenantName};

use crate::{
    Error, Kind, Page, PageRequest, Store, Thing, Users,
    column::{
        Columns as _, OrExists as _, all, enough, first, json_text, maybe_micros, micros, one, run,
    },
    deployment,
    error::Stop,
    filter::{Filtered, text},
    reshape::{self, Reshape},
};

mod out;
mod task;
mod waiting;

pub use out::OutAttempt;
pub use task::{Operation, Task};

pub(crate) use task::{put_operation, put_task};

/// An execution: a run of a workflow on a deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    pub id: ExecutionId,
    pub tenant: TenantName,
    pub deployment_id: DeploymentId,
    pub workflow_id: String,
    pub status: ExecutionStatus,
    /// Its parameters, a JSON object.
    pub parameters: Value,
    pub company: Company,
    /// Who has more comes first.
    pub priority: i32,
    /// Whether it only tells what it would do.
    pub dry_run: bool,
    /// When it is to be started, where that was asked for.
    pub scheduled_for: Option<Timestamp>,
    /// The deployment's revision that it runs on.
    pub revision: i64,
    /// Why it failed.
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    /// Set if, and only if, it has ended.
    pub ended_at: Option<Timestamp>,
    pub total_operations: u32,
    pub finished_operations: u32,
}

/// An execution to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewExecution {
    /// Its revision is found when it is stored.
    pub execution: Execution,
    /// How it is to be run, in the manager's words: a JSON object.
    pub settings: Value,
    /// What its deployment becomes at once.
    pub reshape: Option<Reshape>,
}

/// Whether an execution may run beside others of its deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// It changes the deployment: refused while another one has not ended.
    Alone,
    /// It runs whatever else runs.
    Beside,
}

// === impl Store ===

impl Store {
    /// Stores a new execution, and what its deployment becomes by it. One that has to be alone and
    /// does not wait is refused while another such one of its deployment has not ended.
    pub async fn create_execution(&self, new: NewExecution) -> Result<Execution, Error> {
        self.write("store the execution", move |tx| {
            let NewExecution { mut execution, settings, reshape } = new;
            deployment::require(tx, &execution.tenant, &execution.deployment_id)?;
            if !execution.status.is_waiting() {
                require_alone(tx, &execution)?;
            }
            execution.revision = reshaped(tx, &execution, reshape.as_ref())?;
            insert(tx, &execution, &settings)?;
            Ok(execution)
        })
        .await
    }

    /// Returns an execution.
    pub async fn execution(&self, tenant: TenantName, id: ExecutionId) -> Result<Execution, Error> {
        self.read("read the execution", move |connection| {
            find(connection, id)?
                .filter(|execution| execution.tenant == tenant)
                .ok_or_else(|| Stop::missing(Thing::of(&tenant, Kind::Execution, id)))
        })
        .await
    }

    /// Returns how an execution is to be run, in the manager's words.
    pub async fn execution_settings(&self, id: ExecutionId) -> Result<Value, Error> {
        self.read("read the execution's settings", move |connection| {
            let query = "SELECT settings FROM execution_settings WHERE execution = ?1";
            one(connection, query, [id.to_string()], |row| row.json("settings"))?
                .ok_or_else(|| Stop::missing(Thing::new(Kind::Execution, id)))
        })
        .await
    }

    /// Lists a tenant's executions, or those of one deployment, newest first.
    pub async fn executions(
        &self,
        tenant: TenantName,
        deployment_id: Option<DeploymentId>,
        page: &PageRequest,
    ) -> Result<Page<Execution>, Error> {
        let cut = page.cut("executions", ["9223372036854775807", "~"])?;
        let before: i64 = cut.after[0].parse().map_err(|_| Error::InvalidPageToken)?;
        self.read("list executions", move |connection| {
            let (query, key) =
                Filtered::new("SELECT * FROM executions WHERE tenant = ?", [text(&tenant)])
                    .and_if("deployment = ?", deployment_id.as_ref())
                    .and_with("(created_at, id) < (?, ?)", [before.into(), text(&cut.after[1])])
                    .ordered("created_at DESC, id DESC", cut.limit());
            let heavy = &["parameters", "error"];
            let rows = enough(connection, &query, params_from_iter(key), heavy, execution)?;
            Ok(cut.page(rows, |execution| {
                [micros(execution.created_at).to_string(), execution.id.to_string()]
            }))
        })
        .await
    }

    /// Returns every tenant's executions that have not ended, oldest first: what a manager that
    /// starts has to go on with.
    pub async fn open_executions(&self) -> Result<Vec<Execution>, Error> {
        self.read("read the executions that have not ended", |connection| {
            let query = "SELECT * FROM executions WHERE ended_at IS NULL ORDER BY created_at, id";
            Ok(all(connection, query, [], execution)?)
        })
        .await
    }
}

// === impl Execution ===

impl Execution {
    /// An execution that was asked for just now, with nothing special about it.
    pub fn new(
        id: ExecutionId,
        tenant: TenantName,
        deployment_id: DeploymentId,
        workflow_id: impl Into<String>,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant,
            deployment_id,
            workflow_id: workflow_id.into(),
            status: ExecutionStatus::Pending,
            parameters: Value::Object(serde_json::Map::new()),
            company: Company::Alone,
            priority: 0,
            dry_run: false,
            scheduled_for: None,
            revision: 1,
            error: None,
            created_at,
            started_at: None,
            ended_at: None,
            total_operations: 0,
            finished_operations: 0,
        }
    }
}

// === impl NewExecution ===

impl NewExecution {
    /// An execution that leaves its deployment as it is.
    pub fn new(execution: Execution, settings: Value) -> Self {
        Self { execution, settings, reshape: None }
    }
}

// === impl Company ===

impl Company {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Beside => "beside",
        }
    }

    fn of(word: &str) -> Self {
        if word == "beside" { Self::Beside } else { Self::Alone }
    }
}

/// Refuses an execution that has to be alone while another such one has not ended and does not
/// wait.
pub(crate) fn require_alone(connection: &Connection, execution: &Execution) -> Result<(), Stop> {
    if execution.company == Company::Beside {
        return Ok(());
    }
    let query = "SELECT id FROM executions
         WHERE tenant = ?1 AND deployment = ?2 AND ended_at IS NULL AND company = 'alone'
             AND status NOT IN ('queued', 'scheduled') AND id <> ?3 ORDER BY id";
    let (tenant, deployment_id) = (&execution.tenant, &execution.deployment_id);
    let key = params![tenant.as_str(), deployment_id.as_str(), execution.id.to_string()];
    let thing = || Thing::of(tenant, Kind::Deployment, deployment_id);
    Users::refuse(thing, Kind::Execution, all(connection, query, key, first)?)
}

/// Changes an execution's deployment, where it is to be changed. Returns its revision then.
pub(crate) fn reshaped(
    connection: &Connection,
    execution: &Execution,
    reshape: Option<&Reshape>,
) -> Result<i64, Stop> {
    let (tenant, deployment) = (&execution.tenant, &execution.deployment_id);
    match reshape {
        Some(reshape) => reshape::apply(connection, tenant, deployment, execution.id, reshape),
        None => Ok(reshape::shape(connection, tenant, deployment)?.revision),
    }
}

/// Returns an execution that has to be there.
pub(crate) fn require(connection: &Connection, id: ExecutionId) -> Result<Execution, Stop> {
    find(connection, id)?.ok_or_else(|| Stop::missing(Thing::new(Kind::Execution, id)))
}

pub(crate) fn find(
    connection: &Connection,
    id: ExecutionId,
) -> rusqlite::Result<Option<Execution>> {
    let query = "SELECT * FROM executions WHERE id = ?1";
    one(connection, query, [id.to_string()], execution)
}

fn insert(connection: &Connection, execution: &Execution, settings: &Value) -> Result<(), Stop> {
    run(
        connection,
        "INSERT INTO executions
            (id, tenant, deployment, workflow, status, parameters, error, created_at, started_at,
             ended_at, total_operations, finished_operations, company, priority, dry_run,
             scheduled_for, revision)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        params![
            execution.id.to_string(),
            execution.tenant.as_str(),
            execution.deployment_id.as_str(),
            execution.workflow_id,
            execution.status.as_str(),
            json_text(&execution.parameters),
            execution.error,
            micros(execution.created_at),
            maybe_micros(execution.started_at),
            maybe_micros(execution.ended_at),
            execution.total_operations,
            execution.finished_operations,
            execution.company.as_str(),
            execution.priority,
            execution.dry_run,
            maybe_micros(execution.scheduled_for),
            execution.revision,
        ],
    )
    .or_exists(|| Thing::of(&execution.tenant, Kind::Execution, execution.id))?;
    put_settings(connection, execution.id, settings)?;
    Ok(())
}

/// Stores how an execution is to be run.
fn put_settings(
    connection: &Connection,
    id: ExecutionId,
    settings: &Value,
) -> rusqlite::Result<usize> {
    let statement = "INSERT INTO execution_settings (execution, settings) VALUES (?1, ?2)
                     ON CONFLICT DO UPDATE SET settings = excluded.settings";
    run(connection, statement, params![id.to_string(), json_text(settings)])
}

fn execution(row: &Row<'_>) -> rusqlite::Result<Execution> {
    Ok(Execution {
        id: row.text("id")?,
        tenant: row.text("tenant")?,
        deployment_id: row.text("deployment")?,
        workflow_id: row.get("workflow")?,
        status: row.text("status")?,
        parameters: row.json("parameters")?,
        company: Company::of(&row.get::<_, String>("company")?),
        priority: row.get("priority")?,
        dry_run: row.get("dry_run")?,
        scheduled_for: row.maybe_time("scheduled_for")?,
        revision: row.get("revision")?,
        error: row.get("error")?,
        created_at: row.time("created_at")?,
        started_at: row.maybe_time("started_at")?,
        ended_at: row.maybe_time("ended_at")?,
        total_operations: row.get("total_operations")?,
        finished_operations: row.get("finished_operations")?,
    })
}

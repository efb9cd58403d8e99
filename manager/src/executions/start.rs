//! Starting a workflow: now, when its turn has come, or at a time.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;
use waggoner_engine::{Event, Execution as Engine, Refusal, Start};
use waggoner_store::{
    Store,
    execution::{Company, Execution, NewExecution},
    instance::NodeInstance,
    reshape::Reshape,
};
use waggoner_types::{DeploymentId, ExecutionId, ExecutionStatus, TenantName};
use waggoner_wire::{Reason, Refused};

use super::{
    Stage, actor::Actor, availability, kept::Kept, modify, run, shapes, waiting::begin_next, whole,
};
use crate::{api::refused, home::Home};

/// What is asked of a deployment.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) tenant: TenantName,
    pub(crate) deployment: DeploymentId,
    pub(crate) workflow: String,
    pub(crate) parameters: Map<String, Value>,
    pub(crate) allow_custom_parameters: bool,
    /// Only tell what would be done.
    pub(crate) dry_run: bool,
    /// Start it although its availability rules say that it does not fit.
    pub(crate) force: bool,
    pub(crate) when: When,
    pub(crate) priority: i32,
}

/// When an execution is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At once, or not at all.
    Now,
    /// As soon as no other execution changes the deployment.
    Queued,
    At(Timestamp),
}

/// An execution that is accepted, and what it needs to begin.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) stage: Stage,
    pub(super) engine: Engine,
    pub(super) kept: Kept,
    /// What its deployment becomes at once.
    pub(super) reshape: Option<Reshape>,
}

// === impl Asked ===

impl Asked {
    pub(crate) fn new(
        tenant: TenantName,
        deployment: DeploymentId,
        workflow: impl Into<String>,
    ) -> Self {
        Self {
            tenant,
            deployment,
            workflow: workflow.into(),
            parameters: Map::new(),
            allow_custom_parameters: false,
            dry_run: false,
            force: false,
            when: When::Now,
            priority: 0,
        }
    }

    pub(super) fn execution(&self, id: ExecutionId, status: ExecutionStatus) -> Execution {
        let (tenant, deployment) = (self.tenant.clone(), self.deployment.clone());
        Execution {
            status,
            parameters: Value::Object(self.parameters.clone()),
            // What changes nothing is in nobody's way.
            company: if self.dry_run { Company::Beside } else { Company::Alone },
            priority: self.priority,
            dry_run: self.dry_run,
            scheduled_for: match self.when {
                When::At(time) => Some(time),
                When::Now | When::Queued => None,
            },
            ..Execution::new(id, tenant, deployment, self.workflow.clone(), Timestamp::now())
        }
    }

    /// What is wanted of the engine, on these instances.
    pub(super) fn start(&self, home: &Home, instances: &[NodeInstance]) -> Start {
        let mut start = Start::new(
            self.workflow.clone(),
            instances.iter().map(shapes::plan_instance).collect(),
        );
        start.parameters.clone_from(&self.parameters);
        start.allow_custom_parameters = self.allow_custom_parameters;
        start.settings = home.settings.clone();
        start.settings.dry_run = self.dry_run;
        start
    }
}

/// Starts a workflow. It is stored, and then its first turn is taken, if it does not wait.
pub(crate) async fn start(home: &Arc<Home>, asked: Asked) -> Result<Execution, Refused> {
    start_as(home, home.store.clone(), new_id(), asked).await
}

/// The same, as an execution of this id; `store` stores it.
pub(crate) async fn start_as(
    home: &Arc<Home>,
    store: Store,
    id: ExecutionId,
    asked: Asked,
) -> Result<Execution, Refused> {
    match asked.when {
        When::Now => {
            let draft = draft(home, &asked, id).await?;
            let execution = asked.execution(id, ExecutionStatus::Pending);
            store_and_run(home, store, execution, draft).await
        }
        When::Queued => {
            let new = waiting(home, &asked, id, ExecutionStatus::Queued).await?;
            let by = Arc::clone(home);
            whole(home, async move {
                store.create_execution(new).await.map_err(refused)?;
                begin_next(&by, &asked.tenant, &asked.deployment).await;
                by.store.execution(asked.tenant, id).await.map_err(refused)
            })
            .await
        }
        When::At(_) => {
            let new = waiting(home, &asked, id, ExecutionStatus::Scheduled).await?;
            let by = Arc::clone(home);
            whole(home, async move {
                let execution = store.create_execution(new).await.map_err(refused)?;
                by.executions.scheduled.notify_one();
                Ok(execution)
            })
            .await
        }
    }
}

/// Makes the id of a new execution.
pub(crate) fn new_id() -> ExecutionId {
    ExecutionId(Uuid::now_v7())
}

/// Stores an execution that begins at once, and lets it run.
pub(super) async fn store_and_run(
    home: &Arc<Home>,
    store: Store,
    execution: Execution,
    draft: Draft,
) -> Result<Execution, Refused> {
    let new = NewExecution {
        settings: draft.kept.to_json(),
        reshape: draft.reshape.clone(),
        ..NewExecution::new(execution, Value::Null)
    };
    let by = Arc::clone(home);
    whole(home, async move {
        let execution = store.create_execution(new).await.map_err(refused)?;
        run_draft(&by, &execution, draft);
        Ok(execution)
    })
    .await
}

/// Lets an execution run whose beginning is stored.
pub(super) fn run_draft(home: &Arc<Home>, execution: &Execution, draft: Draft) {
    let Draft { stage, engine, kept, reshape: _ } = draft;
    let none = HashSet::new();
    let actor = Actor::new(home, stage, engine, kept.endings(), execution.priority, none);
    run(home, execution, actor, vec![Event::Started]);
}

/// Judges an execution that waits. What is wrong with it in any case is refused now; what depends
/// on the state of the deployment is judged when it begins.
async fn waiting(
    home: &Home,
    asked: &Asked,
    id: ExecutionId,
    status: ExecutionStatus,
) -> Result<NewExecution, Refused> {
    let stage = Stage::load(home, asked, id).await?;
    let instances = stage.instances(home).await?;
    let mut start = asked.start(home, &instances);
    let plan = || Arc::clone(&stage.plan);
    let judged =
        Engine::modification(plan(), &start).and_then(|_| Engine::start(plan(), &start).map(drop));
    match judged {
        Ok(()) | Err(Refusal::Impossible { .. } | Refusal::Cycle { .. }) => {}
        Err(refusal) => return Err(not_accepted(refusal)),
    }
    start.instances.clear();
    let kept = Kept { start, force: asked.force, finish: None, roll_back: None, before: None };
    Ok(NewExecution::new(asked.execution(id, status), kept.to_json()))
}

/// Judges what is asked on the deployment as it is now, and makes it ready to begin.
pub(super) async fn draft(home: &Home, asked: &Asked, id: ExecutionId) -> Result<Draft, Refused> {
    let stage = Stage::load(home, asked, id).await?;
    let instances = stage.instances(home).await?;
    if !asked.force {
        availability::check(&stage, &instances)?;
    }
    let mut start = asked.start(home, &instances);
    let plan = || Arc::clone(&stage.plan);
    let request = Engine::modification(plan(), &start).map_err(not_accepted)?;
    let (mut reshape, mut finish, mut roll_back) = (None, None, None);
    if let Some(request) = request {
        let made = modify::scale(home, &stage, instances, &request).await?;
        start.instances = made.instances.iter().map(shapes::plan_instance).collect();
        start.modification = Some(made.modification);
        (finish, roll_back) = (Some(made.finish), Some(made.roll_back));
        reshape = Some(made.begin).filter(|_| !asked.dry_run);
    }
    let engine = Engine::start(plan(), &start).map_err(not_accepted)?;
    let kept = Kept { start, force: asked.force, finish, roll_back, before: None };
    Ok(Draft { stage, engine, kept, reshape })
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(super) fn not_accepted(refusal: Refusal) -> Refused {
    let reason = match refusal {
        Refusal::UnknownWorkflow { .. } | Refusal::NotBuiltIn { .. } => Reason::UnknownWorkflow,
        Refusal::UnknownParameter { .. }
        | Refusal::MissingParameters { .. }
        | Refusal::WrongType { .. }
        | Refusal::Unknown { .. }
        | Refusal::FixedInput { .. } => Reason::InvalidParameters,
        Refusal::Impossible { .. } | Refusal::Cycle { .. } | Refusal::NotResumable { .. } => {
            Reason::WorkflowUnavailable
        }
        Refusal::Inconsistent(_) => Reason::Internal,
    };
    Refused::new(reason, refusal.to_string())
}

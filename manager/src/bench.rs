//! The way of one operation by itself, for benchmarks: what an execution's actor and its attempt do
//! for a task, without a graph that decides which task comes when.
//!
//! ```text
//!  run ─▶ turn: sent ─▶ attempt stored ─▶ conversation ─▶ outcome stored ─▶ turn: ended ─▶ outcome
//!                                               └─ turn: started
//!
//!  turns: one at a time for the execution; what waits meanwhile shares the next transaction
//! ```

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use camino::Utf8PathBuf;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::{Map, json};
use tokio::sync::{mpsc, oneshot};
use tracing::error;
use uuid::Uuid;
use waggoner_engine::{Dispatch, EventType, TaskNumber, TaskState};
use waggoner_identity::JoinToken;
use waggoner_proto::agent::v1::{ProgramOperation, Start, start::Implementation};
use waggoner_store::{
    advance::{Advance, Progress},
    blueprint::Blueprint,
    deployment::NewDeployment,
    event::{Entry, EntryKind, Origin},
    execution::{Execution, NewExecution, Operation, Task},
    join,
};
use waggoner_task::{BoxError, CancellationToken};
use waggoner_types::{
    AgentName, AgentRole, Chain, Digest, ExecutionId, ExecutionStatus, OperationError, OperationId,
    Outcome, TenantName,
    plan::{self, Executor, Plan},
};

use crate::{
    executions::{
        Asked, Stage,
        actor::{Happening, TOGETHER},
        answers::Answers,
        attempt::keep,
        context::context,
        conversation::{Teller, converse},
        prepare::{Ready, attempt_id},
    },
    fleet::AgentKey,
    home::Home,
};

mod install;
mod plugin;
mod script;

pub use self::install::Installer;

/// Makes what operations need in a manager that is about to run.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    home: Arc<Home>,
    address: SocketAddr,
}

/// An execution without a workflow: it runs the programs that it is told to.
#[derive(Clone, Debug)]
pub struct Bench {
    home: Arc<Home>,
    stage: Arc<Stage>,
    agent: AgentKey,
    turns: mpsc::Sender<Step>,
    /// How many operations were begun.
    begun: Arc<AtomicU64>,
}

/// What happened to a task.
#[derive(Debug)]
struct Step {
    task: TaskNumber,
    state: TaskState,
    event: EventType,
    /// There when it is new.
    operation: Option<OperationId>,
    /// Told when it is stored.
    stored: oneshot::Sender<()>,
}

/// The name of the blueprint and of the deployment.
const NAME: &str = "bench";

/// The name of the only node.
const NODE: &str = "host";

/// The full name of each operation.
const OPERATION: &str = "cloudify.interfaces.lifecycle.create";

/// How many steps may wait, and how many are stored at once: as an execution's actor has it.
const STEPS: (usize, usize) = (1024, TOGETHER);

/// For how long a join token is good.
const TTL: SignedDuration = SignedDuration::from_mins(10);

// === impl Dispatcher ===

impl Dispatcher {
    pub(crate) fn new(home: Arc<Home>, address: SocketAddr) -> Self {
        Self { home, address }
    }

    /// Returns where agents reach the manager.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a join token for a central agent of the default tenant.
    pub async fn join_token(&self) -> Result<SecretString, BoxError> {
        let now = Timestamp::now();
        let token = JoinToken::mint(self.home.ca.certificate().pin());
        let row = join::JoinToken {
            hash: Digest(*token.hash().as_bytes()),
            tenant: tenant(),
            agent: None,
            role: AgentRole::Central,
            created_at: now,
            expires_at: now.checked_add(TTL)?,
            used: None,
        };
        self.home.store.create_join_token(row).await?;
        Ok(token.reveal())
    }

    /// Stores a blueprint, a deployment and an execution, whose operations this agent runs.
    pub async fn open(&self, agent: AgentName) -> Result<Bench, BoxError> {
        let now = Timestamp::now();
        let blueprint = Blueprint {
            tenant: tenant(),
            id: NAME.parse()?,
            description: String::new(),
            main_file: "blueprint.yaml".to_owned(),
            digest: Digest([0; 32]),
            created_at: now,
            plugins: Vec::new(),
        };
        let plugins = vec![plugin::plugin()];
        let node = plan::Node { id: NODE.to_owned(), plugins, ..plan::Node::default() };
        let plan = serde_json::to_value(Plan { nodes: vec![node], ..Plan::default() })?;
        let deployment = NewDeployment {
            tenant: tenant(),
            id: NAME.parse()?,
            blueprint_id: blueprint.id.clone(),
            created_at: now,
            inputs: json!({}),
            workflows: Vec::new(),
            plan: plan.clone(),
            instances: vec![plugin::node_instance()],
        };
        let asked = Asked::new(tenant(), deployment.id.clone(), NAME);
        let id = ExecutionId(Uuid::now_v7());
        let execution = Execution {
            status: ExecutionStatus::Started,
            started_at: Some(now),
            ..Execution::new(id, tenant(), deployment.id.clone(), NAME, now)
        };
        let store = &self.home.store;
        store.create_blueprint(blueprint, plan).await?;
        store.create_deployment(deployment).await?;
        store.create_execution(NewExecution::new(execution, json!({}))).await?;
        let stage = Arc::new(Stage::load(&self.home, &asked, id).await?);
        let (turns, steps) = mpsc::channel(STEPS.0);
        let home = Arc::clone(&self.home);
        self.home.tasks.spawn("bench", take_turns(home, Arc::clone(&stage), steps));
        Ok(Bench {
            home: Arc::clone(&self.home),
            stage,
            agent: AgentKey { tenant: tenant(), name: agent },
            turns,
            begun: Arc::default(),
        })
    }
}

// === impl Bench ===

impl Bench {
    /// Runs a program on the agent, as an operation of its own, until its end is stored.
    pub async fn run(
        &self,
        program: impl Into<Utf8PathBuf>,
        args: &[&str],
    ) -> Result<Outcome, BoxError> {
        let task = TaskNumber(self.begun.fetch_add(1, Ordering::Relaxed));
        let dispatch = dispatch(task);
        let operation = self.stage.operation(task.0, dispatch.retry_number);
        let program = ProgramOperation {
            program: program.into().into_string(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
        };
        let ready = self.ready(&dispatch, operation, program);
        self.go(task, dispatch, operation, ready).await
    }

    /// Sends what is ready, and waits until its end is stored.
    async fn go(
        &self,
        task: TaskNumber,
        dispatch: Dispatch,
        operation: OperationId,
        ready: Ready,
    ) -> Result<Outcome, BoxError> {
        self.step(task, TaskState::Sent, EventType::SendingTask, Some(operation)).await.await?;

        let (happenings, mut inbox) = mpsc::channel(2);
        let teller = Teller { happenings, task, retry_number: dispatch.retry_number };
        self.home.tasks.spawn("attempt", self.clone().attempt(dispatch, ready, teller));
        while let Some(happening) = inbox.recv().await {
            match happening {
                // Nobody waits for it.
                Happening::Started { .. } => {
                    drop(self.step(task, TaskState::Started, EventType::TaskStarted, None).await);
                }
                Happening::Ended { outcome, .. } => {
                    let (state, event) = match outcome.result {
                        Ok(_) => (TaskState::Succeeded, EventType::TaskSucceeded),
                        Err(_) => (TaskState::Failed, EventType::TaskFailed),
                    };
                    self.step(task, state, event, None).await.await?;
                    return Ok(outcome);
                }
                Happening::Cancel { .. } | Happening::Look { .. } => {}
            }
        }
        Err("the attempt was dropped before its end".into())
    }

    /// Tells of a step. The answer comes when it is stored, and fails when it cannot be.
    async fn step(
        &self,
        task: TaskNumber,
        state: TaskState,
        event: EventType,
        operation: Option<OperationId>,
    ) -> oneshot::Receiver<()> {
        let (stored, answer) = oneshot::channel();
        // Who takes the turns has ended if nobody takes it: then the answer fails.
        drop(self.turns.send(Step { task, state, event, operation, stored }).await);
        answer
    }

    async fn attempt(self, dispatch: Dispatch, ready: Ready, teller: Teller) {
        let Self { home, stage, .. } = self;
        let answers = Answers::of(&home, &stage, &dispatch);
        let outcome = match keep(&home, &stage, &dispatch, ready).await {
            Ok(Some(attempt)) => {
                converse(&home, attempt, &answers, &CancellationToken::new(), &teller).await
            }
            Ok(None) => {
                let why = "the agent of the benchmark is drained";
                Outcome { result: Err(OperationError::non_recoverable(why)), exit: None }
            }
            Err(error) => Outcome { result: Err(error), exit: None },
        };
        teller.ended(outcome).await;
    }

    fn ready(&self, dispatch: &Dispatch, operation: OperationId, run: ProgramOperation) -> Ready {
        let agent = self.agent.clone();
        let (scene, plugin) = (&self.stage.scene, plan::Plugin::default());
        let context = context(scene, dispatch, operation, &plugin, &agent.name, &Map::new());
        let start = Start {
            attempt_id: attempt_id(operation).to_string(),
            epoch: u64::from(dispatch.retry_number) + 1,
            context_json: context.to_string(),
            inputs_json: "{}".to_owned(),
            implementation: Some(Implementation::Program(run)),
            ..Start::default()
        };
        Ready { agent, start }
    }
}

/// Takes turns until nobody can want one any more.
async fn take_turns(home: Arc<Home>, stage: Arc<Stage>, mut steps: mpsc::Receiver<Step>) {
    let (mut total, mut finished) = (0, 0);
    let mut next = Vec::new();
    while steps.recv_many(&mut next, STEPS.1).await > 0 {
        let mut advance = Advance::new(stage.scene.execution, Timestamp::now());
        let mut waiting = Vec::new();
        for step in next.drain(..) {
            total += u32::from(step.operation.is_some());
            finished += u32::from(step.state.is_end());
            put(&stage, &step, &mut advance);
            waiting.push(step.stored);
        }
        let progress = Progress { total_operations: total, finished_operations: finished };
        advance.progress = Some(progress);
        if let Err(error) = home.store.advance(advance).await {
            error!(error = %Chain(&error), "failed to store a turn");
            return;
        }
        for stored in waiting {
            // Nobody waits for the start of an operation.
            _ = stored.send(());
        }
    }
}

/// Adds to a turn what comes of a step.
fn put(stage: &Stage, step: &Step, advance: &mut Advance) {
    let Step { task, state, event, operation, .. } = *step;
    let (scene, now) = (&stage.scene, advance.at);
    advance.tasks.push(Task {
        number: task.0,
        status: state.as_str().to_owned(),
        operation: None,
        retry: 0,
        not_before: None,
        // Shaped as the engine's row, which nobody reads back here.
        state: json!({ "task": task, "state": state, "retry_number": 0, "since": now }),
    });
    advance.operations.extend(operation.map(|id| Operation {
        id,
        task: task.0,
        retry: 0,
        name: OPERATION.to_owned(),
        node_instance_id: Some(instance()),
        target_id: None,
        created_at: now,
        ended_at: None,
        outcome: None,
    }));
    advance.events.push(Entry {
        origin: Arc::new(Origin {
            execution_id: Some(scene.execution),
            deployment_id: Some(scene.deployment.clone()),
            workflow_id: Some(scene.workflow.clone()),
            node_id: Some(NODE.to_owned()),
            node_instance_id: Some(instance()),
            operation: Some(OPERATION.to_owned()),
            ..Origin::of(scene.tenant.clone())
        }),
        time: now,
        kind: EntryKind::Event { event_type: event.to_string() },
        message: format!("{event} '{OPERATION}'"),
        causes: Vec::new(),
        sequence: 0,
    });
}

fn tenant() -> TenantName {
    "default_tenant".parse().expect("it is a tenant's name")
}

fn instance() -> String {
    format!("{NODE}_aaaaaa")
}

fn dispatch(task: TaskNumber) -> Dispatch {
    Dispatch {
        task,
        retry_number: 0,
        total_retries: 0,
        again: false,
        instance: instance(),
        node: NODE.to_owned(),
        host: None,
        executor: Executor::CentralDeploymentAgent,
        operation_name: OPERATION.to_owned(),
        operation: plan::Operation::default(),
        relationship: None,
    }
}

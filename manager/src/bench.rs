//! The way of one operation by itself, for benchmarks: what an execution's actor and its attempt do
//! for a task, without a graph that decides which task comes when.
//!
//! ```text
//!  run ─▶ turn: sent ─▶ attempt stored ─▶ conversation ─▶ outcome stored ─▶ turn: ended ─▶ outcome
//!                                               └─ turn: started
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
use tokio::sync::mpsc;
use uuid::Uuid;
use waggoner_engine::{Dispatch, EventType, Row, TaskNumber, TaskState};
use waggoner_identity::JoinToken;
use waggoner_proto::agent::v1::{ProgramOperation, Start, start::Implementation};
use waggoner_store::{
    advance::{Advance, Progress},
    blueprint::Blueprint,
    deployment::NewDeployment,
    event::{Entry, EntryKind, Origin},
    execution::{Company, Execution, Operation, Task},
    join,
};
use waggoner_task::{BoxError, CancellationToken};
use waggoner_types::{
    AgentName, AgentRole, Digest, ExecutionId, ExecutionStatus, OperationId, Outcome, TenantName,
    plan::{self, Executor, Plan},
};

use crate::{
    executions::{
        Asked, Stage,
        actor::Happening,
        answers::Answers,
        attempt::keep,
        context::context,
        conversation::{Teller, converse},
        evaluate::Viewpoint,
        prepare::{Ready, attempt_id},
    },
    fleet::AgentKey,
    home::Home,
};

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
    /// The operations that were begun, and those that have ended.
    counts: Arc<(AtomicU64, AtomicU64)>,
}

/// The name of the blueprint and of the deployment.
const NAME: &str = "bench";

/// The name of the only node.
const NODE: &str = "host";

/// The full name of each operation.
const OPERATION: &str = "cloudify.interfaces.lifecycle.create";

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
        let node = plan::Node { id: NODE.to_owned(), ..plan::Node::default() };
        let plan = serde_json::to_value(Plan { nodes: vec![node], ..Plan::default() })?;
        let deployment = NewDeployment {
            tenant: tenant(),
            id: NAME.parse()?,
            blueprint_id: blueprint.id.clone(),
            created_at: now,
            inputs: json!({}),
            workflows: Vec::new(),
            plan: plan.clone(),
            instances: Vec::new(),
        };
        let asked = Asked {
            tenant: tenant(),
            deployment: deployment.id.clone(),
            workflow: NAME.to_owned(),
            parameters: Map::new(),
            allow_custom_parameters: false,
        };
        let execution = Execution {
            id: ExecutionId(Uuid::now_v7()),
            tenant: tenant(),
            deployment_id: deployment.id.clone(),
            workflow_id: asked.workflow.clone(),
            status: ExecutionStatus::Started,
            parameters: json!({}),
            settings: json!({}),
            error: None,
            created_at: now,
            started_at: Some(now),
            ended_at: None,
            total_operations: 0,
            finished_operations: 0,
        };
        let (store, id) = (&self.home.store, execution.id);
        store.create_blueprint(blueprint, plan).await?;
        store.create_deployment(deployment).await?;
        store.create_execution(execution, Company::Alone).await?;
        let stage = Stage::load(&self.home, &asked, id).await?;
        Ok(Bench {
            home: Arc::clone(&self.home),
            stage: Arc::new(stage),
            agent: AgentKey { tenant: tenant(), name: agent },
            counts: Arc::default(),
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
        let task = TaskNumber(self.counts.0.fetch_add(1, Ordering::Relaxed));
        let dispatch = dispatch(task);
        let operation = self.stage.operation(task.0, dispatch.retry_number);
        let program = ProgramOperation {
            program: program.into().into_string(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
        };
        let ready = self.ready(&dispatch, operation, program);
        let mut sent = self.turn(task, TaskState::Sent, EventType::SendingTask);
        sent.operations.push(Operation {
            id: operation,
            task: task.0,
            retry: dispatch.retry_number,
            name: dispatch.operation_name.clone(),
            node_instance_id: Some(dispatch.instance.clone()),
            target_id: None,
            created_at: sent.at,
            ended_at: None,
            outcome: None,
        });
        self.home.store.advance(sent).await?;

        let (happenings, mut inbox) = mpsc::channel(2);
        let teller = Teller { happenings, task, retry_number: dispatch.retry_number };
        self.home.tasks.spawn("attempt", self.clone().attempt(dispatch, ready, teller));
        while let Some(happening) = inbox.recv().await {
            match happening {
                Happening::Started { .. } => {
                    let started = self.turn(task, TaskState::Started, EventType::TaskStarted);
                    self.home.store.advance(started).await?;
                }
                Happening::Ended { outcome, .. } => {
                    self.counts.1.fetch_add(1, Ordering::Relaxed);
                    let (state, event) = match outcome.result {
                        Ok(_) => (TaskState::Succeeded, EventType::TaskSucceeded),
                        Err(_) => (TaskState::Failed, EventType::TaskFailed),
                    };
                    self.home.store.advance(self.turn(task, state, event)).await?;
                    return Ok(outcome);
                }
                Happening::Cancel(_) => {}
            }
        }
        Err("the attempt was dropped before its end".into())
    }

    async fn attempt(self, dispatch: Dispatch, ready: Ready, teller: Teller) {
        let Self { home, stage, .. } = self;
        let answers = Answers {
            home: Arc::clone(&home),
            stage: Arc::clone(&stage),
            viewpoint: Viewpoint::of(&dispatch),
        };
        let outcome = match keep(&home, &stage, &dispatch, ready).await {
            Ok(attempt) => {
                converse(&home, attempt, &answers, &CancellationToken::new(), &teller).await
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

    fn turn(&self, task: TaskNumber, state: TaskState, event: EventType) -> Advance {
        let now = Timestamp::now();
        let scene = &self.stage.scene;
        let row = Row {
            task,
            state,
            retry_number: 0,
            resumed_at: 0,
            since: now,
            not_before: None,
            failure: None,
            result: None,
        };
        let count = |count: &AtomicU64| u32::try_from(count.load(Ordering::Relaxed));
        let entry = Entry {
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
        };
        Advance {
            tasks: vec![Task {
                number: task.0,
                status: state.as_str().to_owned(),
                operation: None,
                retry: row.retry_number,
                not_before: None,
                state: serde_json::to_value(&row).expect("a row is JSON"),
            }],
            events: vec![entry],
            progress: Some(Progress {
                total_operations: count(&self.counts.0).unwrap_or(u32::MAX),
                finished_operations: count(&self.counts.1).unwrap_or(u32::MAX),
            }),
            ..Advance::new(scene.execution, now)
        }
    }
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

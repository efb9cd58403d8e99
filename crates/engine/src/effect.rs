//! What the engine wants done.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use waggoner_types::{
    ExecutionStatus,
    plan::{Executor, InstanceState, Operation},
};

use crate::{Row, TaskNumber};

/// One thing to do. The effects of a step are persisted together, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Keep this row in the place of the task's earlier one.
    Save(Row),
    /// Run an operation.
    Dispatch(Box<Dispatch>),
    /// Stop an attempt that is out, by force.
    CancelOperation {
        task: TaskNumber,
        retry_number: u32,
    },
    SetInstanceState {
        instance: String,
        state: InstanceState,
    },
    /// Put these in the place of the instance's system properties of the same names; `null`
    /// takes one away.
    SetSystemProperties {
        instance: String,
        properties: Map<String, Value>,
    },
    /// Close the deployment modification that the execution was started with.
    EndModification(ModificationEnd),
    /// Keep an event for those who follow the execution.
    Emit(Box<Told>),
    /// Step [`crate::Event::Woken`] at this time. Replaces an earlier wish.
    WakeAt(Timestamp),
    /// The execution is over. The last effect.
    Finish(Finish),
}

/// How a deployment modification ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModificationEnd {
    /// It stands: what it removed is forgotten.
    Finish,
    /// It is taken back: what it added is forgotten.
    RollBack,
}

/// An attempt to run an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    pub task: TaskNumber,
    /// `(task, retry_number)` names the attempt within its execution.
    pub retry_number: u32,
    /// -1: for ever.
    pub total_retries: i64,
    /// The attempt was dispatched before a restore and may be running, or have run.
    pub again: bool,
    /// The instance on whose side the operation is defined.
    pub instance: String,
    pub node: String,
    /// The host of the instance, where it has one.
    pub host: Option<String>,
    /// `HostAgent` or `CentralDeploymentAgent`.
    pub executor: Executor,
    /// The full name: `cloudify.interfaces.lifecycle.create`.
    pub operation_name: String,
    /// What the plan says, its inputs merged with those of the workflow.
    pub operation: Operation,
    /// There for relationship operations.
    pub relationship: Option<RelationshipContext>,
}

/// The relationship an operation belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationshipContext {
    /// Which side the operation is defined on, and runs for.
    pub side: Side,
    pub relationship_type: String,
    pub source_instance: String,
    pub source_node: String,
    pub target_instance: String,
    pub target_node: String,
}

/// A side of a relationship.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Source,
    Target,
}

/// An event as Cloudify words it (`cloudify/workflows/events.py`, `cloudify/dispatch.py`).
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub event_type: EventType,
    pub message: String,
    /// The source of the relationship, where it is about a relationship operation.
    pub instance: Option<String>,
    /// The target of the relationship, where it is about a relationship operation.
    pub target: Option<String>,
    /// The full name of the operation.
    pub operation: Option<String>,
    pub task: Option<TaskNumber>,
    pub retry_number: u32,
    pub total_retries: i64,
    pub causes: Vec<Cause>,
}

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    WorkflowStarted,
    WorkflowSucceeded,
    WorkflowFailed,
    WorkflowCancelled,
    WorkflowStage,
    WorkflowNodeEvent,
    SendingTask,
    TaskStarted,
    TaskSucceeded,
    TaskRescheduled,
    TaskFailed,
}

/// Something that led to a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub exception_type: String,
    pub message: String,
    pub traceback: String,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// `Terminated`, `Failed` or `Cancelled`.
    pub status: ExecutionStatus,
    /// There for `Failed`.
    pub error: Option<String>,
}

// === impl Side ===

impl Side {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

// === impl EventType ===

impl EventType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkflowStarted => "workflow_started",
            Self::WorkflowSucceeded => "workflow_succeeded",
            Self::WorkflowFailed => "workflow_failed",
            Self::WorkflowCancelled => "workflow_cancelled",
            Self::WorkflowStage => "workflow_stage",
            Self::WorkflowNodeEvent => "workflow_node_event",
            Self::SendingTask => "sending_task",
            Self::TaskStarted => "task_started",
            Self::TaskSucceeded => "task_succeeded",
            Self::TaskRescheduled => "task_rescheduled",
            Self::TaskFailed => "task_failed",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

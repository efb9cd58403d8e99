//! A task that runs an operation.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use serde_json::{Map, Value};
use waggoner_types::plan::{Executor, Operation};

use crate::{
    Failure, RelationshipContext, Side, TaskState,
    world::{InstanceIx, Link, World},
};

#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The instance on whose side the operation is defined.
    pub(crate) instance: InstanceIx,
    /// The operation's full name.
    pub(crate) name: Cow<'static, str>,
    pub(crate) handler: Handler,
    /// Inputs over those of the plan.
    pub(crate) inputs: Option<Arc<Map<String, Value>>>,
    place: Place,
    // What is needed at each turn, so that a turn need not look into the plan.
    /// What the plugin runs: the name of the task.
    pub(crate) mapping: Box<str>,
    pub(crate) max_retries: Option<i64>,
    /// In seconds.
    pub(crate) retry_interval: Option<f64>,

    pub(crate) state: TaskState,
    pub(crate) retry_number: u32,
    /// The attempt from which retries are counted.
    pub(crate) resumed_at: u32,
    /// How many groups clear away before it what earlier attempts may have left.
    pub(crate) cleanups: u32,
    pub(crate) since: Timestamp,
    pub(crate) not_before: Option<Timestamp>,
    // Most operations have neither.
    pub(crate) failure: Option<Box<Failure>>,
    pub(crate) result: Option<Box<Value>>,
}

/// What is done about an operation's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    /// A failure is tried again, then fails the phase.
    Plain,
    /// A failure is told and passed over.
    Ignore,
    /// A result that is not true is asked for again, for ever.
    HostState,
    /// The outcome becomes the instance's status.
    Status { ignore_failure: bool },
    /// The outcome becomes the instance's drift.
    Drift { about: Drift, ignore_failure: bool },
}

/// What has drifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drift {
    Instance,
    /// The source's side of a relationship.
    Source {
        target: InstanceIx,
    },
    /// The target's side of a relationship.
    Target {
        source: InstanceIx,
    },
}

/// Where an operation is defined.
#[derive(Clone, Copy, Debug)]
enum Place {
    Node,
    Side(Side, InstanceIx, Link),
}

// === impl Handler ===

impl Handler {
    /// Says whether the outcome is written down with an instance.
    pub(crate) fn is_noted(self) -> bool {
        matches!(self, Self::Status { .. } | Self::Drift { .. })
    }

    /// Says whether what waits for the operation goes on after a failure.
    pub(crate) fn passes_over(self) -> bool {
        match self {
            Self::Plain | Self::HostState => false,
            Self::Ignore => true,
            Self::Status { ignore_failure } | Self::Drift { ignore_failure, .. } => ignore_failure,
        }
    }
}

// === impl Call ===

impl Call {
    /// An operation of a node, if it does something.
    pub(crate) fn of_node(
        world: &World,
        instance: InstanceIx,
        name: impl Into<Cow<'static, str>>,
    ) -> Option<Self> {
        Self::new(world, instance, name.into(), Place::Node)
    }

    /// An operation of one side of a relationship, if it does something.
    pub(crate) fn of_side(
        world: &World,
        side: Side,
        source: InstanceIx,
        link: Link,
        name: &'static str,
    ) -> Option<Self> {
        let instance = match side {
            Side::Source => source,
            Side::Target => link.target,
        };
        Self::new(world, instance, name.into(), Place::Side(side, source, link))
    }

    pub(crate) fn handled(mut self, handler: Handler) -> Self {
        self.handler = handler;
        self
    }

    pub(crate) fn with_inputs(mut self, inputs: Arc<Map<String, Value>>) -> Self {
        self.inputs = Some(inputs);
        self
    }

    /// What the plan says about the operation.
    pub(crate) fn operation<'w>(&self, world: &'w World) -> &'w Operation {
        operation(world, self.instance, self.place, &self.name)
            .expect("a call is only made of an operation that is there")
    }

    pub(crate) fn executor(&self, operation: &Operation, world: &World) -> Executor {
        match operation.executor {
            Some(Executor::HostAgent) => Executor::HostAgent,
            Some(Executor::Auto) if world.instance(self.instance).host.is_some() => {
                Executor::HostAgent
            }
            Some(Executor::Auto | Executor::CentralDeploymentAgent) | None => {
                Executor::CentralDeploymentAgent
            }
        }
    }

    pub(crate) fn relationship(&self, world: &World) -> Option<RelationshipContext> {
        let Place::Side(side, source, link) = self.place else { return None };
        Some(RelationshipContext {
            side,
            relationship_type: world.definition(source, link).type_.clone(),
            source_instance: world.instance(source).id.clone(),
            source_node: world.node(source).id.clone(),
            target_instance: world.instance(link.target).id.clone(),
            target_node: world.node(link.target).id.clone(),
        })
    }

    fn new(
        world: &World,
        instance: InstanceIx,
        name: Cow<'static, str>,
        place: Place,
    ) -> Option<Self> {
        let operation = operation(world, instance, place, &name)?;
        Some(Self {
            instance,
            name,
            handler: Handler::Plain,
            inputs: None,
            place,
            mapping: operation.operation.as_str().into(),
            max_retries: operation.max_retries,
            retry_interval: operation.retry_interval,
            state: TaskState::Pending,
            retry_number: 0,
            resumed_at: 0,
            cleanups: 0,
            since: Timestamp::UNIX_EPOCH,
            not_before: None,
            failure: None,
            result: None,
        })
    }
}

fn operation<'w>(
    world: &'w World,
    instance: InstanceIx,
    place: Place,
    name: &str,
) -> Option<&'w Operation> {
    let operations = match place {
        Place::Node => &world.node(instance).operations,
        Place::Side(Side::Source, source, link) => {
            &world.definition(source, link).source_operations
        }
        Place::Side(Side::Target, source, link) => {
            &world.definition(source, link).target_operations
        }
    };
    operations.get(name).filter(|operation| !operation.is_empty())
}

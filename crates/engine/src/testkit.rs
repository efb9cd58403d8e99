//! Small plans, and a world in which their executions run: for tests.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use waggoner_types::{
    ErrorKind, OperationError,
    plan::{InstanceState, NodeInstance, Plan},
};

use crate::{Dispatch, Effect, Event, Execution, Finish, Refusal, Resume, Row, Start, TaskNumber};

pub(crate) const T0: Timestamp = Timestamp::UNIX_EPOCH;

/// A plan in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlanBuilder {
    nodes: Vec<Value>,
    instances: Vec<Value>,
}

pub(crate) const ALL: &[&str] = &["create", "configure", "start", "stop", "delete"];

impl PlanBuilder {
    /// A node with one instance, `<id>_1`, whose lifecycle has these operations.
    pub(crate) fn node(self, id: &str, operations: &[&str]) -> Self {
        self.node_of(id, "cloudify.nodes.Root", operations, &json!({}))
    }

    pub(crate) fn node_of(
        mut self,
        id: &str,
        type_name: &str,
        operations: &[&str],
        properties: &Value,
    ) -> Self {
        let operations: BTreeMap<String, Value> =
            operations.iter().map(|name| (full(name), operation(name))).collect();
        self.nodes.push(json!({
            "id": id, "type": type_name, "properties": properties, "operations": operations,
            "type_hierarchy": ["cloudify.nodes.Root", type_name], "relationships": []
        }));
        self.instances.push(json!({"id": format!("{id}_1"), "node_id": id, "relationships": []}));
        self
    }

    /// Sets a key of an operation of the last node.
    pub(crate) fn with(mut self, name: &str, key: &str, value: Value) -> Self {
        let node = self.nodes.last_mut().unwrap();
        node["operations"][full(name)][key] = value;
        self
    }

    /// Relates the last node to an earlier one; the operations exist on both sides.
    pub(crate) fn related(mut self, target: &str, type_name: &str, operations: &[&str]) -> Self {
        let side: BTreeMap<String, Value> = operations
            .iter()
            .map(|name| {
                let name = format!("cloudify.interfaces.relationship_lifecycle.{name}");
                let operation = operation(&name);
                (name, operation)
            })
            .collect();
        let type_name = format!("cloudify.relationships.{type_name}");
        self.nodes.last_mut().unwrap()["relationships"].as_array_mut().unwrap().push(json!({
            "target_id": target, "type": type_name, "properties": {},
            "type_hierarchy": ["cloudify.relationships.depends_on", type_name],
            "source_operations": side, "target_operations": side
        }));
        self.instances.last_mut().unwrap()["relationships"].as_array_mut().unwrap().push(json!({
            "target_id": format!("{target}_1"), "target_name": target, "type": type_name
        }));
        self
    }

    /// Sets a property of the last relationship of the last node.
    pub(crate) fn property(mut self, name: &str, value: Value) -> Self {
        let relationships = self.nodes.last_mut().unwrap()["relationships"].as_array_mut();
        relationships.unwrap().last_mut().unwrap()["properties"][name] = value;
        self
    }

    pub(crate) fn build(self) -> Arc<Plan> {
        let plan = json!({"nodes": self.nodes, "node_instances": self.instances});
        Arc::new(serde_json::from_value(plan).unwrap())
    }
}

fn full(name: &str) -> String {
    if name.contains('.') {
        name.to_owned()
    } else {
        format!("cloudify.interfaces.lifecycle.{name}")
    }
}

fn operation(name: &str) -> Value {
    json!({"plugin": "p", "operation": format!("p.{}", name.rsplit('.').next().unwrap())})
}

/// What an attempt does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Succeed(Value),
    Fail(ErrorKind),
}

/// Runs an execution to its end, attempt by attempt.
pub(crate) struct Sim {
    pub(crate) plan: Arc<Plan>,
    pub(crate) start: Start,
    pub(crate) execution: Execution,
    pub(crate) now: Timestamp,
    pub(crate) out: VecDeque<Dispatch>,
    pub(crate) wake: Option<Timestamp>,
    /// What was dispatched: `instance operation`, with `#n` for retries.
    pub(crate) calls: Vec<String>,
    pub(crate) told: Vec<String>,
    pub(crate) states: BTreeMap<String, InstanceState>,
    pub(crate) rows: BTreeMap<TaskNumber, Row>,
    pub(crate) finish: Option<Finish>,
    /// All effects but wakes, in order.
    pub(crate) effects: Vec<Effect>,
}

impl Sim {
    pub(crate) fn new(plan: &Arc<Plan>, start: Start) -> Result<Self, Refusal> {
        let execution = Execution::start(Arc::clone(plan), &start)?;
        let states = start.instances.iter().map(|i| (i.id.clone(), i.state)).collect();
        let mut sim = Self {
            plan: Arc::clone(plan),
            start,
            execution,
            now: T0,
            out: VecDeque::new(),
            wake: None,
            calls: Vec::new(),
            told: Vec::new(),
            states,
            rows: BTreeMap::new(),
            finish: None,
            effects: Vec::new(),
        };
        sim.step(Event::Started);
        Ok(sim)
    }

    pub(crate) fn step(&mut self, event: Event) {
        for effect in self.execution.step(event, self.now) {
            match &effect {
                Effect::Save(row) => drop(self.rows.insert(row.task, row.clone())),
                Effect::Dispatch(dispatch) => {
                    if !dispatch.again {
                        self.calls.push(told(dispatch));
                    }
                    self.out.push_back((**dispatch).clone());
                }
                Effect::SetInstanceState { instance, state } => {
                    self.states.insert(instance.clone(), *state);
                }
                Effect::Emit(told) => self.told.push(told.message.clone()),
                Effect::WakeAt(at) => self.wake = Some(*at),
                Effect::Finish(finish) => {
                    assert_eq!(self.finish, None, "an execution ends once");
                    self.finish = Some(finish.clone());
                }
                _ => {}
            }
            if !matches!(effect, Effect::WakeAt(_)) {
                self.effects.push(effect);
            }
        }
    }

    /// Ends the attempt that is out at a place.
    pub(crate) fn settle(&mut self, at: usize, act: Act) {
        let Dispatch { task, retry_number, .. } = self.out.remove(at).unwrap();
        self.step(match act {
            Act::Succeed(result) => Event::OperationSucceeded { task, retry_number, result },
            Act::Fail(kind) => {
                let error = OperationError::new(kind, "Error", "it broke");
                Event::OperationFailed { task, retry_number, error }
            }
        });
    }

    /// Goes on until the end; what attempts do is for `act` to say.
    pub(crate) fn run(&mut self, mut act: impl FnMut(&Dispatch) -> Act) {
        while self.finish.is_none() {
            if let Some(dispatch) = self.out.front() {
                let act = act(dispatch);
                self.settle(0, act);
            } else {
                self.sleep();
            }
        }
    }

    /// Lets time pass until the next wake.
    pub(crate) fn sleep(&mut self) {
        let wake = self.wake.take().expect("an execution with nothing out waits for a time");
        self.now = self.now.max(wake);
        self.step(Event::Woken);
    }

    /// Somebody wants an execution that has ended to go on.
    pub(crate) fn resume(&mut self, resume: Resume) -> Result<(), Refusal> {
        let rows: Vec<Row> = self.rows.values().cloned().collect();
        self.execution = Execution::resume(Arc::clone(&self.plan), &self.start, rows, resume)?;
        self.out.clear();
        self.wake = None;
        self.finish = None;
        self.step(Event::Resumed);
        Ok(())
    }

    /// The manager dies and comes back.
    pub(crate) fn crash(&mut self) {
        let rows: Vec<Row> = self.rows.values().cloned().collect();
        self.execution = Execution::restore(Arc::clone(&self.plan), &self.start, rows).unwrap();
        self.out.clear();
        self.wake = None;
        self.step(Event::Restored { cancelling: None });
    }
}

/// An operation in short.
pub(crate) fn told(dispatch: &Dispatch) -> String {
    let short = dispatch.operation_name.rsplit('.').next().unwrap();
    let side = dispatch.relationship.as_ref().map_or_else(String::new, |relationship| {
        let (source, target) = (&relationship.source_instance, &relationship.target_instance);
        format!(" {source}>{target} {}", relationship.side.as_str())
    });
    let retry = match dispatch.retry_number {
        0 => String::new(),
        number => format!("#{number}"),
    };
    format!("{} {short}{retry}{side}", dispatch.instance)
}

pub(crate) fn start(workflow: &str, plan: &Plan, parameters: Value) -> Start {
    let mut start = Start::new(workflow, plan.node_instances.clone());
    start.parameters = serde_json::from_value(parameters).unwrap();
    start.settings.task_retries = 2;
    start.settings.task_retry_interval = SignedDuration::from_secs(10);
    start
}

/// The instances of a plan, all in one state.
pub(crate) fn all_in(plan: &Plan, state: InstanceState) -> Vec<NodeInstance> {
    plan.node_instances.iter().map(|i| NodeInstance { state, ..i.clone() }).collect()
}

pub(crate) fn ok(_: &Dispatch) -> Act {
    Act::Succeed(Value::Null)
}

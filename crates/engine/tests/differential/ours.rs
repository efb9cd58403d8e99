//! The same run with our engine.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use waggoner_engine::{
    Dispatch, Effect, Event, EventType, Execution, ModificationEnd, RelationshipContext, Side,
    Standing, Start, TaskNumber,
};
use waggoner_types::{ExecutionStatus, OperationError, plan::NodeInstance};

use crate::{Outcome, cases::Run, oracle::Ran, properties};

struct Ours<'a> {
    run: &'a Run,
    execution: Execution,
    now: Timestamp,
    out: VecDeque<Dispatch>,
    wake: Timestamp,
    failed: HashMap<(usize, String), u32>,
    calls: BTreeMap<(String, u32), u32>,
    events: BTreeMap<String, u32>,
    graphs: Vec<BTreeMap<String, Vec<String>>>,
    /// The highest task number of the phases seen.
    seen: Option<TaskNumber>,
    states: BTreeMap<String, String>,
    properties: BTreeMap<String, Map<String, Value>>,
    modification_end: Option<ModificationEnd>,
    status: Option<ExecutionStatus>,
}

pub(crate) fn run(run: &Run, stock: &Ran) -> Outcome {
    let mut start = Start::new(run.workflow, stock.before.clone());
    start.parameters =
        serde_json::from_value(resolved(&run.parameters, &stock.before)).expect("an object");
    start.allow_custom_parameters = true;
    start.modification = stock.modification.clone();
    start.settings.task_retries = run.retries;
    start.settings.task_retry_interval = SignedDuration::ZERO;
    let execution = Execution::start(Arc::new(stock.plan.clone()), &start)
        .unwrap_or_else(|refusal| panic!("{refusal}"));
    let mut ours = Ours {
        run,
        execution,
        now: Timestamp::UNIX_EPOCH,
        out: VecDeque::new(),
        wake: Timestamp::UNIX_EPOCH,
        failed: HashMap::new(),
        calls: BTreeMap::new(),
        events: BTreeMap::new(),
        graphs: Vec::new(),
        seen: None,
        states: stock.before.iter().map(|i| (i.id.clone(), i.state.to_string())).collect(),
        properties: stock
            .before
            .iter()
            .map(|i| (i.id.clone(), i.system_properties.clone()))
            .collect(),
        modification_end: None,
        status: None,
    };
    ours.step(Event::Started);
    while ours.status.is_none() {
        let event = if let Some(dispatch) = ours.out.pop_front() {
            let (task, retry_number) = (dispatch.task, dispatch.retry_number);
            ours.step(Event::OperationStarted { task, retry_number });
            ours.end(&dispatch)
        } else {
            ours.now = ours.now.max(ours.wake);
            Event::Woken
        };
        ours.step(event);
    }
    // What a modification takes away has no state any more.
    let gone = match (&stock.modification, ours.modification_end) {
        (Some(made), Some(ModificationEnd::Finish)) => made.removed.clone(),
        (Some(made), Some(ModificationEnd::RollBack)) => made.added.clone(),
        _ => Vec::new(),
    };
    ours.states.retain(|id, _| !gone.contains(id));
    ours.properties.retain(|id, _| !gone.contains(id));
    Outcome {
        calls: ours.calls,
        events: ours.events,
        graphs: if run.compares_order { ours.graphs } else { Vec::new() },
        states: ours.states,
        properties: properties(ours.properties.iter()),
        has_failed: ours.status == Some(ExecutionStatus::Failed),
    }
}

impl Ours<'_> {
    fn step(&mut self, event: Event) {
        for effect in self.execution.step(event, self.now) {
            match effect {
                Effect::Dispatch(dispatch) => {
                    let call = (word(&dispatch), dispatch.retry_number);
                    *self.calls.entry(call).or_default() += 1;
                    self.out.push_back(*dispatch);
                }
                Effect::SetInstanceState { instance, state } => {
                    self.states.insert(instance, state.to_string());
                }
                Effect::SetSystemProperties { instance, properties } => {
                    self.properties.entry(instance).or_default().extend(properties);
                }
                Effect::EndModification(end) => self.modification_end = Some(end),
                // Local workflows send nothing, they just start.
                Effect::Emit(told)
                    if !matches!(
                        told.event_type,
                        EventType::SendingTask | EventType::WorkflowFailed
                    ) =>
                {
                    *self.events.entry(told.message).or_default() += 1;
                }
                Effect::WakeAt(at) => self.wake = at,
                Effect::Finish(finish) => self.status = Some(finish.status),
                _ => {}
            }
        }
        self.look();
    }

    /// Reads the order of a phase that has just begun.
    fn look(&mut self) {
        let lines = self.execution.explain().lines;
        let is_new = |task| self.seen.is_none_or(|seen| seen < task);
        let lines: Vec<_> = lines.into_iter().filter(|line| is_new(line.task)).collect();
        let Some(last) = lines.iter().map(|line| line.task).max() else { return };
        self.seen = Some(last);

        let name = |instance: &str, operation: &str, relationship: &Option<_>| {
            words(instance, operation, relationship.as_ref())
        };
        let names: HashMap<TaskNumber, String> = lines
            .iter()
            .map(|line| (line.task, name(&line.instance, &line.operation, &line.relationship)))
            .collect();
        let direct: BTreeMap<TaskNumber, Vec<TaskNumber>> = lines
            .iter()
            .map(|line| match &line.standing {
                Standing::Waits { tasks } => (line.task, tasks.clone()),
                _ => (line.task, Vec::new()),
            })
            .collect();
        let graph = direct
            .keys()
            .map(|task| {
                let mut before: Vec<String> =
                    closure(*task, &direct).iter().map(|task| names[task].clone()).collect();
                before.sort();
                (names[task].clone(), before)
            })
            .collect();
        self.graphs.push(graph);
    }

    /// How an attempt ends by the case's book.
    fn end(&mut self, dispatch: &Dispatch) -> Event {
        let (task, retry_number) = (dispatch.task, dispatch.retry_number);
        for (at, fail) in self.run.fail.iter().enumerate() {
            if fail.node == dispatch.node && fail.operation == dispatch.operation_name {
                let times = self.failed.entry((at, word(dispatch))).or_default();
                *times += 1;
                if *times <= fail.times {
                    let error = OperationError::new(fail.kind.kind(), "Error", "it broke");
                    return Event::OperationFailed { task, retry_number, error };
                }
            }
        }
        let result = self.run.results.get(&dispatch.operation_name).cloned();
        Event::OperationSucceeded { task, retry_number, result: result.unwrap_or(json!(true)) }
    }
}

fn closure(task: TaskNumber, direct: &BTreeMap<TaskNumber, Vec<TaskNumber>>) -> Vec<TaskNumber> {
    let mut found: Vec<TaskNumber> = direct[&task].clone();
    let mut next = 0;
    while let Some(before) = found.get(next).copied() {
        for earlier in &direct[&before] {
            if !found.contains(earlier) {
                found.push(*earlier);
            }
        }
        next += 1;
    }
    found
}

fn word(dispatch: &Dispatch) -> String {
    words(&dispatch.instance, &dispatch.operation_name, dispatch.relationship.as_ref())
}

fn words(instance: &str, operation: &str, relationship: Option<&RelationshipContext>) -> String {
    match relationship {
        None => format!("{instance} {operation}"),
        Some(relationship) => {
            let other = match relationship.side {
                Side::Source => &relationship.target_instance,
                Side::Target => &relationship.source_instance,
            };
            format!("{instance} {operation} {} {other}", relationship.side.as_str())
        }
    }
}

/// Puts instance ids in the place of `@node:n`.
fn resolved(value: &Value, instances: &[NodeInstance]) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().map(|(name, item)| (name.clone(), resolved(item, instances))).collect()
        }
        Value::Array(items) => items.iter().map(|item| resolved(item, instances)).collect(),
        Value::String(text) => match text.strip_prefix('@').and_then(|text| text.split_once(':')) {
            Some((node, place)) => {
                let of_node = instances.iter().filter(|instance| instance.node_id == node);
                let mut ids: Vec<&String> = of_node.map(|instance| &instance.id).collect();
                ids.sort();
                json!(ids[place.parse::<usize>().unwrap()])
            }
            None => value.clone(),
        },
        other => other.clone(),
    }
}

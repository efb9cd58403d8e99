//! Why an execution has not ended: what waits for what.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use waggoner_types::plan::Executor;

use crate::{
    Execution, RelationshipContext, TaskNumber, TaskState,
    graph::{Call, TaskIx},
};

/// Everything that an execution still has to do in its phase, in the order of task numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub lines: Vec<Line>,
}

/// One operation that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub task: TaskNumber,
    pub instance: String,
    pub node: String,
    /// The host of the instance, where it has one.
    pub host: Option<String>,
    /// `HostAgent` or `CentralDeploymentAgent`.
    pub executor: Executor,
    pub operation: String,
    /// There for relationship operations.
    pub relationship: Option<RelationshipContext>,
    pub retry_number: u32,
    pub standing: Standing,
}

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is out.
    Running { state: TaskState, since: Timestamp },
    /// It is tried again then.
    Retry { not_before: Timestamp },
    /// It may run, but as many as may are out.
    Queued,
    /// It waits for these operations, directly.
    Waits { tasks: Vec<TaskNumber> },
    /// An operation it needs has failed: it will not run.
    Lost,
}

/// An operation of the task graph, done or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub number: TaskNumber,
    pub instance: String,
    pub operation: String,
    /// There for relationship operations.
    pub relationship: Option<RelationshipContext>,
    pub retry_number: u32,
    pub state: TaskState,
    /// The operations that come directly before it.
    pub after: Vec<TaskNumber>,
}

/// Which tasks are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    All,
    Open,
}

// === impl Execution ===

impl Execution {
    /// Says what is not done and why. Costs a walk over the whole graph.
    pub fn explain(&self) -> Explanation {
        let before = self.before(Which::Open);
        let queued: BTreeSet<TaskIx> = self.ready().collect();
        let mut lines = Vec::new();
        for (task, call) in self.calls(Which::Open) {
            if call.state.is_end() {
                continue;
            }
            let standing = match call.state {
                state @ (TaskState::Sent | TaskState::Started) => {
                    Standing::Running { state, since: call.since }
                }
                TaskState::Rescheduled => {
                    Standing::Retry { not_before: call.not_before.unwrap_or(call.since) }
                }
                _ if queued.contains(&task) => Standing::Queued,
                _ => match before.get(&task) {
                    Some(tasks) if !tasks.is_empty() && !self.graph().is_dead(task) => {
                        Standing::Waits { tasks: self.numbers(tasks) }
                    }
                    _ => Standing::Lost,
                },
            };
            lines.push(Line {
                task: self.graph().task(task).number,
                instance: self.world().instance(call.instance).id.clone(),
                node: self.world().node(call.instance).id.clone(),
                host: self.world().instance(call.instance).host.clone(),
                executor: call.executor(call.operation(self.world()), self.world()),
                operation: call.name.clone().into_owned(),
                relationship: call.relationship(self.world()),
                retry_number: call.retry_number,
                standing,
            });
        }
        lines.sort_by_key(|line| line.task);
        Explanation { lines }
    }

    /// All operations of the phases that have begun, in the order of task numbers, to be drawn.
    /// Costs a walk over the whole graph.
    pub fn tasks(&self) -> Vec<Task> {
        let before = self.before(Which::All);
        let mut tasks: Vec<Task> = self
            .calls(Which::All)
            .map(|(task, call)| Task {
                number: self.graph().task(task).number,
                instance: self.world().instance(call.instance).id.clone(),
                operation: call.name.clone().into_owned(),
                relationship: call.relationship(self.world()),
                retry_number: call.retry_number,
                state: call.state,
                after: before.get(&task).map(|tasks| self.numbers(tasks)).unwrap_or_default(),
            })
            .collect();
        tasks.sort_by_key(|task| task.number);
        tasks
    }

    fn calls(&self, which: Which) -> impl Iterator<Item = (TaskIx, &Call)> {
        let tasks = self.graph().since(0);
        let tasks = tasks.filter(move |(_, task)| which == Which::All || !task.is_done);
        tasks.filter_map(|(task, _)| Some((task, self.graph().call(task)?)))
    }

    fn numbers(&self, tasks: &BTreeSet<TaskIx>) -> Vec<TaskNumber> {
        let mut numbers: Vec<TaskNumber> =
            tasks.iter().map(|task| self.graph().task(*task).number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// For each task the operations nearest before it.
    fn before(&self, which: Which) -> BTreeMap<TaskIx, BTreeSet<TaskIx>> {
        let graph = self.graph();
        let mut left: BTreeMap<TaskIx, u32> = BTreeMap::new();
        let open = |task: TaskIx| which == Which::All || !graph.task(task).is_done;
        for (task, from) in graph.since(0).filter(|(task, _)| open(*task)) {
            left.entry(task).or_default();
            for then in from.then.iter().filter(|then| open(**then)) {
                *left.entry(*then).or_default() += 1;
            }
        }
        let mut free: Vec<TaskIx> =
            left.iter().filter(|(_, count)| **count == 0).map(|(task, _)| *task).collect();
        let mut found: BTreeMap<TaskIx, BTreeSet<TaskIx>> = BTreeMap::new();
        while let Some(task) = free.pop() {
            let before: BTreeSet<TaskIx> = if graph.call(task).is_some() {
                BTreeSet::from([task])
            } else {
                found.get(&task).cloned().unwrap_or_default()
            };
            for then in &graph.task(task).then {
                if let Some(count) = left.get_mut(then) {
                    found.entry(*then).or_default().extend(&before);
                    *count -= 1;
                    if *count == 0 {
                        free.push(*then);
                    }
                }
            }
        }
        found
    }
}

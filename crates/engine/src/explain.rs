//! Why an execution has not ended: what waits for what.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{Execution, RelationshipContext, TaskNumber, TaskState, graph::TaskIx};

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

// === impl Execution ===

impl Execution {
    /// Says what is not done and why. Costs a walk over the whole graph.
    pub fn explain(&self) -> Explanation {
        let waits_for = self.waits_for();
        let queued: BTreeSet<TaskIx> = self.ready().collect();
        let mut lines = Vec::new();
        let open = self.graph().since(0).filter(|(_, task)| !task.is_done);
        for (task, call) in open.filter_map(|(task, _)| Some((task, self.graph().call(task)?))) {
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
                _ => match waits_for.get(&task) {
                    Some(tasks) if !tasks.is_empty() && !self.graph().is_dead(task) => {
                        let number = |task: &TaskIx| self.graph().task(*task).number;
                        Standing::Waits { tasks: tasks.iter().map(number).collect() }
                    }
                    _ => Standing::Lost,
                },
            };
            lines.push(Line {
                task: self.graph().task(task).number,
                instance: self.world().instance(call.instance).id.clone(),
                operation: call.name.clone().into_owned(),
                relationship: call.relationship(self.world()),
                retry_number: call.retry_number,
                standing,
            });
        }
        lines.sort_by_key(|line| line.task);
        Explanation { lines }
    }

    /// For each open task the open operations nearest before it.
    fn waits_for(&self) -> BTreeMap<TaskIx, BTreeSet<TaskIx>> {
        let graph = self.graph();
        let mut found: BTreeMap<TaskIx, BTreeSet<TaskIx>> = BTreeMap::new();
        let mut left: BTreeMap<TaskIx, u32> = BTreeMap::new();
        let mut free = Vec::new();
        for (task, open) in graph.since(0).filter(|(_, task)| !task.is_done) {
            if open.waits_for == 0 {
                free.push(task);
            }
            left.insert(task, open.waits_for);
        }
        while let Some(task) = free.pop() {
            let before: BTreeSet<TaskIx> = if graph.call(task).is_some() {
                BTreeSet::from([task])
            } else {
                found.get(&task).cloned().unwrap_or_default()
            };
            for then in &graph.task(task).then {
                found.entry(*then).or_default().extend(&before);
                if let Some(count) = left.get_mut(then) {
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

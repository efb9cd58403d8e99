//! The task graph of an execution, as a picture.
//!
//! ```text
//!  tasks ──▶ TaskGraph ──▶ text: a line for each operation, in the order they may run
//!                    └───▶ svg:  a row for each step, what waits below what it waits for
//! ```

use std::collections::HashMap;

use serde_json::{Value, json};
use waggoner_proto::v1::{Execution, ExecutionTask, GetExecutionGraphResponse};

use crate::record::Record as _;

mod svg;
mod text;

/// The operations of an execution, and what comes before what.
#[derive(Debug)]
pub(crate) struct TaskGraph {
    execution: Execution,
    tasks: Vec<ExecutionTask>,
    /// The places of the tasks directly before each.
    before: Vec<Vec<usize>>,
    /// How many tasks come one after the other before each, at the most.
    depth: Vec<usize>,
}

// === impl TaskGraph ===

impl TaskGraph {
    pub(crate) fn of(answer: &GetExecutionGraphResponse) -> Self {
        let GetExecutionGraphResponse { execution, tasks } = answer;
        let places: HashMap<u64, usize> =
            tasks.iter().enumerate().map(|(place, task)| (task.number, place)).collect();
        let before: Vec<Vec<usize>> = tasks
            .iter()
            .map(|task| {
                task.after.iter().filter_map(|number| places.get(number)).copied().collect()
            })
            .collect();
        let depth = depths(&before);
        Self {
            execution: execution.clone().unwrap_or_default(),
            tasks: tasks.clone(),
            before,
            depth,
        }
    }

    /// The graph for programs.
    pub(crate) fn shape(&self) -> Value {
        let tasks = self.tasks.iter().map(|task| {
            let ExecutionTask {
                number,
                node_instance_id,
                operation,
                target_id,
                retry_number,
                state,
                after,
            } = task;
            json!({
                "number": number,
                "node_instance_id": node_instance_id,
                "operation": operation,
                "target_id": target_id,
                "retry_number": retry_number,
                "state": state,
                "after": after,
            })
        });
        json!({ "execution": self.execution.shape(), "tasks": tasks.collect::<Vec<_>>() })
    }

    /// The places of the tasks, each behind all that come before it.
    fn in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.tasks.len()).collect();
        order.sort_by_key(|place| (self.depth[*place], self.tasks[*place].number));
        order
    }
}

/// `vm_1a2b.create`, `app_1a2b->vm_3c4d.establish`.
fn name(task: &ExecutionTask) -> String {
    let operation = task.operation.rsplit('.').next().unwrap_or(&task.operation);
    match task.target_id.as_str() {
        "" => format!("{}.{operation}", task.node_instance_id),
        target => format!("{}->{target}.{operation}", task.node_instance_id),
    }
}

/// How deep each task lies. What the manager tells has no circles; if it had, their tasks would
/// lie at the top.
fn depths(before: &[Vec<usize>]) -> Vec<usize> {
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); before.len()];
    let mut left: Vec<usize> = before.iter().map(Vec::len).collect();
    for (place, earlier) in before.iter().enumerate() {
        for one in earlier {
            after[*one].push(place);
        }
    }
    let mut depth = vec![0; before.len()];
    let mut free: Vec<usize> = (0..before.len()).filter(|place| left[*place] == 0).collect();
    while let Some(place) = free.pop() {
        for next in &after[place] {
            depth[*next] = depth[*next].max(depth[place] + 1);
            left[*next] -= 1;
            if left[*next] == 0 {
                free.push(*next);
            }
        }
    }
    depth
}

#[cfg(test)]
mod tests;

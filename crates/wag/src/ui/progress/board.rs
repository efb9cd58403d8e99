//! What is known of an execution: pure.

use std::collections::VecDeque;

use indexmap::IndexMap;
use owo_colors::OwoColorize as _;
use waggoner_proto::v1::{Event, NodeInstance};

use crate::ui::{
    Clock, event_line,
    line::{printable, short},
};

/// How many log lines of a failed operation are shown.
const TAIL: usize = 10;

/// How many node instances are shown all the time. Of more, only those that run something.
const ROWS: usize = 40;

/// How many operations' last log lines are kept. More never run at once on one execution's board
/// than a person could read.
const TAILS: usize = 256;

/// The node instances of an execution, and the last log lines of its operations.
#[derive(Debug)]
pub(super) struct Board {
    rows: IndexMap<String, Row>,
    tails: IndexMap<String, VecDeque<String>>,
    is_live: bool,
    logs: bool,
}

/// A node instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub id: String,
    pub state: String,
    /// The operations that run on it now, each by the last part of its name.
    pub operations: Vec<String>,
    pub has_failed: bool,
}

// === impl Board ===

impl Board {
    /// A board that keeps quiet about what its rows show where `is_live`.
    pub(super) fn new(is_live: bool, logs: bool) -> Self {
        Self { rows: IndexMap::new(), tails: IndexMap::new(), is_live, logs }
    }

    /// The rows to show.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let is_crowded = self.is_crowded();
        self.rows.values().filter(|row| !is_crowded || !row.operations.is_empty()).collect()
    }

    /// Whether there are more node instances than a person could watch.
    pub(super) fn is_crowded(&self) -> bool {
        self.rows.len() > ROWS
    }

    /// Takes an event, and returns the lines that it is worth.
    pub(super) fn apply(&mut self, event: &Event, clock: &Clock) -> Vec<String> {
        let line = || event_line(event, clock);
        match event.event_type.as_str() {
            "" => {
                self.keep(event);
                if self.logs { vec![line()] } else { Vec::new() }
            }
            "sending_task" => Vec::new(),
            "task_started" => {
                self.start(event);
                self.unless_live(line)
            }
            "task_succeeded" | "task_rescheduled" => {
                self.end(event, false);
                self.unless_live(line)
            }
            "task_failed" => {
                self.end(event, true);
                let mut lines = vec![line()];
                lines.extend(self.tail(event));
                lines
            }
            // Whoever watches says how the execution ended, and why.
            "workflow_failed" => Vec::new(),
            "workflow_cancelled" => vec![line()],
            _ => self.unless_live(line),
        }
    }

    /// Takes the node instances as they are now.
    pub(super) fn states(&mut self, node_instances: &[NodeInstance]) {
        for node_instance in node_instances {
            self.row(&node_instance.id).state.clone_from(&node_instance.state);
        }
    }

    fn unless_live(&self, line: impl Fn() -> String) -> Vec<String> {
        if self.is_live { Vec::new() } else { vec![line()] }
    }

    fn row(&mut self, id: &str) -> &mut Row {
        self.rows
            .entry(id.to_owned())
            .or_insert_with(|| Row { id: id.to_owned(), ..Row::default() })
    }

    fn start(&mut self, event: &Event) {
        if event.node_instance_id.is_empty() {
            return;
        }
        let operation = short(&event.operation).to_owned();
        self.row(&event.node_instance_id).operations.push(operation);
    }

    fn end(&mut self, event: &Event, has_failed: bool) {
        if event.node_instance_id.is_empty() {
            return;
        }
        let operation = short(&event.operation);
        let row = self.row(&event.node_instance_id);
        if let Some(at) = row.operations.iter().position(|running| running == operation) {
            row.operations.remove(at);
        }
        row.has_failed = has_failed;
    }

    fn keep(&mut self, event: &Event) {
        let tail = self.tails.entry(key(event)).or_default();
        tail.extend(event.message.lines().map(printable));
        tail.drain(..tail.len().saturating_sub(TAIL));
        if self.tails.len() > TAILS {
            self.tails.shift_remove_index(0);
        }
    }

    /// The last log lines of what failed, unless they were shown already.
    fn tail(&mut self, event: &Event) -> Vec<String> {
        let tail = self.tails.shift_remove(&key(event)).unwrap_or_default();
        if self.logs {
            return Vec::new();
        }
        tail.into_iter().map(|line| format!("    {} {line}", "|".dimmed())).collect()
    }
}

/// What the log lines and the events of one operation have in common. The events of a task do not
/// name the attempt, nor the target.
fn key(event: &Event) -> String {
    let Event { node_instance_id, operation, .. } = event;
    format!("{node_instance_id} {operation}")
}

#[cfg(test)]
mod tests;

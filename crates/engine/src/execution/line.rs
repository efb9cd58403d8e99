//! The operations that may be sent, in the order in which they are.
//!
//! What has begun goes on before anything new begins: fewer instances are half done at a time,
//! and what the engine looks at stays in the processor's caches.

use std::collections::VecDeque;

use crate::graph::{Graph, TaskIx};

#[derive(Debug, Default)]
pub(super) struct Line {
    /// Of groups of which an operation was sent.
    begun: VecDeque<TaskIx>,
    fresh: VecDeque<TaskIx>,
}

// === impl Line ===

impl Line {
    pub(super) fn push(&mut self, task: TaskIx, graph: &Graph) {
        let has_begun = graph.group(graph.task(task).group).has_begun;
        if has_begun { &mut self.begun } else { &mut self.fresh }.push_back(task);
    }

    pub(super) fn pop(&mut self) -> Option<TaskIx> {
        self.begun.pop_front().or_else(|| self.fresh.pop_front())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.fresh.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = TaskIx> {
        self.begun.iter().chain(&self.fresh).copied()
    }

    pub(super) fn retain(&mut self, mut stays: impl FnMut(TaskIx) -> bool) {
        self.begun.retain(|task| stays(*task));
        self.fresh.retain(|task| stays(*task));
    }
}

//! How an execution goes on, and what stops it.

use super::{Execution, Turn, turn::later};
use crate::{Effect, TaskState};

// === impl Execution ===

impl Execution {
    /// Goes as far as it gets without anything happening outside.
    pub(super) fn advance(&mut self, turn: &mut Turn) {
        loop {
            self.close_if_late(turn);
            self.wake_due(turn);
            self.work(turn);
            self.send(turn);
            if self.killed_by.is_some_and(|latest| latest <= turn.now) {
                self.finish_cancelled(turn);
                return;
            }
            if !self.is_quiet() || self.conclude(turn) {
                return;
            }
        }
    }

    /// Nothing more is sent in this phase; what is out comes back.
    pub(super) fn close(&mut self, turn: &mut Turn) {
        self.is_closed = true;
        self.work(turn);
        let waiting = std::mem::take(&mut self.timers).into_iter().map(|(_, task)| task);
        let ready = std::mem::take(&mut self.ready);
        for task in waiting.chain(ready.iter()) {
            if !self.graph.is_dead(task) {
                self.end(task, TaskState::Dropped, turn);
            }
        }
    }

    /// Names the next time at which something is due, if it is another one than before.
    pub(super) fn wish(&mut self, turn: &mut Turn) {
        let retry = self.timers.first().map(|(due, _)| *due);
        let late = if self.is_closed { None } else { self.late() };
        let next = [retry, late, self.killed_by].into_iter().flatten().min();
        if let Some(at) = next
            && self.wake != next
        {
            turn.effects.push(Effect::WakeAt(at));
        }
        self.wake = next;
    }

    fn wake_due(&mut self, turn: &Turn) {
        if turn.is_replay {
            return;
        }
        while let Some((due, task)) = self.timers.first().copied()
            && due <= turn.now
        {
            self.timers.pop_first();
            let group = self.graph.task(task).group;
            self.graph.group_mut(group).waiting.retain(|other| *other != task);
            self.ready.push(task, &self.graph);
        }
    }

    fn close_if_late(&mut self, turn: &mut Turn) {
        if !turn.is_replay && !self.is_closed && self.late().is_some_and(|late| late <= turn.now) {
            self.close(turn);
        }
    }

    /// When operations that do not depend on the first failure are no longer started.
    fn late(&self) -> Option<jiff::Timestamp> {
        let first = self.errors.iter().map(|task| self.call(*task).since).min()?;
        Some(later(first, self.settings.wait_after_fail))
    }

    fn is_quiet(&self) -> bool {
        self.running.is_empty()
            && self.timers.is_empty()
            && self.ready.is_empty()
            && self.worklist.is_empty()
            && self.held.is_empty()
    }
}

//! What takes no time: the states and events between operations, and the fate of groups.

use super::{Execution, Turn, settle::node_event};
use crate::{
    Effect, EventType, Row, TaskState, Told,
    graph::{Action, Group, GroupIx, Rule, Task, TaskIx, Work},
    workflow::{Site, again},
};

// === impl Execution ===

impl Execution {
    /// Marks a task as done and lets what waits for it come closer.
    pub(super) fn complete(&mut self, task: TaskIx, turn: &mut Turn) {
        if self.graph.is_dead(task) {
            self.graph.task_mut(task).is_done = true;
        } else {
            self.release(task, turn);
        }
    }

    fn release(&mut self, task: TaskIx, turn: &mut Turn) {
        self.graph.task_mut(task).is_done = true;
        for at in 0..self.graph.task(task).then.len() {
            let then = self.graph.task(task).then[at];
            let next = self.graph.task_mut(then);
            next.waits_for -= 1;
            if next.waits_for == 0 {
                self.freed(then, turn);
            }
        }
    }

    /// A task waits for nothing any more.
    fn freed(&mut self, task: TaskIx, turn: &mut Turn) {
        let Task { work, number, .. } = self.graph.task(task);
        let is_call = matches!(work, Work::Call(_));
        if !is_call || self.settings.dry_run || self.replay.contains_key(number) {
            self.worklist.push_back(task);
        } else if self.graph.is_dead(task) {
            // The group has failed: it is never sent.
        } else if self.is_closed {
            self.end(task, TaskState::Dropped, turn);
        } else {
            self.ready.push(task, &self.graph);
        }
    }

    /// Does all that takes no time, and then buries groups whose last operations are back.
    pub(super) fn work(&mut self, turn: &mut Turn) {
        loop {
            while let Some(task) = self.worklist.pop_front() {
                self.perform(task, turn);
            }
            let dying = std::mem::take(&mut self.dying);
            let (dead, dying) =
                dying.into_iter().partition(|group| self.graph.group(*group).running == 0);
            self.dying = dying;
            let dead: Vec<GroupIx> = dead;
            if dead.is_empty() {
                return;
            }
            for group in dead {
                self.bury(group, turn);
            }
        }
    }

    fn perform(&mut self, task: TaskIx, turn: &mut Turn) {
        if self.graph.call(task).is_some()
            && let Some(row) = self.replay.remove(&self.graph.task(task).number)
        {
            self.again(task, row, turn);
            return;
        }
        if self.graph.is_dead(task) {
            return;
        }
        match &mut self.graph.task_mut(task).work {
            Work::Begin | Work::End => {}
            Work::Local(actions) => {
                for action in std::mem::take(actions) {
                    self.act(action, turn);
                }
            }
            Work::Call(_) => {
                self.tell_task(task, EventType::TaskSucceeded, "Task succeeded", "", turn);
                self.end(task, TaskState::Succeeded, turn);
            }
        }
        self.complete(task, turn);
    }

    fn act(&mut self, action: Action, turn: &mut Turn) {
        match action {
            Action::SetState(instance, state) if !self.settings.dry_run => {
                let instance = self.world.instance_mut(instance);
                instance.state = state;
                let instance = instance.id.clone();
                turn.effects.push(Effect::SetInstanceState { instance, state });
            }
            Action::SetState(..) => {}
            Action::SetHealed(instance) => self.note_healed(instance, turn),
            Action::SetUpdated(instance) => self.note_updated(instance, turn),
            Action::Tell(instance, text) => {
                let instance = Some(self.world.instance(instance).id.clone());
                turn.emit(Told { instance, ..node_event(text.into_owned()) });
            }
        }
    }

    /// Decides what becomes of a group that has failed and is still.
    fn bury(&mut self, group: GroupIx, turn: &mut Turn) {
        let Group { rule, instance, end, failed, .. } = *self.graph.group(group);
        match rule {
            Rule::Reinstall | Rule::Uninstall
                if self.has_lives(group) && self.may_renew(group, turn) =>
            {
                let begin = self.graph.renew(group);
                let mut site = Site { graph: &mut self.graph, world: &self.world };
                again(instance, group, rule, &mut site);
                self.graph.leave_block();
                self.worklist.push_back(begin);
            }
            Rule::Note => {
                self.noted.insert(instance);
                self.release(end, turn);
            }
            Rule::Reinstall | Rule::Uninstall | Rule::Fail => self.errors.extend(failed),
        }
    }

    /// Says whether a group may begin another round after this one; for ever means some 2,000
    /// times.
    pub(super) fn has_lives(&self, group: GroupIx) -> bool {
        let round = self.graph.group(group).round;
        let total = self.settings.subgraph_retries;
        self.graph.has_blocks(group) && (total < 0 || i64::from(round) < total)
    }

    /// Says whether a row tells that this round of a group was its last because of a close.
    pub(super) fn was_closed(&self, group: GroupIx) -> bool {
        let Group { end, round, .. } = *self.graph.group(group);
        let row = self.replay.get(&self.graph.task(end).number);
        row.is_some_and(|row| {
            row.state == TaskState::Dropped && row.retry_number == u32::from(round)
        })
    }

    /// A group that is not renewed because the execution is closing keeps that, in a row of its
    /// end: closing depends on the clock, and a restore has to decide the same.
    fn may_renew(&mut self, group: GroupIx, turn: &mut Turn) -> bool {
        if self.was_closed(group) {
            return false;
        }
        let end = self.graph.group(group).end;
        let task = self.graph.task(end).number;
        if self.is_closed {
            let since = turn.now;
            turn.effects.push(Effect::Save(Row {
                task,
                state: TaskState::Dropped,
                retry_number: u32::from(self.graph.group(group).round),
                since,
                not_before: None,
                failure: None,
                result: None,
                resumed_at: 0,
                cleanups: 0,
            }));
        }
        !self.is_closed
    }
}

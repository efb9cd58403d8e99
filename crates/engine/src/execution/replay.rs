//! How an execution comes back: its graph is built again, and its rows say how far it was.

use std::sync::Arc;

use waggoner_types::plan::Plan;

use super::{Execution, Turn};
use crate::{
    Refusal, Row, Start, TaskState,
    graph::{Rule, TaskIx},
    workflow::{Steps, cleanup},
};

/// Which operations of an execution that has ended are run once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Those that failed and those that were not sent any more. Those that are out are awaited.
    Unfinished,
    /// Also those that are out: nothing is expected of them.
    Force,
}

// === impl Execution ===

impl Execution {
    /// Brings an execution back to where its rows left it. It goes on with
    /// [`crate::Event::Restored`].
    pub fn restore(
        plan: Arc<Plan>,
        start: &Start,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<Self, Refusal> {
        Self::replay(plan, start, rows, None)
    }

    /// Lets an execution that failed or was cancelled go on. It does so with
    /// [`crate::Event::Resumed`]. The retries of what is run once more count anew.
    pub fn resume(
        plan: Arc<Plan>,
        start: &Start,
        rows: impl IntoIterator<Item = Row>,
        resume: Resume,
    ) -> Result<Self, Refusal> {
        Self::replay(plan, start, rows, Some(resume))
    }

    fn replay(
        plan: Arc<Plan>,
        start: &Start,
        rows: impl IntoIterator<Item = Row>,
        resuming: Option<Resume>,
    ) -> Result<Self, Refusal> {
        let mut execution = Self::start(plan, start)?;
        if resuming.is_some() && execution.workflow.modification_end(false).is_some() {
            let reason = "its deployment modification was taken back";
            return Err(Refusal::NotResumable { workflow: execution.name, reason });
        }
        execution.replay = rows.into_iter().map(|row| (row.task, row)).collect();
        execution.resuming = resuming;
        // What is done again here was persisted with the rows: nobody needs to hear of it.
        let mut unheard = Turn::replay();
        execution.advance(&mut unheard);
        execution.forget_closings();
        execution.resuming = None;
        match execution.replay.keys().min() {
            None => Ok(execution),
            Some(task) => Err(Refusal::Inconsistent(format!(
                "workflow `{}` has no task {task}, of which there is a row",
                execution.name
            ))),
        }
    }

    /// Takes a task from its row.
    pub(super) fn again(&mut self, task: TaskIx, mut row: Row, turn: &mut Turn) {
        let is_reset = self.is_reset(task, &row);
        if is_reset {
            // An attempt has its number for ever: the next one gets the next.
            let was_made = row.state.is_running() || row.state == TaskState::Failed;
            row.retry_number += u32::from(was_made);
            row.resumed_at = row.retry_number;
            row.state = TaskState::Pending;
            row.not_before = None;
            row.failure = None;
            row.result = None;
            let has_cleanup = self.cleanup(task).is_some();
            row.cleanups += u32::from(has_cleanup);
            self.reset.push(row.clone());
        }
        let cleanups = row.cleanups - self.call(task).cleanups;
        if cleanups > 0 {
            self.clean_up_before(task, cleanups, is_reset);
            self.call_mut(task).cleanups = row.cleanups;
            if row.state != TaskState::Pending {
                // It is taken from its row when it is reached, behind what clears away.
                self.replay.insert(row.task, row);
                return;
            }
        }
        let call = self.call_mut(task);
        call.state = row.state;
        call.retry_number = row.retry_number;
        call.resumed_at = row.resumed_at;
        call.since = row.since;
        call.not_before = row.not_before;
        call.failure = row.failure.map(Box::new);
        call.result = row.result.map(Box::new);
        match row.state {
            // It is reached behind what clears away.
            TaskState::Pending if cleanups > 0 => {}
            TaskState::Pending => self.ready.push(task, &self.graph),
            TaskState::Sent | TaskState::Started => self.join(task),
            // A sibling had failed: it was not tried again.
            TaskState::Rescheduled if self.graph.is_dead(task) => {}
            TaskState::Rescheduled => {
                let due = row.not_before.unwrap_or(row.since);
                self.call_mut(task).not_before = Some(due);
                self.wait_until(due, task);
            }
            TaskState::Succeeded => {
                self.note(task, turn);
                self.complete(task, turn);
            }
            TaskState::Failed => {
                self.note(task, turn);
                if self.call(task).handler.passes_over() {
                    self.pass_over(task, turn);
                } else {
                    self.lose(task);
                }
            }
            TaskState::Dropped => {}
        }
    }

    /// What has to be cleared away before a step of an installation is taken once more.
    fn cleanup(&self, task: TaskIx) -> Option<Steps> {
        let group = self.graph.group(self.graph.task(task).group);
        let call = self.call(task);
        let is_own = group.rule == Rule::Reinstall
            && call.instance == group.instance
            && self.graph.has_blocks(self.graph.task(task).group);
        if is_own { cleanup(group.instance, &call.name, &self.world) } else { None }
    }

    /// Lets a task wait for groups that clear away, one after the other. The last one is new if
    /// the task was reset just now: it does not begin before somebody hears of it.
    fn clean_up_before(&mut self, task: TaskIx, count: u32, is_reset: bool) {
        let mut earlier = None;
        for left in (0..count).rev() {
            let Some(steps) = self.cleanup(task) else { return };
            let group = self.graph.add_group_before(task);
            steps.extend(&mut self.graph, group);
            self.graph.seal(group);
            self.graph.leave_block();
            let begin = self.graph.group(group).begin;
            match earlier {
                _ if left == 0 && is_reset => self.held.push_back(begin),
                None => self.worklist.push_back(begin),
                Some(end) => self.graph.wait(begin, end),
            }
            earlier = Some(self.graph.group(group).end);
        }
    }

    /// Says whether a resume takes back what a row says.
    fn is_reset(&self, task: TaskIx, row: &Row) -> bool {
        let Some(resume) = self.resuming else { return false };
        match row.state {
            TaskState::Pending | TaskState::Succeeded => false,
            TaskState::Sent | TaskState::Started => resume == Resume::Force,
            TaskState::Rescheduled | TaskState::Dropped => true,
            TaskState::Failed => !self.went_on(task),
        }
    }

    /// Says whether the execution went on after the failure of a task.
    fn went_on(&self, task: TaskIx) -> bool {
        let of_task = self.graph.task(task).group;
        let group = self.graph.group(of_task);
        match group.rule {
            _ if self.call(task).handler.passes_over() => true,
            Rule::Note => true,
            Rule::Reinstall | Rule::Uninstall => {
                self.has_lives(of_task) && !self.was_closed(of_task)
            }
            Rule::Fail => false,
        }
    }

    /// Rows of the ends of groups say that a group was not renewed. Where it did not come to
    /// that again, they are to be taken back.
    fn forget_closings(&mut self) {
        let graph = &self.graph;
        let closings = self.replay.extract_if(|task, row| {
            let is_closing = matches!(row.state, TaskState::Dropped | TaskState::Pending);
            is_closing && graph.find(*task).is_none()
        });
        let closings: Vec<Row> = closings.map(|(_, row)| row).collect();
        if self.resuming.is_some() {
            let pending = |row| Row { state: TaskState::Pending, ..row };
            self.reset.extend(closings.into_iter().map(pending));
        }
    }
}

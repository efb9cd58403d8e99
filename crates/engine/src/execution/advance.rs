//! How an execution goes on: what is ready is sent, what takes no time is done, phases follow
//! each other.

use waggoner_types::ExecutionStatus;

use super::{Execution, Turn, settle::node_event, turn::later};
use crate::{
    Dispatch, Effect, EventType, Failure, Finish, Row, TaskState, Told,
    graph::{Action, GroupIx, Rule, Task, TaskIx, Work},
    message,
    workflow::{Next, Site, again},
};

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
        for task in waiting.chain(ready) {
            if !self.graph.is_dead(task) {
                self.end(task, TaskState::Dropped, turn);
            }
        }
    }

    pub(super) fn finish_cancelled(&mut self, turn: &mut Turn) {
        let message = format!("'{}' workflow execution cancelled", self.name);
        turn.tell(EventType::WorkflowCancelled, message);
        self.finish(ExecutionStatus::Cancelled, None, turn);
    }

    /// Marks a task as done and lets what waits for it come closer.
    pub(super) fn complete(&mut self, task: TaskIx, turn: &mut Turn) {
        if self.graph.is_dead(task) {
            self.graph.task_mut(task).is_done = true;
            return;
        }
        let done = self.graph.task_mut(task);
        done.is_done = true;
        for then in std::mem::take(&mut done.then) {
            let next = self.graph.task_mut(then);
            next.waits_for -= 1;
            if next.waits_for == 0 {
                self.freed(then, turn);
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

    pub(super) fn dispatch_again(&self, task: TaskIx, turn: &mut Turn) {
        turn.effects.push(Effect::Dispatch(Box::new(self.dispatch(task, true))));
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
            self.ready.push_back(task);
        }
    }

    /// Takes a task from its row.
    fn again(&mut self, task: TaskIx, row: Row, turn: &mut Turn) {
        let call = self.call_mut(task);
        call.state = row.state;
        call.retry_number = row.retry_number;
        call.since = row.since;
        call.not_before = row.not_before;
        call.failure = row.failure;
        call.result = row.result;
        match row.state {
            TaskState::Pending => self.ready.push_back(task),
            TaskState::Sent | TaskState::Started => self.join(task),
            TaskState::Rescheduled => {
                let due = row.not_before.unwrap_or(row.since);
                self.call_mut(task).not_before = Some(due);
                self.wait_until(due, task);
            }
            TaskState::Succeeded => self.complete(task, turn),
            TaskState::Failed if self.call(task).handler.passes_over() => {
                self.pass_over(task, turn);
            }
            TaskState::Failed => self.lose(task),
            TaskState::Dropped => {}
        }
    }

    /// Does all that takes no time, and then buries groups whose last operations are back.
    fn work(&mut self, turn: &mut Turn) {
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
            Action::Tell(instance, text) => {
                let instance = Some(self.world.instance(instance).id.clone());
                turn.emit(Told { instance, ..node_event(text.into_owned()) });
            }
        }
    }

    /// Decides what becomes of a group that has failed and is still.
    fn bury(&mut self, group: GroupIx, turn: &mut Turn) {
        let (rule, round, instance) = {
            let group = self.graph.group(group);
            (group.rule, group.round, group.instance)
        };
        let total = self.settings.subgraph_retries;
        let is_left = (total < 0 || i64::from(round) < total) && round < i16::MAX as u16;
        if matches!(rule, Rule::Reinstall | Rule::Uninstall)
            && is_left
            && self.may_renew(group, turn)
        {
            let begin = self.graph.renew(group);
            let mut site = Site { graph: &mut self.graph, world: &self.world };
            again(instance, group, rule, &mut site);
            self.graph.renewed();
            self.worklist.push_back(begin);
        } else if let Some(task) = self.graph.group(group).failed {
            self.errors.push(task);
        }
    }

    /// A group that is not renewed because the execution is closing keeps that, in a row of its
    /// end: closing depends on the clock, and a restore has to decide the same.
    fn may_renew(&mut self, group: GroupIx, turn: &mut Turn) -> bool {
        let end = self.graph.group(group).end;
        let task = self.graph.task(end).number;
        if self.replay.remove(&task).is_some() {
            return false;
        }
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
            }));
        }
        !self.is_closed
    }

    fn send(&mut self, turn: &mut Turn) {
        if turn.is_replay {
            return;
        }
        while self.running.len() < self.settings.max_in_flight.max(1) {
            let Some(task) = self.ready.pop_front() else { return };
            if self.graph.is_dead(task) {
                continue;
            }
            let call = self.call_mut(task);
            call.state = TaskState::Sent;
            call.since = turn.now;
            call.not_before = None;
            self.join(task);
            self.tell_task(task, EventType::SendingTask, "Sending task", "", turn);
            self.save(task, turn);
            turn.effects.push(Effect::Dispatch(Box::new(self.dispatch(task, false))));
        }
    }

    fn dispatch(&self, task: TaskIx, again: bool) -> Dispatch {
        let call = self.call(task);
        let mut operation = call.operation(&self.world).clone();
        if let Some(inputs) = &call.inputs {
            let inputs = inputs.iter().map(|(name, value)| (name.clone(), value.clone()));
            operation.inputs.extend(inputs);
        }
        Dispatch {
            task: self.graph.task(task).number,
            retry_number: call.retry_number,
            total_retries: self.total_retries(task),
            again,
            instance: self.world.instance(call.instance).id.clone(),
            node: self.world.node(call.instance).id.clone(),
            host: self.world.instance(call.instance).host.clone(),
            executor: call.executor(&self.world),
            operation_name: call.name.clone().into_owned(),
            operation,
            relationship: call.relationship(&self.world),
        }
    }

    fn wake_due(&mut self, turn: &Turn) {
        if turn.is_replay {
            return;
        }
        while let Some((due, task)) = self.timers.first().copied()
            && due <= turn.now
        {
            self.timers.pop_first();
            if let Some(group) = self.graph.task(task).group {
                let waiting = &mut self.graph.group_mut(group).waiting;
                waiting.retain(|other| *other != task);
            }
            self.ready.push_back(task);
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
    }

    /// Ends the phase, and says whether that was all.
    fn conclude(&mut self, turn: &mut Turn) -> bool {
        if self.cancelling.is_some() {
            self.finish_cancelled(turn);
            return true;
        }
        let last = self.verdict_of_phase();
        self.errors.clear();
        self.is_closed = false;
        self.phase += 1;
        let end = match self.build(last) {
            Ok(Next::Phase) => return false,
            Ok(Next::Done) => None,
            Ok(Next::Failed(error)) => Some(error),
            Err(refusal) => Some(refusal.to_string()),
        };
        match end {
            None => {
                let dry = self.dry();
                let message = format!("'{}' workflow execution succeeded{dry}", self.name);
                turn.tell(EventType::WorkflowSucceeded, message);
                self.finish(ExecutionStatus::Terminated, None, turn);
            }
            Some(error) => {
                let message = format!("'{}' workflow execution failed: {error}", self.name);
                turn.tell(EventType::WorkflowFailed, message);
                self.finish(ExecutionStatus::Failed, Some(error), turn);
            }
        }
        true
    }

    fn verdict_of_phase(&self) -> Result<(), String> {
        let mut errors = self.errors.clone();
        errors.sort_by_key(|task| (self.call(*task).since, *task));
        let told = |task: TaskIx| {
            let call = self.call(task);
            let none = || Failure { causes: String::new(), traceback: String::new() };
            let name = &call.operation(&self.world).operation;
            let instance = &self.world.instance(call.instance).id;
            let what = format!("{name} ({instance}:{})", call.name);
            (what, call.failure.clone().unwrap_or_else(none))
        };
        let errors: Vec<(String, Failure)> = errors.into_iter().map(told).collect();
        if errors.is_empty() { Ok(()) } else { Err(message::failed(&errors)) }
    }

    fn finish(&mut self, status: ExecutionStatus, error: Option<String>, turn: &mut Turn) {
        self.is_over = true;
        turn.effects.push(Effect::Finish(Finish { status, error }));
    }
}

//! What the end of an attempt means.

use jiff::SignedDuration;
use serde_json::Value;
use waggoner_types::{ErrorKind, OperationError};

use super::{Execution, Turn, turn::later};
use crate::{
    Effect, EventType, Row, TaskState, Told,
    graph::{Call, Handler, TaskIx},
    message,
};

/// What is done about a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Retry(SignedDuration),
    /// What waits for the task goes on.
    PassOver,
    Fail,
}

// === impl Execution ===

impl Execution {
    pub(super) fn began(&mut self, task: TaskIx, turn: &mut Turn) {
        let call = self.call_mut(task);
        if call.state != TaskState::Sent {
            return;
        }
        call.state = TaskState::Started;
        call.since = turn.now;
        self.save(task, turn);
        self.tell_task(task, EventType::TaskStarted, "Task started", "", turn);
    }

    pub(super) fn succeeded(&mut self, task: TaskIx, result: &Value, turn: &mut Turn) {
        self.leave(task);
        let shown = message::result(result);
        self.tell_task(task, EventType::TaskSucceeded, "Task succeeded", &shown, turn);
        if self.call(task).handler == Handler::HostState && !message::is_true(result) {
            // Whether the host is up is asked until it is: retries have no limit here.
            if self.may_retry(task) {
                self.reschedule(task, self.interval(task), turn);
            } else {
                self.call_mut(task).retry_number += 1;
                self.end(task, TaskState::Dropped, turn);
            }
            return;
        }
        if self.call(task).handler.is_noted() {
            self.call_mut(task).result = Some(Box::new(result.clone()));
        }
        self.end(task, TaskState::Succeeded, turn);
        self.note(task, turn);
        self.complete(task, turn);
    }

    pub(super) fn failed(&mut self, task: TaskIx, error: &OperationError, turn: &mut Turn) {
        self.leave(task);
        self.call_mut(task).failure = Some(Box::new(message::failure(error)));
        let because = format!(" -> {}", error.message);
        let (event_type, what) = if error.kind == ErrorKind::Retry {
            (EventType::TaskRescheduled, "Task rescheduled")
        } else {
            (EventType::TaskFailed, "Task failed")
        };
        let mut told = self.told(task, event_type, what, &because);
        told.causes = message::causes(error);
        turn.emit(told);

        match self.verdict(task, error) {
            Verdict::Retry(after) => self.reschedule(task, after, turn),
            verdict => {
                if self.call(task).handler.is_noted() {
                    let told = Value::String(error.message.clone());
                    self.call_mut(task).result = Some(Box::new(told));
                }
                self.end(task, TaskState::Failed, turn);
                self.note(task, turn);
                if verdict == Verdict::PassOver {
                    self.pass_over(task, turn);
                } else {
                    self.lose(task);
                }
            }
        }
    }

    /// What follows from a failure that is passed over.
    pub(super) fn pass_over(&mut self, task: TaskIx, turn: &mut Turn) {
        if self.call(task).handler == Handler::Ignore {
            let call = self.call(task);
            let name = &call.mapping;
            let message = format!("Ignoring task {name} failure");
            let owner = self.graph.group(self.graph.task(task).group).instance;
            let instance = Some(self.world.instance(owner).id.clone());
            turn.emit(Told { instance, ..node_event(message) });
        }
        self.complete(task, turn);
    }

    /// What follows from a failure that is not: its group dies, or the phase fails.
    pub(super) fn lose(&mut self, task: TaskIx) {
        if self.graph.is_dead(task) {
            return;
        }
        let group = self.graph.task(task).group;
        self.graph.group_mut(group).failed = Some(task);
        for waiting in std::mem::take(&mut self.graph.group_mut(group).waiting) {
            if let Some(due) = self.call(waiting).not_before {
                self.timers.remove(&(due, waiting));
            }
        }
        self.dying.push(group);
    }

    /// Counts an operation among those that are out.
    pub(super) fn join(&mut self, task: TaskIx) {
        self.running.insert(task);
        let group = self.graph.task(task).group;
        self.graph.group_mut(group).running += 1;
    }

    pub(super) fn save(&self, task: TaskIx, turn: &mut Turn) {
        let call = self.call(task);
        turn.effects.push(Effect::Save(Row {
            task: self.graph.task(task).number,
            state: call.state,
            retry_number: call.retry_number,
            resumed_at: call.resumed_at,
            cleanups: call.cleanups,
            since: call.since,
            not_before: call.not_before,
            failure: call.failure.as_deref().cloned(),
            result: call.result.as_deref().cloned(),
        }));
    }

    pub(super) fn end(&mut self, task: TaskIx, state: TaskState, turn: &mut Turn) {
        let call = self.call_mut(task);
        call.state = state;
        call.since = turn.now;
        call.not_before = None;
        self.save(task, turn);
    }

    pub(super) fn tell_task(
        &self,
        task: TaskIx,
        event_type: EventType,
        what: &str,
        postfix: &str,
        turn: &mut Turn,
    ) {
        turn.emit(self.told(task, event_type, what, postfix));
    }

    pub(super) fn total_retries(&self, task: TaskIx) -> i64 {
        let call = self.call(task);
        match call.max_retries.unwrap_or(self.settings.task_retries) {
            total @ 0.. => total.saturating_add(call.resumed_at.into()),
            for_ever => for_ever,
        }
    }

    pub(super) fn call(&self, task: TaskIx) -> &Call {
        self.graph.call(task).expect("the task runs an operation")
    }

    pub(super) fn call_mut(&mut self, task: TaskIx) -> &mut Call {
        self.graph.call_mut(task).expect("the task runs an operation")
    }

    fn verdict(&self, task: TaskIx, error: &OperationError) -> Verdict {
        let call = self.call(task);
        let end = if call.handler.passes_over() { Verdict::PassOver } else { Verdict::Fail };
        let retry = || {
            let total = self.total_retries(task);
            let is_left = total < 0 || i64::from(call.retry_number) < total;
            if !is_left || !self.may_retry(task) {
                return end;
            }
            let asked = error.retry_after.and_then(|after| SignedDuration::try_from(after).ok());
            Verdict::Retry(asked.unwrap_or_else(|| {
                let retry = call.retry_number - call.resumed_at;
                let salt = self.graph.task(task).number.0 ^ (u64::from(retry) << 32);
                self.settings.retry_backoff.wait(self.interval(task), retry, salt)
            }))
        };
        match (error.kind, call.handler) {
            // An operation that asks for a retry gets it, whoever handles failures.
            (ErrorKind::Retry, _) => retry(),
            (ErrorKind::Recoverable, Handler::Plain | Handler::HostState) => retry(),
            (ErrorKind::Recoverable, _) => end,
            (ErrorKind::NonRecoverable | ErrorKind::Cancelled, _) => end,
        }
    }

    /// Whether another attempt would be of use to anybody.
    fn may_retry(&self, task: TaskIx) -> bool {
        !self.is_closed && !self.graph.is_dead(task)
    }

    fn interval(&self, task: TaskIx) -> SignedDuration {
        let given = self.call(task).retry_interval;
        given
            .and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok())
            .filter(|interval| !interval.is_negative())
            .unwrap_or(self.settings.task_retry_interval)
    }

    fn reschedule(&mut self, task: TaskIx, after: SignedDuration, turn: &mut Turn) {
        let due = later(turn.now, after);
        let call = self.call_mut(task);
        call.state = TaskState::Rescheduled;
        call.retry_number += 1;
        call.since = turn.now;
        call.not_before = Some(due);
        self.save(task, turn);
        self.wait_until(due, task);
    }

    pub(super) fn wait_until(&mut self, due: jiff::Timestamp, task: TaskIx) {
        self.timers.insert((due, task));
        let group = self.graph.task(task).group;
        self.graph.group_mut(group).waiting.push(task);
    }

    fn leave(&mut self, task: TaskIx) {
        self.running.remove(&task);
        let group = self.graph.task(task).group;
        self.graph.group_mut(group).running -= 1;
    }

    pub(super) fn told(
        &self,
        task: TaskIx,
        event_type: EventType,
        what: &str,
        postfix: &str,
    ) -> Told {
        let call = self.call(task);
        let relationship = call.relationship(&self.world);
        let total_retries = self.total_retries(task);
        let name = &call.mapping;
        let (dry, retry) = (self.dry(), message::retry(call.retry_number, total_retries));
        Told {
            event_type,
            message: format!("{what} '{name}'{postfix}{dry}{retry}"),
            instance: Some(match &relationship {
                Some(of) => of.source_instance.clone(),
                None => self.world.instance(call.instance).id.clone(),
            }),
            target: relationship.map(|of| of.target_instance),
            operation: Some(call.name.clone().into_owned()),
            task: Some(self.graph.task(task).number),
            retry_number: call.retry_number,
            total_retries,
            causes: Vec::new(),
        }
    }
}

pub(super) fn node_event(message: String) -> Told {
    Told {
        event_type: EventType::WorkflowNodeEvent,
        message,
        instance: None,
        target: None,
        operation: None,
        task: None,
        retry_number: 0,
        total_retries: 0,
        causes: Vec::new(),
    }
}

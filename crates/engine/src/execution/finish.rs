//! How phases and executions end.

use waggoner_types::ExecutionStatus;

use super::{Execution, Turn};
use crate::{Effect, EventType, Failure, Finish, graph::TaskIx, message, workflow::Next};

// === impl Execution ===

impl Execution {
    pub(super) fn finish_cancelled(&mut self, turn: &mut Turn) {
        self.end_modification(false, turn);
        let message = format!("'{}' workflow execution cancelled", self.name);
        turn.tell(EventType::WorkflowCancelled, message);
        self.finish(ExecutionStatus::Cancelled, None, turn);
    }

    /// Ends the phase, and says whether that was all for now.
    pub(super) fn conclude(&mut self, turn: &mut Turn) -> bool {
        if self.resuming.is_some() && !self.replay.keys().any(|task| !self.graph.has(*task)) {
            // It was not ended before, so somebody has to hear of it.
            return true;
        }
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
        self.end_modification(end.is_none(), turn);
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
        errors.sort_by_key(|task| (self.call(*task).since, self.graph.task(*task).number));
        let told = |task: TaskIx| {
            let call = self.call(task);
            let none = || Failure { causes: String::new(), traceback: String::new() };
            let name = &call.mapping;
            let instance = &self.world.instance(call.instance).id;
            let what = format!("{name} ({instance}:{})", call.name);
            (what, call.failure.as_deref().cloned().unwrap_or_else(none))
        };
        let errors: Vec<(String, Failure)> = errors.into_iter().map(told).collect();
        if errors.is_empty() { Ok(()) } else { Err(message::failed(&errors)) }
    }

    fn end_modification(&self, is_well: bool, turn: &mut Turn) {
        let end = self.workflow.modification_end(is_well);
        turn.effects.extend(end.map(Effect::EndModification));
    }

    fn finish(&mut self, status: ExecutionStatus, error: Option<String>, turn: &mut Turn) {
        self.is_over = true;
        turn.effects.push(Effect::Finish(Finish { status, error }));
    }
}

//! How operations are sent.

use super::{Execution, Turn};
use crate::{Dispatch, Effect, EventType, TaskState, graph::TaskIx};

// === impl Execution ===

impl Execution {
    pub(super) fn dispatch_again(&self, task: TaskIx, turn: &mut Turn) {
        turn.effects.push(Effect::Dispatch(Box::new(self.dispatch(task, true))));
    }

    pub(super) fn send(&mut self, turn: &mut Turn) {
        if turn.is_replay {
            // Nothing is sent, but what never will be must not hold up the phase.
            let graph = &self.graph;
            self.ready.retain(|task| !graph.is_dead(task));
            return;
        }
        while self.running.len() < self.settings.max_in_flight.max(1) {
            let Some(task) = self.ready.pop() else { return };
            if self.graph.is_dead(task) {
                continue;
            }
            let call = self.call_mut(task);
            call.state = TaskState::Sent;
            call.since = turn.now;
            call.not_before = None;
            self.join(task);
            let group = self.graph.task(task).group;
            self.graph.group_mut(group).has_begun = true;
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
            executor: call.executor(&operation, &self.world),
            operation_name: call.name.clone().into_owned(),
            operation,
            relationship: call.relationship(&self.world),
        }
    }
}

//! One turn of an execution: from the engine's effects to what is stored and what is done then.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use waggoner_engine::{Dispatch, Effect, Event, Finish, ModificationEnd, TaskNumber, Told};
use waggoner_store::{
    advance::{Advance, Progress, StatusChange},
    event::{Entry, EntryKind, Origin},
    execution::{Operation, Task},
    instance::InstanceChange,
};
use waggoner_types::ExecutionStatus;

use super::{actor::Actor, prepare};

/// What a turn of the engine comes to.
#[derive(Debug)]
pub(super) struct Turn {
    /// What is stored.
    pub(super) advance: Advance,
    /// What is done once that is stored.
    pub(super) then: Then,
}

/// What is done once a turn is stored.
#[derive(Debug)]
pub(super) struct Then {
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) cancels: Vec<(TaskNumber, u32)>,
    pub(super) is_over: bool,
}

// === impl Actor ===

impl Actor {
    /// Lets the engine take what happened.
    pub(super) fn decide(&mut self, events: Vec<Event>) -> Turn {
        let now = Timestamp::now();
        let begins = |event: &Event| matches!(event, Event::Started | Event::Resumed);
        let beginning = events.iter().any(begins);
        let cancelling = events.iter().any(|event| matches!(event, Event::Cancel(_)));
        let mut turn = Turn {
            advance: Advance::new(self.stage.scene.execution, now),
            then: Then { dispatches: Vec::new(), cancels: Vec::new(), is_over: false },
        };
        for event in events {
            for effect in self.engine.step(event, now) {
                self.gather(effect, &mut turn);
            }
        }
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let finished = count(self.ended.len());
        turn.advance.progress = Some(Progress {
            total_operations: count(self.engine.operations()).max(finished),
            finished_operations: finished,
        });
        if turn.advance.status.is_none() && (beginning || cancelling) {
            let status = if cancelling { self.status } else { ExecutionStatus::Started };
            turn.advance.status = Some(StatusChange { status, error: None });
        }
        turn
    }

    fn gather(&mut self, effect: Effect, turn: &mut Turn) {
        let now = turn.advance.at;
        match effect {
            Effect::Save(row) => {
                if row.state.is_end() {
                    self.ended.insert(row.task);
                } else {
                    self.ended.remove(&row.task);
                }
                turn.advance.tasks.push(Task {
                    number: row.task.0,
                    status: row.state.as_str().to_owned(),
                    operation: None,
                    retry: row.retry_number,
                    not_before: row.not_before,
                    state: serde_json::to_value(&row).expect("a row is JSON"),
                });
            }
            Effect::Dispatch(dispatch) => {
                if !dispatch.again {
                    turn.advance.operations.push(self.operation(&dispatch, now));
                }
                turn.then.dispatches.push(*dispatch);
            }
            Effect::CancelOperation { task, retry_number } => {
                turn.then.cancels.push((task, retry_number));
            }
            Effect::SetInstanceState { instance, state } => {
                turn.advance.instances.push(InstanceChange {
                    id: instance,
                    state: Some(state),
                    ..InstanceChange::default()
                });
            }
            Effect::SetSystemProperties { instance, properties } => {
                turn.advance.instances.push(InstanceChange {
                    id: instance,
                    system_properties: Some(properties),
                    ..InstanceChange::default()
                });
            }
            Effect::Emit(told) => turn.advance.events.push(self.entry(*told, now)),
            Effect::WakeAt(at) => self.wake_at = Some(at),
            Effect::EndModification(end) => {
                turn.advance.reshape = match end {
                    ModificationEnd::Finish => self.endings.finish.take(),
                    ModificationEnd::RollBack => self.endings.roll_back.take(),
                };
            }
            Effect::Finish(Finish { status, error }) => {
                turn.advance.status = Some(StatusChange { status, error });
                turn.then.is_over = true;
            }
        }
    }

    fn operation(&self, dispatch: &Dispatch, now: Timestamp) -> Operation {
        let target = dispatch.relationship.as_ref().map(|of| of.target_instance.clone());
        Operation {
            id: self.stage.operation(dispatch.task.0, dispatch.retry_number),
            task: dispatch.task.0,
            retry: dispatch.retry_number,
            name: dispatch.operation_name.clone(),
            node_instance_id: Some(dispatch.instance.clone()),
            target_id: target,
            created_at: now,
            ended_at: None,
            outcome: None,
        }
    }

    fn entry(&self, told: Told, now: Timestamp) -> Entry {
        let scene = &self.stage.scene;
        let node = told.instance.as_deref().map(|instance| {
            // Instance ids are the node's with a suffix (`dsl_parser/rel_graph.py`).
            instance.rsplit_once('_').map_or(instance, |(node, _)| node).to_owned()
        });
        let attempt = told
            .task
            .map(|task| prepare::attempt_id(self.stage.operation(task.0, told.retry_number)));
        let causes = told.causes.iter().map(|cause| {
            serde_json::json!({
                "message": cause.message,
                "type": cause.exception_type,
                "traceback": cause.traceback,
            })
        });
        Entry {
            origin: Arc::new(Origin {
                execution_id: Some(scene.execution),
                deployment_id: Some(scene.deployment.clone()),
                workflow_id: Some(scene.workflow.clone()),
                node_id: node,
                node_instance_id: told.instance,
                target_id: told.target,
                operation: told.operation,
                attempt_id: attempt,
                ..Origin::of(scene.tenant.clone())
            }),
            time: now,
            kind: EntryKind::Event { event_type: told.event_type.to_string() },
            message: told.message,
            causes: causes.collect::<Vec<Value>>(),
            sequence: 0,
        }
    }
}

//! How an execution stands, as messages.

use waggoner_engine::{RelationshipContext, Standing, Task};
use waggoner_proto::v1::{
    ExecutionTask, ExecutionWait, ExplainExecutionResponse, GetExecutionGraphResponse, WaitReason,
};
use waggoner_wire::timestamp;

use crate::{
    api::executions::message,
    executions::{Looked, Wait, Why},
};

/// How many operations are named that another one waits for.
const NAMED: usize = 16;

/// Why an execution has not ended, with so many operations at the most.
pub(super) fn explained(looked: Looked, most: u32) -> ExplainExecutionResponse {
    let Looked { execution, summary, mut waits, tasks: _ } = looked;
    let total = u32::try_from(waits.len()).unwrap_or(u32::MAX);
    // What is out first: that is what holds the others up.
    waits.sort_by_key(|wait| (rank(wait.reason), wait.line.task));
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    ExplainExecutionResponse {
        execution: Some(message(execution)),
        summary,
        waits: waits.into_iter().take(most).map(shown).collect(),
        total,
    }
}

/// The task graph of an execution.
pub(super) fn drawn(looked: Looked) -> GetExecutionGraphResponse {
    let Looked { execution, summary: _, waits: _, tasks } = looked;
    let task = |task: Task| {
        let Task { number, instance, operation, relationship, retry_number, state, after } = task;
        ExecutionTask {
            number: number.0,
            target_id: target(relationship.as_ref()),
            node_instance_id: source(relationship.as_ref(), instance),
            operation,
            retry_number,
            state: state.as_str().to_owned(),
            after: after.iter().map(|number| number.0).collect(),
        }
    };
    GetExecutionGraphResponse {
        execution: Some(message(execution)),
        tasks: tasks.into_iter().map(task).collect(),
    }
}

fn shown(wait: Wait) -> ExecutionWait {
    let Wait { line, reason, mut waits_for, agent, is_agent_linked, last_line } = wait;
    let (since, not_before) = match line.standing {
        Standing::Running { state: _, since } => (Some(since), None),
        Standing::Retry { not_before } => (None, Some(not_before)),
        Standing::Queued | Standing::Waits { .. } | Standing::Lost => (None, None),
    };
    waits_for.truncate(NAMED);
    let (last_log_at, last_log_line) = last_line.unzip();
    ExecutionWait {
        task: line.task.0,
        target_id: target(line.relationship.as_ref()),
        node_instance_id: source(line.relationship.as_ref(), line.instance),
        operation: line.operation,
        retry_number: line.retry_number,
        reason: word(reason).into(),
        since: since.map(timestamp),
        not_before: not_before.map(timestamp),
        agent: agent.unwrap_or_default(),
        agent_connected: is_agent_linked,
        last_log_line: last_log_line.unwrap_or_default(),
        last_log_at: last_log_at.map(timestamp),
        waits_for,
    }
}

/// The source of a relationship; the instance itself where there is none.
fn source(relationship: Option<&RelationshipContext>, instance: String) -> String {
    relationship.map_or(instance, |of| of.source_instance.clone())
}

fn target(relationship: Option<&RelationshipContext>) -> String {
    relationship.map(|of| of.target_instance.clone()).unwrap_or_default()
}

fn rank(reason: Why) -> u8 {
    match reason {
        Why::Runs => 0,
        Why::Sent => 1,
        Why::Drained => 2,
        Why::Retry => 3,
        Why::NoPlace => 4,
        Why::Queued => 5,
        Why::Waits => 6,
        Why::Lost => 7,
    }
}

fn word(reason: Why) -> WaitReason {
    match reason {
        Why::Runs => WaitReason::Runs,
        Why::Sent => WaitReason::Sent,
        Why::NoPlace => WaitReason::ManagerLimit,
        Why::Retry => WaitReason::Retry,
        Why::Queued => WaitReason::DeploymentLimit,
        Why::Waits => WaitReason::Operations,
        Why::Lost => WaitReason::Lost,
        Why::Drained => WaitReason::Drained,
    }
}

//! Why an execution has not ended.

use serde_json::{Value, json};
use waggoner_proto::v1::{ExecutionWait, ExplainExecutionResponse, WaitReason};

use super::{Mood, Record, time, word};
use crate::ui::Clock;

impl Record for ExecutionWait {
    const COLUMNS: &'static [&'static str] = &["operation", "why", "since", "agent", "last"];

    fn shape(&self) -> Value {
        let Self {
            task,
            node_instance_id,
            operation,
            target_id,
            retry_number,
            reason: _,
            since,
            not_before,
            agent,
            agent_connected,
            last_log_line,
            last_log_at,
            waits_for,
        } = self;
        json!({
            "task": task,
            "node_instance_id": node_instance_id,
            "operation": operation,
            "target_id": target_id,
            "retry_number": retry_number,
            "reason": word(self.reason().as_str_name(), "WAIT_REASON_"),
            "since": time(since.as_ref()),
            "not_before": time(not_before.as_ref()),
            "agent": agent,
            "agent_connected": agent_connected,
            "last_log_line": last_log_line,
            "last_log_at": time(last_log_at.as_ref()),
            "waits_for": waits_for,
        })
    }

    fn row(&self, clock: &Clock) -> Vec<String> {
        let operation = self.operation.rsplit('.').next().unwrap_or(&self.operation);
        let instance = match self.target_id.as_str() {
            "" => self.node_instance_id.clone(),
            target => format!("{}->{target}", self.node_instance_id),
        };
        let retry = match self.retry_number {
            0 => String::new(),
            number => format!(" (retry {number})"),
        };
        let agent = match (self.agent.as_str(), self.agent_connected) {
            ("", _) => String::new(),
            (agent, true) => agent.to_owned(),
            (agent, false) => format!("{agent} (no link)"),
        };
        let since = self.since.as_ref().map(|since| clock.moment(Some(since)));
        vec![
            format!("{instance}.{operation}{retry}"),
            why(self, clock),
            since.unwrap_or_default(),
            agent,
            self.last_log_line.clone(),
        ]
    }

    fn mood(&self) -> Mood {
        match self.reason() {
            WaitReason::Lost => Mood::Gone,
            WaitReason::Retry => Mood::Bad,
            WaitReason::Runs | WaitReason::Sent => Mood::Busy,
            _ => Mood::Plain,
        }
    }
}

/// Why an operation is not done, in words for people.
fn why(wait: &ExecutionWait, clock: &Clock) -> String {
    match wait.reason() {
        WaitReason::Unspecified => String::new(),
        WaitReason::Runs => "runs".to_owned(),
        WaitReason::Sent if wait.agent.is_empty() => "waits for an agent".to_owned(),
        WaitReason::Sent => "on its way to its agent".to_owned(),
        WaitReason::ManagerLimit => "waits for the manager's limit".to_owned(),
        WaitReason::DeploymentLimit => "waits for the deployment's limit".to_owned(),
        WaitReason::Retry => format!("tried again at {}", clock.moment(wait.not_before.as_ref())),
        WaitReason::Operations => format!("waits for {}", wait.waits_for.join(", ")),
        WaitReason::Lost => "what it needs has failed".to_owned(),
        WaitReason::Drained => "waits: its agent is drained".to_owned(),
    }
}

/// The shape of an explanation.
pub(crate) fn explanation(answer: &ExplainExecutionResponse) -> Value {
    let ExplainExecutionResponse { execution, summary, waits, total } = answer;
    json!({
        "execution": execution.as_ref().map(Record::shape),
        "summary": summary,
        "waits": waits.iter().map(Record::shape).collect::<Vec<_>>(),
        "total": total,
    })
}

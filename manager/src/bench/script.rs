//! Scripts, as operations of the benchmark's node.

use std::sync::atomic::Ordering;

use serde_json::json;
use waggoner_engine::TaskNumber;
use waggoner_task::BoxError;
use waggoner_types::{Outcome, plan};

use super::{Bench, dispatch};
use crate::executions::{answers::Answers, prepare::prepare};

impl Bench {
    /// Runs a script on the agent, as an operation of its own, until its end is stored.
    pub async fn script(&self, source: &str) -> Result<Outcome, BoxError> {
        let task = TaskNumber(self.begun.fetch_add(1, Ordering::Relaxed));
        let mut dispatch = dispatch(task);
        let inputs = json!({ "script_source": source }).as_object().cloned().unwrap_or_default();
        dispatch.operation = plan::Operation {
            plugin: "script".to_owned(),
            operation: "script_runner.tasks.run".to_owned(),
            inputs,
            ..plan::Operation::default()
        };
        let operation = self.stage.operation(task.0, dispatch.retry_number);
        let answers = Answers::of(&self.home, &self.stage, &dispatch);
        let ready = prepare(&self.home, &self.stage, &dispatch, &answers, operation).await;
        let ready = ready.map_err(|error| error.message)?;
        self.go(task, dispatch, operation, ready).await
    }
}

//! The Python process that runs the stock workflows.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::Deserialize;
use serde_json::{Value, json};
use waggoner_engine::Modification;
use waggoner_types::plan::{NodeInstance, Plan};

use crate::{
    Outcome,
    cases::{Case, Run},
    properties,
};

pub(crate) struct Oracle {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
pub(crate) struct Answer {
    pub(crate) runs: Vec<Ran>,
}

/// What the stock workflow did.
#[derive(Deserialize)]
pub(crate) struct Ran {
    calls: Vec<(String, u32)>,
    events: Vec<(String, String)>,
    graphs: Vec<BTreeMap<String, Vec<String>>>,
    /// As it was before.
    pub(crate) plan: Plan,
    /// The instances before, with those that a modification added, and after.
    pub(crate) before: Vec<NodeInstance>,
    pub(crate) after: Vec<NodeInstance>,
    /// What a deployment modification added and removed.
    pub(crate) modification: Option<Modification>,
    error: Option<String>,
}

impl Oracle {
    pub(crate) fn start() -> Option<Self> {
        let python = std::env::var_os("WAGGONER_ORACLE_PYTHON")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/oracle.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("WAGGONER_ORACLE_PYTHON names a Python");
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, stdin, stdout })
    }

    pub(crate) fn ask(&mut self, case: &Case) -> Answer {
        let runs: Vec<Value> = case
            .runs
            .iter()
            .map(|run| {
                json!({
                    "workflow": run.workflow,
                    "parameters": run.parameters,
                    "fail": run.fail.iter().map(|fail| json!({
                        "node": fail.node,
                        "operation": fail.operation,
                        "times": fail.times,
                        "kind": fail.kind.as_str(),
                    })).collect::<Vec<_>>(),
                    "results": run.results,
                    "retries": run.retries,
                })
            })
            .collect();
        let question = json!({"blueprint": case.blueprint, "runs": runs});
        writeln!(self.stdin, "{question}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{}: the oracle gave up: {error}: {line}", case.name))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.child.kill().expect("the oracle can be ended");
        self.child.wait().expect("the oracle ends");
    }
}

impl Ran {
    pub(crate) fn outcome(&self, run: &Run) -> Outcome {
        let mut calls = BTreeMap::new();
        for call in &self.calls {
            *calls.entry(call.clone()).or_default() += 1;
        }
        let mut events = BTreeMap::new();
        for (event_type, message) in &self.events {
            // Groups have no events of their own with us, and failed workflows word tracebacks.
            if !message.starts_with("Subgraph ") && event_type != "workflow_failed" {
                *events.entry(message.clone()).or_default() += 1;
            }
        }
        let graphs = self.graphs.iter().filter(|graph| !graph.is_empty()).cloned().collect();
        Outcome {
            calls,
            events,
            graphs: if run.compares_order { graphs } else { Vec::new() },
            states: self.after.iter().map(|i| (i.id.clone(), i.state.to_string())).collect(),
            properties: properties(self.after.iter().map(|i| (&i.id, &i.system_properties))),
            has_failed: self.error.is_some(),
        }
    }
}

//! The engine beside the stock local workflows of `cloudify-common`: the same blueprints, the
//! same failures; the same operations in the same partial order, the same states in the end.
//!
//! It needs a Python that has `cloudify-common[dispatcher]==7.0.5` and `networkx`, named by
//! `WAGGONER_ORACLE_PYTHON`. Without it the test says so and proves nothing.

#[cfg(test)]
mod blueprint;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod ours;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use cases::{Case, Run};
use oracle::{Answer, Oracle};

/// What one run came to, on either side.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// How often each attempt was made.
    calls: BTreeMap<(String, u32), u32>,
    /// How often each sentence was told.
    events: BTreeMap<String, u32>,
    /// Per phase: what each operation comes after.
    graphs: Vec<BTreeMap<String, Vec<String>>>,
    states: BTreeMap<String, String>,
    /// What was noted with instances, without times.
    properties: BTreeMap<String, Value>,
    has_failed: bool,
}

#[test]
fn shapes_live_as_they_do_under_the_stock_workflows() {
    agree("shapes", &cases::shapes());
}

#[test]
fn random_deployments_live_as_they_do_under_the_stock_workflows() {
    agree("random deployments", &cases::randoms());
}

#[test]
fn filters_let_through_whom_the_stock_workflows_do() {
    agree("filters", &cases::filters());
}

#[test]
fn failures_and_retries_come_to_what_they_do_under_the_stock_workflows() {
    agree("failures", &cases::failures());
}

#[test]
fn checks_and_healing_come_to_what_they_do_under_the_stock_workflows() {
    agree("checks, healing, rollback", &cases::checks());
}

#[test]
fn scaling_comes_to_what_it_does_under_the_stock_workflows() {
    agree("scaling", &cases::scales());
}

fn agree(what: &str, cases: &[Case]) {
    let Some(mut oracle) = Oracle::start() else {
        say(&format!(
            "{what}: skipped: WAGGONER_ORACLE_PYTHON does not name a Python with cloudify-common"
        ));
        return;
    };
    let (mut runs, mut different) = (0, Vec::new());
    for case in cases {
        for (at, difference) in compare(case, &oracle.ask(case)) {
            runs += 1;
            different.extend(difference.map(|text| format!("{} run {at}: {text}", case.name)));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    say(&format!("{what}: {} blueprints, {runs} runs: all the same", cases.len()));
}

/// For each run, how it differs.
fn compare(case: &Case, answer: &Answer) -> Vec<(usize, Option<String>)> {
    let pairs = case.runs.iter().zip(&answer.runs).enumerate();
    pairs
        .map(|(at, (run, stock))| {
            let ours = ours::run(run, stock);
            let stock = stock.outcome(run);
            (at, difference(run, &ours, &stock))
        })
        .collect()
}

fn difference(run: &Run, ours: &Outcome, stock: &Outcome) -> Option<String> {
    let what = if ours.calls != stock.calls {
        format!("calls\n   ours {:?}\n  stock {:?}", ours.calls, stock.calls)
    } else if ours.events != stock.events {
        format!("events\n{}", only(&ours.events, &stock.events))
    } else if ours.graphs != stock.graphs {
        format!("order\n   ours {:#?}\n  stock {:#?}", ours.graphs, stock.graphs)
    } else if ours.states != stock.states {
        format!("states\n   ours {:?}\n  stock {:?}", ours.states, stock.states)
    } else if ours.properties != stock.properties {
        format!("properties\n   ours {:?}\n  stock {:?}", ours.properties, stock.properties)
    } else if ours.has_failed != stock.has_failed {
        format!("end: ours failed {}, stock failed {}", ours.has_failed, stock.has_failed)
    } else {
        return None;
    };
    Some(format!("{} {} differs in {what}", run.workflow, run.parameters))
}

/// What was told more often on one side.
fn only(ours: &BTreeMap<String, u32>, stock: &BTreeMap<String, u32>) -> String {
    let mut texts: Vec<&String> = ours.keys().chain(stock.keys()).collect();
    texts.sort();
    texts.dedup();
    let line = |text: &&String| {
        let (ours, stock) = (ours.get(*text), stock.get(*text));
        (ours != stock).then(|| format!("  ours {ours:?} times, stock {stock:?} times: {text}"))
    };
    texts.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

#[expect(clippy::print_stderr, reason = "a test that proves nothing has to say so")]
fn say(text: &str) {
    eprintln!("differential test: {text}");
}

/// System properties that are not empty, without times.
fn properties<'a>(
    instances: impl Iterator<Item = (&'a String, &'a Map<String, Value>)>,
) -> BTreeMap<String, Value> {
    instances
        .filter(|(_, properties)| !properties.is_empty())
        .map(|(id, properties)| (id.clone(), timeless(&Value::Object(properties.clone()))))
        .collect()
}

fn timeless(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(name, _)| *name != "timestamp")
            .map(|(name, item)| (name.clone(), timeless(item)))
            .collect(),
        other => other.clone(),
    }
}

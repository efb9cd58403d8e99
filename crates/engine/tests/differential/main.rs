//! The engine beside the stock local workflows of `cloudify-common`: the same blueprints, the
//! same failures; the same operations in the same partial order, the same states in the end.
//!
//! It needs a Python that has `cloudify-common[dispatcher]==7.0.5` and `networkx`, named by
//! `WAGGONER_ORACLE_PYTHON`. Without it the test says so and proves nothing.

mod blueprint;
mod cases;
mod oracle;
mod ours;

use std::collections::BTreeMap;

use cases::{Case, Run};
use oracle::{Answer, Oracle};

/// What one run came to, on either side.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// How often each attempt was made.
    calls: BTreeMap<(String, u32), u32>,
    /// Per phase: what each operation comes after.
    graphs: Vec<BTreeMap<String, Vec<String>>>,
    states: BTreeMap<String, String>,
    has_failed: bool,
}

#[test]
fn the_engine_does_what_the_stock_workflows_do() {
    let Some(mut oracle) = Oracle::start() else {
        say("skipped: WAGGONER_ORACLE_PYTHON does not name a Python with cloudify-common");
        return;
    };
    let cases = cases::all();
    let (mut blueprints, mut runs, mut different) = (0, 0, Vec::new());
    for case in &cases {
        let answer = oracle.ask(case);
        blueprints += 1;
        for (at, difference) in compare(case, &answer) {
            runs += 1;
            different.extend(difference.map(|text| format!("{} run {at}: {text}", case.name)));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    say(&format!("{blueprints} blueprints, {runs} runs: all the same"));
}

/// For each run, how it differs.
fn compare(case: &Case, answer: &Answer) -> Vec<(usize, Option<String>)> {
    let pairs = case.runs.iter().zip(&answer.runs).enumerate();
    pairs
        .map(|(at, (run, stock))| {
            let ours = ours::run(answer, run, stock);
            let stock = stock.outcome(run);
            (at, difference(run, &ours, &stock))
        })
        .collect()
}

fn difference(run: &Run, ours: &Outcome, stock: &Outcome) -> Option<String> {
    let what = if ours.calls != stock.calls {
        format!("calls\n   ours {:?}\n  stock {:?}", ours.calls, stock.calls)
    } else if ours.graphs != stock.graphs {
        format!("order\n   ours {:#?}\n  stock {:#?}", ours.graphs, stock.graphs)
    } else if ours.states != stock.states {
        format!("states\n   ours {:?}\n  stock {:?}", ours.states, stock.states)
    } else if ours.has_failed != stock.has_failed {
        format!("end: ours failed {}, stock failed {}", ours.has_failed, stock.has_failed)
    } else {
        return None;
    };
    Some(format!("{} {} differs in {what}", run.workflow, run.parameters))
}

#[expect(clippy::print_stderr, reason = "a test that proves nothing has to say so")]
fn say(text: &str) {
    eprintln!("differential test: {text}");
}

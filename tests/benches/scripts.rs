//! Shell scripts with ten `ctx` calls, from the manager to the stored outcome, beside the stock
//! script runner with its `ctx`, which asks a small stub of the manager.

use std::time::Instant;

use serde_json::json;
use waggoner_manager::bench::Bench;
use waggoner_testkit::run_python;

mod measure;
mod site;

use measure::Pairs;
use site::measure_on_a_site;

/// How many pairs are taken; an odd number has a median of its own.
const PAIRS: usize = 7;

/// How many of ours are in one measurement: beside one of theirs.
const OURS: u32 = 10;

/// What is run.
const SCRIPT: &str = r#"#!/bin/sh
ctx logger info "it begins"
ctx instance runtime_properties first 1
ctx instance runtime_properties second.below "@[1, 2]"
[ "$(ctx instance runtime_properties first)" = 1 ] || exit 1
name=$(ctx node name)
id=$(ctx instance id)
ctx logger debug "$name $id"
ctx -j instance runtime_properties second >/dev/null
ctx operation retry_number >/dev/null
ctx returns done
"#;

fn main() {
    measure_on_a_site(
        async |_| {},
        async |bench, _| {
            let mut pairs = Pairs::default();
            for round in 0..=PAIRS {
                let begun = Instant::now();
                for _ in 0..OURS {
                    run(&bench).await;
                }
                let ours = f64::from(OURS) / begun.elapsed().as_secs_f64();
                let theirs = run_python("stock_script.py", &[SCRIPT, "1"]);
                let theirs = theirs[0].as_f64().expect("it says so");
                // The first pair warms up.
                if round > 0 {
                    pairs.push(ours, 1.0 / theirs);
                }
            }
            pairs.print("script-ctx-10", "scripts/s", "the stock script runner and its ctx");
        },
    );
}

async fn run(bench: &Bench) {
    let outcome = bench.script(SCRIPT).await.expect("the manager can store it");
    assert_eq!(outcome.result, Ok(json!("done")));
}

//! Operations per second, from the manager through an agent's process to the stored outcome, beside
//! bare spawns of the same program.
//!
//! ```text
//!  this process                                        waggoner-agent
//!  Bench::run ─▶ store (on a disk) ─▶ mTLS ──────────▶ /bin/true ─▶ records ─▶ …
//! ```

use std::process::Stdio;

use waggoner_manager::bench::Bench;

mod measure;
mod rate;
mod site;

use measure::Pairs;
use rate::rate;
use site::measure_on_a_site;

/// What an operation runs.
const PROGRAM: &str = "/bin/true";

/// How many pairs are taken; an odd number has a median of its own.
const PAIRS: usize = 15;

/// How many are in flight, and how many there are in one measurement.
const ROWS: [(usize, usize); 2] = [(1, 100), (32, 800)];

fn main() {
    measure_on_a_site(
        async |_| {},
        async |bench, _| {
            for (in_flight, count) in ROWS {
                row(&bench, in_flight, count).await;
            }
        },
    );
}

async fn row(bench: &Bench, in_flight: usize, count: usize) {
    let mut pairs = Pairs::default();
    for round in 0..=PAIRS {
        let bench = bench.clone();
        let ours = rate(in_flight, count, move || dispatch(bench.clone())).await;
        let against = rate(in_flight, count, spawn).await;
        // The first pair warms up.
        if round > 0 {
            pairs.push(ours, against);
        }
    }
    pairs.print(&format!("dispatch-{in_flight}"), "operations/s", "spawn and wait");
}

async fn dispatch(bench: Bench) {
    let outcome = bench.run(PROGRAM, &[]).await.expect("the manager can store it");
    outcome.result.expect("the program succeeds");
}

async fn spawn() {
    let mut command = tokio::process::Command::new(PROGRAM);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().await.expect("the program can be started");
    assert!(status.success(), "{status}");
}

//! Bytes per second of what an operation writes, from its pipe through the journal, mTLS and the
//! manager to its store, beside `cat` reading the same pipe; and the memory of the agent meanwhile.
//!
//! ```text
//!  yes │ head ──pipe──▶ supervisor ─▶ journal ─▶ daemon ─▶ mTLS ─▶ this process ─▶ store (a disk)
//!  yes │ head ──pipe──▶ cat
//! ```

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use waggoner_manager::bench::Bench;
use waggoner_testkit::processes_of;

mod measure;
mod site;

use measure::Pairs;
use site::measure_on_a_site;

/// How many bytes one operation writes, in lines of 100.
const BYTES: u32 = 200_000_000;

/// How many pairs are taken.
const PAIRS: usize = 5;

const SHELL: &str = "/bin/sh";

fn main() {
    measure_on_a_site(async |bench, directory| {
        let mut pairs = Pairs::default();
        for round in 0..=PAIRS {
            let ours = megabytes(written(&bench)).await;
            let against = megabytes(async { cat() }).await;
            // The first pair warms up.
            if round > 0 {
                pairs.push(ours, against);
            }
        }
        pairs.print("logs", "MB/s", "cat");
        for process in processes_of(directory) {
            let name = if process.is_supervisor() { "supervisor" } else { "agent" };
            memory(name, process.pid);
        }
    });
}

/// What writes: whole blocks at a time, as most programs do whose output is no terminal.
fn script() -> String {
    format!("yes {} | head -c {BYTES}", "x".repeat(99))
}

async fn megabytes(work: impl Future<Output = ()>) -> f64 {
    let start = Instant::now();
    work.await;
    f64::from(BYTES) / 1e6 / start.elapsed().as_secs_f64()
}

async fn written(bench: &Bench) {
    let outcome = bench.run(SHELL, &["-c", &script()]).await.expect("the manager can store it");
    outcome.result.expect("the script succeeds");
}

fn cat() {
    let script = format!("{{ {}; }} | cat >/dev/null", script());
    let status = Command::new(SHELL).args(["-c", &script]).stdin(Stdio::null()).status();
    assert!(status.expect("a shell can be started").success());
}

/// Prints the most memory that a process had, beside the bound that it is to keep.
fn memory(name: &str, pid: u32) {
    const BOUND: f64 = 32.0;
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = most.and_then(|most| most.split_whitespace().next()?.parse::<u32>().ok());
    let mut pairs = Pairs::default();
    pairs.push(f64::from(kib.unwrap_or(0)) / 1024.0, BOUND);
    pairs.print(&format!("memory-{name}"), "MiB", "32 MiB");
}

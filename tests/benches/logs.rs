//! Bytes per second of what an operation writes, from its pipe through the journal, mTLS and the
//! manager to its store; and the memory of the agent meanwhile, also while its manager stands still.
//!
//! ```text
//!  ours     a writer ──pipe──▶ supervisor ─▶ journal ─▶ daemon ─▶ mTLS ─▶ this process ─▶ store
//!  cat      a writer ──pipe──▶ cat
//!  kept     a writer ──pipe──▶ a line ─▶ a record of the journal ─▶ mTLS ─▶ a row of the store
//!  unkept   a writer ──pipe──▶ a line ─▶ mTLS ─▶ nowhere
//! ```
//!
//! Of the two that say a gRPC message for each line, the kept one promises what ours does: a line is
//! in a journal before it is said and in a store before it is acknowledged, by the same journal,
//! the same store and the same disk. The unkept one is what gRPC and TLS alone cost, and promises
//! nothing. Neither crosses from process to process, and neither keeps a watermark.

use std::{
    env,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use camino::Utf8Path;
use tokio::time::sleep;
use waggoner_manager::bench::Bench;
use waggoner_testkit::processes_of;

#[path = "logs/gate.rs"]
mod gate;
mod measure;
#[path = "logs/messages.rs"]
mod messages;
mod site;
#[path = "logs/writer.rs"]
mod writer;

use gate::Gate;
use measure::Pairs;
use messages::Promise;
use site::{measure_by_a_way, measure_on_a_site};

/// How many bytes one operation writes, in lines of 100: whole blocks at a time, as most programs
/// do whose output is no terminal; and each line by itself.
const BLOCKS: u32 = 200_000_000;
const LINES: u32 = 60_000_000;

/// How many bytes are written where each line is kept by itself, which takes that much longer.
const KEPT: u32 = 12_000_000;

/// How many pairs are taken.
const PAIRS: usize = 5;

/// How long the manager stands still, and how many bytes a second are written meanwhile: less in
/// all than an attempt may keep.
const STALL: u32 = 30;
const PACE: u32 = 5_000_000;

const SHELL: &str = "/bin/sh";

/// What a shell is told so that so many bytes are written.
type Script<'a> = &'a dyn Fn(u32) -> String;

fn main() {
    if writer::called() {
        return;
    }
    measure_on_a_site(
        async |_| {},
        async |bench, directory| {
            Box::pin(throughput(&bench)).await;
            memory(directory, "");
        },
    );
    measure_by_a_way(
        async |dispatcher| {
            let gate = Gate::before(dispatcher.address()).await;
            (gate.address(), gate)
        },
        async |bench, directory, gate| stalled(&bench, directory, &gate).await,
    );
}

async fn throughput(bench: &Bench) {
    let blocks = |bytes: u32| format!("yes {} | head -c {bytes}", "x".repeat(99));
    let program = env::current_exe().expect("we are a file");
    let program = program.to_str().expect("its path is UTF-8");
    let lines = |bytes: u32| format!("{program} {}", writer::lines(bytes).join(" "));
    let ways: [(&str, u32, Script<'_>); 2] =
        [("logs-blocks", BLOCKS, &blocks), ("logs-lines", LINES, &lines)];
    for (name, bytes, script) in ways {
        let [mut beside_cat, mut beside_kept, mut beside_unkept] =
            [(); 3].map(|()| Pairs::default());
        for round in 0..=PAIRS {
            let whole = script(bytes);
            let ours = megabytes(bytes, written(bench, SHELL, &["-c", &whole])).await;
            let cat = megabytes(bytes, async { cat(&whole) }).await;
            let unkept = rate(bytes, Box::pin(messages::send(&whole, Promise::Nothing)).await);
            let kept = rate(KEPT, Box::pin(messages::send(&script(KEPT), Promise::Kept)).await);
            // The first pair warms up.
            if round > 0 {
                beside_cat.push(ours, cat);
                beside_kept.push(ours, kept);
                beside_unkept.push(ours, unkept);
            }
        }
        beside_cat.print(name, "MB/s", "cat");
        beside_kept.print(name, "MB/s", "a gRPC message for each line, kept as ours");
        beside_unkept.print(name, "MB/s", "a gRPC message for each line, kept nowhere");
    }
}

/// Stops the manager's reading for a while, and tells what the agent needed meanwhile, and whether
/// the operation went on.
async fn stalled(bench: &Bench, directory: &Utf8Path, gate: &Gate) {
    let report = directory.join("report");
    let program = env::current_exe().expect("we are a file");
    let program = program.to_str().expect("its path is UTF-8");
    let args = writer::paced(PACE, STALL, report.as_str());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let stall = async {
        // Once its first output has come through.
        sleep(Duration::from_secs(1)).await;
        for process in processes_of(directory) {
            // From here on the most that it needs is counted anew.
            fs_err::write(format!("/proc/{}/clear_refs", process.pid), "5").ok();
        }
        gate.close();
        sleep(Duration::from_secs(u64::from(STALL))).await;
        gate.open();
    };
    tokio::join!(written(bench, program, &args), stall);
    memory(directory, "-stalled");
    let took = fs_err::read_to_string(&report).unwrap_or_default().parse::<u32>();
    let mut pairs = Pairs::default();
    pairs.push(f64::from(took.unwrap_or(u32::MAX)), f64::from(STALL) * 1000.0);
    pairs.print("writer-stalled", "ms", "the time that it takes by itself");
}

async fn megabytes(bytes: u32, work: impl Future<Output = ()>) -> f64 {
    let start = Instant::now();
    work.await;
    rate(bytes, start.elapsed())
}

fn rate(bytes: u32, took: Duration) -> f64 {
    f64::from(bytes) / 1e6 / took.as_secs_f64()
}

async fn written(bench: &Bench, program: &str, args: &[&str]) {
    let outcome = bench.run(program, args).await.expect("the manager can store it");
    outcome.result.expect("the writer succeeds");
}

fn cat(script: &str) {
    let script = format!("{{ {script}; }} | cat >/dev/null");
    let status = Command::new(SHELL).args(["-c", &script]).stdin(Stdio::null()).status();
    assert!(status.expect("a shell can be started").success());
}

/// Prints the most memory that the agent's processes had, beside the bound that each is to keep.
fn memory(directory: &Utf8Path, when: &str) {
    const BOUND: f64 = 32.0;
    for process in processes_of(directory) {
        let name = if process.is_supervisor() { "supervisor" } else { "agent" };
        let status = fs_err::read_to_string(format!("/proc/{}/status", process.pid));
        let status = status.unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = most.and_then(|most| most.split_whitespace().next()?.parse::<u32>().ok());
        let mut pairs = Pairs::default();
        pairs.push(f64::from(kib.unwrap_or(0)) / 1024.0, BOUND);
        pairs.print(&format!("memory-{name}{when}"), "MiB", "32 MiB");
    }
}

//! Feeds the blueprint crate with texts that no user would write.
//!
//! ```text
//!  seeds ──mutate──▶ request ──▶ worker (256 MiB, 2 MiB of stack) ──▶ "ok"
//!                        └── a crash, or more than a second ──▶ target/fuzz/N.json
//! ```
//!
//! A worker that ends, or that works for longer than a second, is a find. The second is one of
//! the worker's own time, so that a busy machine makes no finds.

use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use fs_err as fs;
use serde_json::{Value, json};

use self::{
    mutate::Mutator,
    worker::{Outcome, Worker},
};
use crate::{
    programs::target,
    shell::{cargo, root, run},
};

mod mutate;
mod seeds;
mod worker;

/// What to feed, and for how long.
#[derive(Args, Debug)]
pub(crate) struct Fuzz {
    /// How long
    #[arg(long, default_value_t = 10)]
    minutes: u64,

    /// Where the random numbers begin
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many workers at once
    #[arg(long, default_value_t = 2)]
    workers: u64,

    /// Only feed this find again
    #[arg(long)]
    again: Option<Utf8PathBuf>,
}

/// What came of it.
#[derive(Default)]
struct Tally {
    inputs: AtomicU64,
    bytes: AtomicU64,
    slowest: Mutex<Duration>,
    finds: Mutex<Vec<Utf8PathBuf>>,
}

/// Runs the fuzzer, and fails if it finds something.
#[expect(clippy::print_stdout, reason = "the counts are the answer")]
pub(crate) fn fuzz(asked: &Fuzz) -> Result<()> {
    // Optimised as for people, yet with the checks of a development build.
    run(cargo()
        .args(["build", "--quiet", "--profile", "bench", "--package", "waggoner-blueprint"])
        .args(["--example", "survive"])
        .env("CARGO_PROFILE_BENCH_OVERFLOW_CHECKS", "true")
        .env("CARGO_PROFILE_BENCH_DEBUG_ASSERTIONS", "true"))?;
    let program = target().join("release/examples/survive");
    if let Some(find) = &asked.again {
        let (outcome, spent) = Worker::start(&program)?.feed(&fs::read_to_string(find)?)?;
        println!("{}", json!({ "outcome": format!("{outcome:?}"), "ms": spent.as_millis() }));
        return Ok(());
    }
    let seeds = seeds::read(&root())?;
    let folder = target().join("fuzz");
    fs::create_dir_all(&folder)?;
    let end = Instant::now() + Duration::from_secs(asked.minutes * 60);
    let tally = Tally::default();
    thread::scope(|scope| {
        let lane = |lane| {
            let (seeds, tally, program, folder) = (&seeds, &tally, &program, &folder);
            let mutator = Mutator::new(asked.seed.wrapping_mul(1000).wrapping_add(lane), seeds);
            scope.spawn(move || feed(mutator, program, folder, end, tally))
        };
        let lanes: Vec<_> = (0..asked.workers).map(lane).collect();
        lanes.into_iter().try_for_each(|lane| lane.join().expect("a lane ends"))
    })?;
    let finds = tally.finds.into_inner().expect("no lane panicked");
    let slowest = tally.slowest.into_inner().expect("no lane panicked");
    println!(
        "{}",
        json!({
            "minutes": asked.minutes,
            "inputs": tally.inputs,
            "bytes": tally.bytes,
            "slowest_ms": slowest.as_millis(),
            "finds": finds,
        })
    );
    if !finds.is_empty() {
        bail!("{} finds: see {folder}", finds.len());
    }
    Ok(())
}

fn feed(
    mut mutator: Mutator<'_>,
    program: &Utf8Path,
    folder: &Utf8Path,
    end: Instant,
    tally: &Tally,
) -> Result<()> {
    let mut worker = Worker::start(program)?;
    while Instant::now() < end {
        let input = mutator.next().to_string();
        let (outcome, spent) = worker.feed(&input)?;
        let number = tally.inputs.fetch_add(1, Ordering::Relaxed);
        tally.bytes.fetch_add(input.len() as u64, Ordering::Relaxed);
        let mut slowest = tally.slowest.lock().expect("no lane panicked");
        *slowest = spent.max(*slowest);
        drop(slowest);
        if outcome != Outcome::Survived {
            let path = folder.join(format!("{number}-{outcome:?}.json"));
            fs::write(&path, &input).context("failed to keep a find")?;
            tally.finds.lock().expect("no lane panicked").push(path);
            worker = Worker::start(program)?;
        }
    }
    Ok(())
}

/// Reads JSON lines that may not be there.
fn lines(path: impl AsRef<Path>) -> Vec<Value> {
    let text = fs::read_to_string(path.as_ref()).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

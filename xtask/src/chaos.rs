//! A chaos run, and its figures as one JSON object.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use waggoner_testkit::chaos::{Kind, Settings, run};

use crate::{programs, proof};

/// What a chaos run is to be.
#[derive(Args, Debug)]
pub(crate) struct Chaos {
    /// How many faults there are.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    faults: u32,

    /// What the times and kinds of the faults come from: the same seed gives the same ones.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Within how many seconds the faults begin [default: 3 for 2 faults]. The run ends some
    /// minutes later at the latest.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,

    /// Only faults of these kinds, with commas between them.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,

    /// Keep the logs also where nothing is wrong.
    #[arg(long)]
    keep: bool,
}

/// Builds the three programs and runs them through faults. An error if anything was lost, happened
/// twice or is wrong.
///
/// The programs of `WAGGONER_BIN_DIR` are taken as they are, if it is set.
#[expect(clippy::print_stdout, reason = "the figures are the answer")]
#[expect(clippy::print_stderr, reason = "and so is what is wrong")]
pub(crate) fn chaos(asked: Chaos) -> Result<()> {
    let Chaos { faults, seed, seconds, only, keep } = asked;
    proof::setup()?;
    if std::env::var_os("WAGGONER_BIN_DIR").is_none() {
        programs::build()?;
    }
    let within = Duration::from_secs(seconds.unwrap_or(u64::from(faults) * 3 / 2));
    let kinds = if only.is_empty() { Kind::ALL.to_vec() } else { only };
    let report = run(&Settings { faults, seed, within, kinds, keep });
    for finding in &report.findings {
        eprintln!("{finding}");
    }
    if let Some(kept) = &report.kept {
        eprintln!("the logs of all daemons are in {kept}");
    }
    println!("{}", report.to_json());
    if !report.is_clean() {
        bail!("{} things are wrong after {faults} faults of seed {seed}", report.findings.len());
    }
    Ok(())
}

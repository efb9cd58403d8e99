//! Runs benchmarks, and prints what they print: one JSON object a line.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    programs::target,
    shell::{cargo, run},
};

/// The benchmarks there are: files of `tests/benches`.
const NAMES: [&str; 1] = ["dispatch"];

/// The crates of the benchmarks and of the programs that they start. Built together: by itself each
/// would be built with other features of what both use.
const PACKAGES: [&str; 4] = ["--package", "waggoner-tests", "--package", "waggoner-agent"];

/// Runs the benchmark of this name, or all.
pub(crate) fn bench(name: Option<&str>) -> Result<()> {
    let names: Vec<_> =
        NAMES.into_iter().filter(|known| name.is_none_or(|name| name == *known)).collect();
    if names.is_empty() {
        bail!("there is no such benchmark: choose among {}", NAMES.join(", "));
    }
    let mut build = cargo();
    build.args(["build", "--quiet", "--profile", "bench", "--bins"]).args(PACKAGES);
    run(build.args(names.iter().flat_map(|name| ["--bench", name])))?;
    names.into_iter().try_for_each(one)
}

#[expect(clippy::print_stdout, reason = "the rows are the answer")]
fn one(name: &str) -> Result<()> {
    let mut child = cargo()
        .args(["bench", "--quiet", "--bench", name])
        .args(PACKAGES)
        // Cargo builds the profile `bench` into the folder of releases.
        .env("WAGGONER_BIN_DIR", target().join("release"))
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start cargo")?;
    let stdout = child.stdout.take().expect("it is piped");
    for line in BufReader::new(stdout).lines() {
        let line = line.context("failed to read what the benchmark prints")?;
        // A daemon in the benchmark's process says on the same output that it is ready.
        if line.starts_with('{') {
            println!("{line}");
        }
    }
    let status = child.wait().context("failed to wait for the benchmark")?;
    if !status.success() {
        bail!("benchmark `{name}` ended with {status}");
    }
    Ok(())
}

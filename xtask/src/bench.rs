//! Runs benchmarks, and prints what they print: one JSON object a line.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    programs::target,
    proof,
    shell::{cargo, run},
};

/// A benchmark, and the packages that are built for it.
struct Bench {
    name: &'static str,
    /// Its own, and those of the programs that it starts. Built together: by itself each would be
    /// built with other features of what both use.
    packages: &'static [&'static str],
}

/// The benchmarks there are.
const BENCHES: [Bench; 9] = [
    Bench { name: "dispatch", packages: &["waggoner-tests", "waggoner-agent"] },
    Bench { name: "logs", packages: &["waggoner-tests", "waggoner-agent"] },
    Bench { name: "install", packages: &["waggoner-tests", "waggoner-agent"] },
    Bench { name: "installs", packages: &["waggoner-tests"] },
    Bench { name: "python", packages: &["waggoner-tests", "waggoner-agent"] },
    Bench { name: "scripts", packages: &["waggoner-tests", "waggoner-agent"] },
    Bench { name: "turns", packages: &["waggoner-engine"] },
    Bench { name: "supervised", packages: &["waggoner-supervisor"] },
    Bench { name: "parse", packages: &["waggoner-blueprint"] },
];

/// Runs the benchmark of this name, or all.
pub(crate) fn bench(name: Option<&str>) -> Result<()> {
    let benches: Vec<_> =
        BENCHES.iter().filter(|known| name.is_none_or(|name| name == known.name)).collect();
    if benches.is_empty() {
        bail!("there is no such benchmark: choose among {}", BENCHES.map(|it| it.name).join(", "));
    }
    for bench in &benches {
        let mut build = cargo();
        build.args(["build", "--quiet", "--profile", "bench", "--bins", "--bench", bench.name]);
        run(build.args(bench.packages()))?;
    }
    benches.into_iter().try_for_each(Bench::run)
}

// === impl Bench ===

impl Bench {
    fn packages(&self) -> impl Iterator<Item = &str> {
        self.packages.iter().flat_map(|name| ["--package", name])
    }

    #[expect(clippy::print_stdout, reason = "the rows are the answer")]
    fn run(&self) -> Result<()> {
        let mut bench = cargo();
        if ["parse", "install", "installs", "scripts"].contains(&self.name) {
            // They are measured beside the stock ones.
            bench.env("WAGGONER_ORACLE_PYTHON", proof::python()?);
        }
        let mut child = bench
            .args(["bench", "--quiet", "--bench", self.name])
            .args(self.packages())
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
            bail!("benchmark `{}` ended with {status}", self.name);
        }
        Ok(())
    }
}

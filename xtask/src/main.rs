//! The rules of the house as tests, and what people and CI run.

use std::process::ExitCode;

use clap::Parser;

mod bench;
mod chaos;
mod contracts;
mod fuzz;
mod programs;
mod proof;
#[cfg(test)]
mod rules;
mod shell;

/// What people and CI run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
enum Task {
    /// Builds the three programs and runs `wag` with the arguments that follow.
    Wag {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Installs what the tests need, then runs them all: format, lints, rules, tests.
    Test {
        /// Passed on to the test runner.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Runs the benchmarks, or the one of this name, and prints one JSON object a line.
    Bench { name: Option<String> },
    /// Runs whole processes through faults, and prints what came of it as one JSON object.
    Chaos(chaos::Chaos),
    /// Feeds the blueprint crate with texts that no user would write; keeps what it finds.
    Fuzz(fuzz::Fuzz),
    /// Installs what the tests need, and nothing else.
    Setup,
    /// Writes proto/descriptors.lock anew: for a contract that grew.
    LockContracts,
}

#[expect(clippy::print_stderr, reason = "the last words of the process")]
fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Wag { args } => return programs::wag(&args),
        Task::Test { args } => proof::test(&args),
        Task::Bench { name } => bench::bench(name.as_deref()),
        Task::Chaos(asked) => chaos::chaos(asked),
        Task::Fuzz(asked) => fuzz::fuzz(&asked),
        Task::Setup => proof::setup().map(drop),
        Task::LockContracts => contracts::lock(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

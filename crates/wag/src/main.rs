//! Parses the command line, runs it, and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use waggoner_wag::{Cli, Error, Ui};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut ui = Ui::terminal(&cli.global);
    match run(cli, &mut ui) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ui.report(&error),
    }
}

fn run(cli: Cli, ui: &mut Ui) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    runtime.block_on(waggoner_wag::run(cli, ui))
}

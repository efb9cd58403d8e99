//! Parses the command line, runs the manager, and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;
use waggoner_manager::{Config, Manager, StartError, report};

fn main() -> ExitCode {
    match run(Config::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn run(config: Config) -> Result<(), StartError> {
    waggoner_manager::log(config.log_format);
    let runtime = Runtime::new().map_err(StartError::Runtime)?;
    runtime.block_on(async {
        let manager = Manager::bind(config).await?;
        manager.run(terminated()).await
    })
}

async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};

    let mut term = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

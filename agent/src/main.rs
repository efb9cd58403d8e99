//! Parses the command line, runs the agent, and turns the outcome into an exit code.

use std::{io::IsTerminal as _, process::ExitCode};

use clap::Parser as _;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;
use waggoner_agent::{
    Agent, Config, ctx,
    error::{StartError, report},
};

fn main() -> ExitCode {
    if let Some(code) = ctx::called() {
        return code;
    }
    let config = Config::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .init();
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn run(config: Config) -> Result<(), StartError> {
    let runtime = Runtime::new().map_err(StartError::Runtime)?;
    runtime.block_on(async {
        let agent = Agent::bind(config).await?;
        tokio::select! {
            ended = agent.run(ordered(1)) => ended,
            () = ordered(2) => Ok(()),
        }
    })
}

/// Waits for so many orders to stop: the first one asks, the second one insists.
async fn ordered(times: u32) {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
    for _ in 0..times {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

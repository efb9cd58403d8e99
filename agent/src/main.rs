//! Parses the command line, runs the agent, and turns the outcome into an exit code.

use std::{io::IsTerminal as _, process::ExitCode};

use clap::Parser as _;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tokio_stream::{Stream, StreamExt as _, wrappers::SignalStream};
use tracing_subscriber::EnvFilter;
use waggoner_agent::{
    Agent, Config, ctx,
    error::{StartError, report},
    supervise,
};

fn main() -> ExitCode {
    if let Some(code) = ctx::called().or_else(supervise::called) {
        return code;
    }
    let config = Config::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        // Where the log has no room, to say so has none either: it would panic.
        .log_internal_errors(false)
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
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(StartError::Runtime)?;
    runtime.block_on(async {
        let agent = Agent::bind(config).await?;
        agent.run(orders()).await
    })
}

/// The orders to stop: the first one asks, the second one insists.
fn orders() -> impl Stream<Item = ()> + Unpin {
    let orders = |kind| SignalStream::new(signal(kind).expect("the signal can be handled"));
    orders(SignalKind::terminate()).merge(orders(SignalKind::interrupt()))
}

//! The supervisor of an agent's operations: this program, called as `waggoner-agent supervise`.

use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Parser as _;
use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;
use waggoner_supervisor::{Config, Home, Launch, supervise};
use waggoner_types::{Chain, Fault};

use crate::state::StateDir;

/// What the program is called with to be the supervisor.
const SUPERVISE: &str = "supervise";

/// Runs the supervisor of an agent's operations. The agent's daemon does that by itself.
#[derive(Debug, clap::Parser)]
#[command(name = "waggoner-agent supervise", bin_name = "waggoner-agent supervise", version)]
struct Arguments {
    /// The agent's own directory.
    state_dir: Utf8PathBuf,

    /// The directory of its socket and its log.
    run_dir: Utf8PathBuf,
}

/// Where the supervisor of an agent's operations lives.
pub(crate) fn home(state: &StateDir) -> Home {
    Home::new(state.root()).with_run(state.run())
}

/// How the supervisor is started: it is this program.
pub(crate) fn launch(program: Utf8PathBuf, state: &StateDir) -> Launch {
    let args = [SUPERVISE, state.root().as_str(), state.run().as_str()];
    let names = ["RUST_LOG", "RUST_BACKTRACE"];
    let env = names.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    Launch { program, args: args.map(str::to_owned).to_vec(), env: env.collect() }
}

/// Runs the supervisor, if this program was called to be it.
#[expect(clippy::print_stderr, reason = "the last words of the process")]
pub fn called() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    let program = args.next()?;
    if args.next()? != SUPERVISE {
        return None;
    }
    let Arguments { state_dir, run_dir } = Arguments::parse_from([program].into_iter().chain(args));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        // Where the log has no room, to say so has none either: it would panic.
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let config = Config::new(Home::new(state_dir).with_run(run_dir));
    let ended = Builder::new_current_thread().enable_all().build().map_err(Into::into);
    let ended: Result<(), Box<dyn std::error::Error>> =
        ended.and_then(|runtime| runtime.block_on(supervise(config)).map_err(Into::into));
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", Chain(&*error));
            ExitCode::from(Fault::Environment.exit_code())
        }
    })
}

//! Operations per second, from the manager through an agent's process to the stored outcome, beside
//! bare spawns of the same program.
//!
//! ```text
//!  this process                                        waggoner-agent
//!  Bench::run ─▶ store (on a disk) ─▶ mTLS ──────────▶ /bin/true ─▶ records ─▶ …
//! ```

use std::process::{Command, Stdio};

use clap::Parser as _;
use fs_err as fs;
use secrecy::ExposeSecret as _;
use tokio::{runtime::Runtime, sync::oneshot};
use waggoner_manager::{
    Config, Manager,
    bench::{Bench, Dispatcher},
};
use waggoner_testkit::{Daemon, program};

mod measure;

use measure::{Pairs, rate};

/// What an operation runs.
const PROGRAM: &str = "/bin/true";

/// How many pairs are taken; an odd number has a median of its own.
const PAIRS: usize = 15;

/// How many are in flight, and how many there are in one measurement.
const ROWS: [(usize, usize); 2] = [(1, 100), (32, 800)];

fn main() {
    Runtime::new().expect("a runtime can be started").block_on(async {
        // On a disk, where a commit costs what it costs.
        let folder = camino_tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.expect("cargo's folder is ours");
        let data_dir = folder.path().join("manager");
        let args = ["waggoner-manager", "--listen", "127.0.0.1:0", "--data-dir", data_dir.as_str()];
        let manager = Manager::bind(Config::parse_from(args)).await.expect("a manager can start");
        let dispatcher = manager.dispatcher();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            drop(stopped.await);
        };
        let measured = async {
            let (bench, agent) = prepare(&dispatcher, folder.path()).await;
            for (in_flight, count) in ROWS {
                row(&bench, in_flight, count).await;
            }
            drop((bench, agent, stop));
        };
        let (ran, ()) = tokio::join!(manager.run(shutdown), measured);
        ran.expect("the manager ran to its end");
    });
}

/// Starts an agent, and makes what its operations need.
async fn prepare(dispatcher: &Dispatcher, folder: &camino::Utf8Path) -> (Bench, Daemon) {
    let token = dispatcher.join_token().await.expect("a token can be made");
    let join = folder.join("token");
    fs::write(&join, token.expose_secret()).expect("the folder is ours");
    let mut command = Command::new(program("waggoner-agent"));
    command.args(["--name", "bench", "--manager", &dispatcher.address().to_string()]).args([
        "--join",
        join.as_str(),
        "--state-dir",
        folder.join("agent").as_str(),
    ]);
    let agent = Daemon::start(command, folder, "agent");
    let name = "bench".parse().expect("it is an agent's name");
    let bench = dispatcher.open(name).await.expect("a deployment can be made");
    (bench, agent)
}

async fn row(bench: &Bench, in_flight: usize, count: usize) {
    let mut pairs = Pairs::default();
    for round in 0..=PAIRS {
        let bench = bench.clone();
        let ours = rate(in_flight, count, move || dispatch(bench.clone())).await;
        let against = rate(in_flight, count, spawn).await;
        // The first pair warms up.
        if round > 0 {
            pairs.push(ours, against);
        }
    }
    pairs.print(&format!("dispatch-{in_flight}"), "operations/s", "spawn and wait");
}

async fn dispatch(bench: Bench) {
    let outcome = bench.run(PROGRAM, &[]).await.expect("the manager can store it");
    outcome.result.expect("the program succeeds");
}

async fn spawn() {
    let mut command = tokio::process::Command::new(PROGRAM);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().await.expect("the program can be started");
    assert!(status.success(), "{status}");
}

//! A manager in this process, and an agent's process that runs what it is told.

use std::{net::SocketAddr, process::Command};

use camino::Utf8Path;
use clap::Parser as _;
use fs_err as fs;
use secrecy::ExposeSecret as _;
use tokio::{runtime::Runtime, sync::oneshot};
use waggoner_manager::{
    Config, Manager,
    bench::{Bench, Dispatcher},
};
use waggoner_testkit::{Daemon, program};

/// Measures on a manager that was made ready and an agent, which has a directory and whose data are
/// on a disk, where a commit costs what it costs. A service manager would give the agent a directory
/// in memory as well.
///
/// # Panics
///
/// If one of them does not start, or does not end well.
pub(crate) fn measure_on_a_site(
    ready: impl AsyncFnOnce(&Dispatcher),
    measure: impl AsyncFnOnce(Bench, &Utf8Path),
) {
    measure_by_a_way(
        async |dispatcher| {
            ready(dispatcher).await;
            (dispatcher.address(), ())
        },
        async |bench, directory, ()| measure(bench, directory).await,
    );
}

/// The same, where the agent reaches its manager by a way of its own.
///
/// # Panics
///
/// If one of them does not start, or does not end well.
pub(crate) fn measure_by_a_way<W>(
    ready: impl AsyncFnOnce(&Dispatcher) -> (SocketAddr, W),
    measure: impl AsyncFnOnce(Bench, &Utf8Path, W),
) {
    Runtime::new().expect("a runtime can be started").block_on(async {
        let folder = camino_tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.expect("cargo's folder is ours");
        let memory = camino_tempfile::tempdir_in("/dev/shm").expect("Linux has it");
        let data_dir = folder.path().join("manager");
        let args = ["waggoner-manager", "--listen", "127.0.0.1:0", "--data-dir", data_dir.as_str()];
        let manager = Manager::bind(Config::parse_from(args)).await.expect("a manager can start");
        let dispatcher = manager.dispatcher();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            drop(stopped.await);
        };
        let measured = async {
            let (address, way) = ready(&dispatcher).await;
            let (bench, agent) =
                prepare(&dispatcher, [folder.path(), memory.path()], address).await;
            measure(bench, &folder.path().join("agent"), way).await;
            drop((agent, stop));
        };
        let (ran, ()) = tokio::join!(manager.run(shutdown), measured);
        ran.expect("the manager ran to its end");
    });
}

/// Starts an agent, and makes what its operations need.
async fn prepare(
    dispatcher: &Dispatcher,
    [folder, memory]: [&Utf8Path; 2],
    manager: SocketAddr,
) -> (Bench, Daemon) {
    let token = dispatcher.join_token().await.expect("a token can be made");
    let join = folder.join("token");
    fs::write(&join, token.expose_secret()).expect("the folder is ours");
    let mut command = Command::new(program("waggoner-agent"));
    command.args(["--name", "bench", "--manager", &manager.to_string()]).args([
        "--join",
        join.as_str(),
        "--state-dir",
        folder.join("agent").as_str(),
        "--runtime-dir",
        memory.as_str(),
    ]);
    let agent = Daemon::start(command, folder, "agent");
    let name = "bench".parse().expect("it is an agent's name");
    let bench = dispatcher.open(name).await.expect("a deployment can be made");
    (bench, agent)
}

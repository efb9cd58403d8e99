//! Operations per second of an installation in which they do nothing: through the engine, the
//! executions of the manager and its store on a disk; beside what SQLite alone commits there in
//! the same run, and beside the stock local workflows, which keep all in memory.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use clap::Parser as _;
use rusqlite::Connection;
use tokio::runtime::Runtime;
use waggoner_manager::{Config, bench::Installer};
use waggoner_testkit::run_python;

mod measure;
mod rate;

use measure::Pairs;
use rate::rate;

/// How many node instances the large installation has; each has three operations.
const LARGE: u32 = 10_000;

/// How many pairs are taken of it.
const PAIRS: usize = 5;

/// How many commits of SQLite alone are measured at a time.
const COMMITS: usize = 500;

/// The largest installation that the stock workflows do in some seconds, and how often they do.
const STOCK: (u32, usize) = (2_000, 3);

fn main() {
    Runtime::new().expect("a runtime can be started").block_on(async {
        let mut beside_sqlite = Pairs::default();
        for round in 0..=PAIRS {
            let (ours, commits) = (install(LARGE).await, sqlite().await);
            // The first pair warms up.
            if round > 0 {
                beside_sqlite.push(ours, commits);
            }
        }
        beside_sqlite.print("install-10000", "operations/s", "commits/s of SQLite alone");

        let (size, rounds) = STOCK;
        let mut beside_stock = Pairs::default();
        for _ in 0..rounds {
            beside_stock.push(install(size).await, stock(size));
        }
        beside_stock.print("install-2000", "operations/s", "the stock local workflows");
        let mut largest = Pairs::default();
        largest.push(install(LARGE).await, stock(LARGE));
        largest.print("install-10000-stock", "operations/s", "the stock local workflows");
    });
}

/// Installs a deployment of its own; returns operations per second.
async fn install(instances: u32) -> f64 {
    let folder = folder();
    let data_dir = folder.path().join("manager");
    let args = ["waggoner-manager", "--listen", "127.0.0.1:0", "--data-dir", data_dir.as_str()];
    let installer = Installer::open(Config::parse_from(args)).await.expect("a manager can start");
    installer.prepare("app", instances).await.expect("a deployment can be made");
    let start = Instant::now();
    let operations = installer.install("app").await.expect("nothing fails");
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(operations, 3 * instances);
    f64::from(operations) / seconds
}

/// Commits one row after the other as the store would; returns commits per second.
async fn sqlite() -> f64 {
    let folder = folder();
    let database = Connection::open(folder.path().join("alone.db")).expect("the folder is ours");
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;",
        )
        .expect("it is a new database");
    let database = Arc::new(Mutex::new(database));
    let commit = move || {
        let database = Arc::clone(&database);
        async move {
            let database = database.lock().expect("nobody panics with it");
            let statement = "INSERT INTO rows (text) VALUES ('a row like any other')";
            database.execute(statement, []).expect("there is room");
        }
    };
    rate(1, COMMITS, commit).await
}

/// Lets the stock workflows install as many; returns operations per second.
fn stock(instances: u32) -> f64 {
    let ran = run_python("stock_install.py", &[&instances.to_string()]);
    let number = |key: &str| ran[key].as_f64().expect("it says so");
    number("tasks") / number("seconds")
}

/// On a disk, where a commit costs what it costs.
fn folder() -> camino_tempfile::Utf8TempDir {
    camino_tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo's folder is ours")
}

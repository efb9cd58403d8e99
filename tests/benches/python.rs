//! Operations of a Python plugin, from the manager to the stored outcome, beside the stock
//! `python -m cloudify.dispatch` of the same functions against a stub of the manager: how many in a
//! second, and how many in a second of the host's CPU; at once, beside a bare loop of forks; and the
//! memory of what is kept warm and of what runs. What is called `python-least` is not ours: it is the
//! stock dispatcher in bare forks, and no way that forks for each operation can do better.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use tokio::time::sleep;
use waggoner_manager::bench::{Bench, Dispatcher};
use waggoner_python::{PackRequest, PackSource, interpreters, pack};
use waggoner_testkit::{cache, processes_of, root};
use waggoner_wagon::OsProperties;

mod measure;
mod rate;
mod site;

use measure::Pairs;
use rate::rate;
use site::measure_on_a_site;

/// How many pairs are taken; an odd number has a median of its own.
const PAIRS: usize = 9;

/// How many of ours are in one measurement: beside one of theirs.
const OURS: u32 = 20;

/// How many are in flight, and how many there are in one measurement.
const AT_ONCE: (usize, usize) = (32, 640);

/// How many run when their memory is looked at.
const RUNNING: usize = 8;

/// What a row of the stock dispatcher is against.
const STOCK: &str = "python -m cloudify.dispatch";

/// The stock dispatcher, and its stub of a manager.
struct Stock {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

fn main() {
    measure_on_a_site(upload, async |bench, directory| {
        // Installs, starts the warm server, and has it import the plugin.
        for _ in 0..3 {
            call(bench.clone(), "noop").await;
            sleep(Duration::from_millis(500)).await;
        }
        let python = environment(directory);
        let mut stock = Stock::start(&python);
        for (name, function) in [("noop", "noop"), ("usual", "usual")] {
            one_by_one(&bench, directory, &mut stock, name, function).await;
        }
        least(&python, &mut stock);
        at_once(&bench, &python).await;
        memory(&bench, directory).await;
        stock.end();
    });
}

/// Makes the plugin's wagon and keeps it in the manager.
async fn upload(dispatcher: &Dispatcher) {
    let found = interpreters().await;
    let python = found.iter().find(|python| python.tag == "py311").or(found.first());
    let cache = cache().join("packs");
    fs_err::create_dir_all(&cache).expect("the cache is ours");
    let request = PackRequest {
        source: PackSource::Directory(&root().join("tests/python/bench_plugin")),
        python: python.expect("this host has a Python"),
        cache: &cache,
        os: OsProperties::default(),
        with: &[],
    };
    let wagon = pack(&request).await.expect("the plugin can be packed");
    dispatcher.upload(&wagon).await.expect("the manager takes it");
}

async fn one_by_one(
    bench: &Bench,
    directory: &Utf8Path,
    stock: &mut Stock,
    name: &str,
    function: &'static str,
) {
    let [mut wall, mut cpu] = [(); 2].map(|()| Pairs::default());
    for round in 0..=PAIRS {
        let (before, begun) = (host_cpu(directory), Instant::now());
        for _ in 0..OURS {
            call(bench.clone(), function).await;
        }
        let ours = f64::from(OURS) / begun.elapsed().as_secs_f64();
        let ours_cpu = f64::from(OURS) / (host_cpu(directory) - before);
        let (their_wall, their_cpu) = stock.run(function);
        // The first pair warms up.
        if round > 0 {
            wall.push(ours, 1.0 / their_wall);
            cpu.push(ours_cpu, 1.0 / their_cpu);
        }
    }
    wall.print(&format!("python-{name}"), "operations/s", STOCK);
    cpu.print(&format!("python-{name}-cpu"), "operations/s of the agent's CPU", STOCK);
}

/// Prints what forks cost in which the stock dispatcher runs, with nothing around them.
fn least(python: &Utf8Path, stock: &mut Stock) {
    let [mut wall, mut cpu] = [(); 2].map(|()| Pairs::default());
    for _ in 0..PAIRS {
        let least = forks(python, "least", OURS as usize);
        let theirs = stock.run("noop");
        wall.push(least.0, 1.0 / theirs.0);
        cpu.push(least.1, 1.0 / theirs.1);
    }
    wall.print("python-least", "bare forks/s that dispatch", STOCK);
    cpu.print("python-least-cpu", "bare forks/s of CPU that dispatch", STOCK);
}

async fn at_once(bench: &Bench, python: &Utf8Path) {
    let mut pairs = Pairs::default();
    for round in 0..=PAIRS {
        let bench = bench.clone();
        let ours = rate(AT_ONCE.0, AT_ONCE.1, move || call(bench.clone(), "noop")).await;
        let (forks, _) = forks(python, "forks", AT_ONCE.1);
        if round > 0 {
            pairs.push(ours, forks);
        }
    }
    pairs.print(&format!("python-{}", AT_ONCE.0), "operations/s", "os.fork in a loop");
}

/// Prints the memory of the warm server and of an operation beside that of a process that was
/// started for itself.
async fn memory(bench: &Bench, directory: &Utf8Path) {
    let servers = warm(directory);
    let before = servers.iter().map(|pid| pss(*pid)).sum::<f64>();
    let all = async {
        let calls = (0..RUNNING).map(|_| call(bench.clone(), "stay"));
        let mut running = tokio::task::JoinSet::new();
        for one in calls {
            running.spawn(one);
        }
        running.join_all().await;
    };
    let look = async {
        sleep(Duration::from_secs(4)).await;
        let forked = warm(directory);
        forked.iter().map(|pid| pss(*pid)).sum::<f64>()
    };
    let ((), during) = tokio::join!(all, look);
    let running = f64::from(u32::try_from(RUNNING).expect("it is small"));
    let (mut idle, mut each) = (Pairs::default(), Pairs::default());
    idle.push(before, 1024.0);
    each.push((during - before) / running, 1024.0);
    idle.print("python-memory-warm-server", "KiB (PSS), with its spare fork", "1 MiB");
    each.print("python-memory-operation", "KiB (PSS)", "1 MiB");
}

async fn call(bench: Bench, function: &'static str) {
    let function = format!("bench_plugin.{function}");
    let outcome = bench.call(&function).await.expect("the manager can store it");
    outcome.result.expect("the operation succeeds");
}

/// Finds the interpreter of the environment that the agent has made.
fn environment(directory: &Utf8Path) -> Utf8PathBuf {
    let servers = warm(directory);
    let pid = servers.first().expect("a server is warm");
    let line = fs_err::read_to_string(format!("/proc/{pid}/cmdline")).expect("it lives");
    line.split('\0').next().expect("it has a program").into()
}

/// Lists the warm server of an agent and its forks.
fn warm(directory: &Utf8Path) -> Vec<u32> {
    let processes = processes_of(directory).into_iter();
    let warm = processes.filter(|process| process.command.contains("waggoner_runtime.server"));
    warm.map(|process| process.pid).collect()
}

/// Returns the seconds of CPU that an agent's processes have used, with those that have ended.
fn host_cpu(directory: &Utf8Path) -> f64 {
    let ticks: u32 = processes_of(directory).iter().map(|process| ticks(process.pid)).sum();
    f64::from(ticks) / 100.0
}

/// Returns the clock ticks, of a hundredth of a second, of a process and the children it has reaped.
fn ticks(pid: u32) -> u32 {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, rest) = stat.rsplit_once(") ").unwrap_or_default();
    let fields = rest.split_ascii_whitespace().skip(11).take(4);
    fields.filter_map(|field| field.parse::<u32>().ok()).sum()
}

/// Returns the KiB that are a process's own, and its share of those it shares.
fn pss(pid: u32) -> f64 {
    let rollup = fs_err::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
}

/// Forks from a process that has imported the same; returns how many in a second, and in a second of
/// CPU.
fn forks(python: &Utf8Path, what: &str, count: usize) -> (f64, f64) {
    let output = Command::new(python).args([&script(), what, &count.to_string()]).output();
    let output = output.expect("the interpreter can be started");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("it answers in JSON");
    let count = f64::from(u32::try_from(count).expect("it is small"));
    let rate = |key: &str| count / answer[key].as_f64().expect("it says so");
    (rate("wall"), rate("cpu"))
}

fn script() -> String {
    root().join("tests/python/stock_dispatch.py").into_string()
}

// === impl Stock ===

impl Stock {
    fn start(python: &Utf8Path) -> Self {
        let mut command = Command::new(python);
        command.arg(script()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the interpreter can be started");
        let asks = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, asks, answers }
    }

    /// Runs a function; returns its seconds of time and of CPU.
    fn run(&mut self, function: &str) -> (f64, f64) {
        writeln!(self.asks, "{function}").expect("it reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        let answer: Value = serde_json::from_str(&line).expect("it answers in JSON");
        let number = |key: &str| answer[key].as_f64().expect("it says so");
        (number("wall"), number("cpu"))
    }

    fn end(self) {
        let Self { mut child, asks, answers } = self;
        drop((asks, answers));
        child.wait().expect("it ends with its stdin");
    }
}

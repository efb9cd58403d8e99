//! What a no-op operation costs through the supervisor and its journal, beside a bare spawn with
//! two pipes in the same run. Prints one JSON object a line.

use std::{
    env,
    process::Stdio,
    time::{Duration, Instant},
};

use camino::Utf8PathBuf;
use camino_tempfile::Utf8TempDir;
use futures_util::{StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use waggoner_supervisor::{
    Config, Event, Events, Home, Launch, Leave, Limits, Mode, Spawn, Supervisor, supervise,
};
use waggoner_task::Tasks;
use waggoner_types::{AttemptId, Body, Exit, Outcome, Record};
use waggoner_wire::to_record;

const PROGRAM: &str = "/bin/true";
/// Operations of one round. Rounds of both kinds alternate; the median of the rounds counts.
const OPERATIONS: usize = 600;
const ROUNDS: usize = 5;
/// Output of one process: less than what an attempt may keep.
const BYTES: usize = 200_000_000;

/// Who waits for the end of an attempt.
type Waiting = (AttemptId, oneshot::Sender<()>);

#[expect(clippy::print_stdout, reason = "the rows are the answer")]
fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    if let Ok(home) = env::var("BENCH_HOME") {
        return runtime.block_on(supervise(Config::new(Home::new(home)))).expect("it supervises");
    }
    let rows = runtime.block_on(measure());
    for row in rows {
        println!("{row}");
    }
}

async fn measure() -> Vec<String> {
    let directory = Utf8TempDir::new().expect("a directory can be made");
    let home = Home::new(directory.path().join("home"));
    let program = env::current_exe().expect("we are a file");
    let env = [("BENCH_HOME".to_owned(), home.directory().to_string())].into();
    let program = Utf8PathBuf::try_from(program).expect("its path is UTF-8");
    let launch = Launch { program, args: Vec::new(), env };
    let connected = Supervisor::connect_or_start(&home, &launch).await;
    let (supervisor, events, greeting) = connected.expect("it starts");
    let tasks = Tasks::default();
    let (waiting, waiting_rx) = mpsc::channel(1024);
    tasks.spawn("events", listen(events, waiting_rx));

    let mut rows = Vec::new();
    for in_flight in [1, 32] {
        let (mut bare, mut supervised) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(round(in_flight, bare_spawn).await);
            supervised.push(round(in_flight, || operation(&supervisor, &waiting)).await);
        }
        let (bare, supervised) = (middle(bare), middle(supervised));
        rows.push(format!(
            "{{\"bench\":\"supervised\",\"in_flight\":{in_flight},\"cgroups\":{},\
             \"bare_per_second\":{:.0},\"supervised_per_second\":{:.0},\"ratio\":{:.2},\
             \"bare_ms\":{:.2},\"supervised_ms\":{:.2},\"added_ms\":{:.2},\"resident_kib\":{}}}",
            greeting.cgroups,
            bare.0,
            supervised.0,
            supervised.0 / bare.0,
            bare.1,
            supervised.1,
            supervised.1 - bare.1,
            resident(greeting.pid),
        ));
    }
    let pipe = carried(None, &supervisor, &waiting).await;
    for (mode, name) in [(Mode::Raw, "raw"), (Mode::Lines, "lines")] {
        let rate = carried(Some(mode), &supervisor, &waiting).await;
        rows.push(format!(
            "{{\"bench\":\"supervised\",\"output\":\"{name}\",\"pipe_mb_per_second\":{pipe:.0},\
             \"mb_per_second\":{rate:.0},\"ratio\":{:.2},\"resident_kib\":{}}}",
            rate / pipe,
            resident(greeting.pid),
        ));
    }
    supervisor.shutdown(Leave::Now).await.expect("it ends");
    rows
}

/// Operations per second, and the milliseconds of the median one.
async fn round<F: Future<Output = ()>>(in_flight: usize, one: impl Fn() -> F) -> (f64, f64) {
    let began = Instant::now();
    let mut took: Vec<Duration> = stream::iter(0..OPERATIONS)
        .map(|_| async {
            let began = Instant::now();
            one().await;
            began.elapsed()
        })
        .buffer_unordered(in_flight)
        .collect()
        .await;
    let count = u32::try_from(OPERATIONS).expect("it is small");
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    took.sort_unstable();
    (rate, took[OPERATIONS / 2].as_secs_f64() * 1000.0)
}

/// Megabytes of 100-byte lines per second, from a child into the journal; or into `cat`.
async fn carried(
    mode: Option<Mode>,
    supervisor: &Supervisor,
    waiting: &mpsc::Sender<Waiting>,
) -> f64 {
    let source = format!("yes {} | head -c {BYTES}", "x".repeat(99));
    let mut rates = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        match mode {
            None => {
                let script = format!("{source} | cat > /dev/null");
                let mut command = tokio::process::Command::new("/bin/sh");
                let status = command.args(["-c", &script]).status().await;
                assert!(status.expect("it runs").success());
            }
            Some(mode) => {
                let args = vec!["-c".to_owned(), source.clone()];
                let env = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
                let spawn = Spawn { args, env, stdout: mode, ..Spawn::new("/bin/sh", "/") };
                run(supervisor, waiting, &spawn).await;
            }
        }
        let bytes = f64::from(u32::try_from(BYTES).expect("it is small"));
        rates.push((bytes / 1e6 / began.elapsed().as_secs_f64(), 0.0));
    }
    middle(rates).0
}

fn middle(mut rounds: Vec<(f64, f64)>) -> (f64, f64) {
    rounds.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    rounds[rounds.len() / 2]
}

async fn bare_spawn() {
    let mut command = tokio::process::Command::new(PROGRAM);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let output = command.spawn().expect("it starts").wait_with_output().await;
    assert!(output.expect("it ends").status.success());
}

async fn operation(supervisor: &Supervisor, waiting: &mpsc::Sender<Waiting>) {
    let limits = Limits { run: Some(Duration::from_mins(1)), ..Limits::default() };
    run(supervisor, waiting, &Spawn { limits, ..Spawn::new(PROGRAM, "/") }).await;
}

/// Opens, spawns, waits for the end and writes the outcome, as a daemon does.
async fn run(supervisor: &Supervisor, waiting: &mpsc::Sender<Waiting>, spawn: &Spawn) {
    let attempt = AttemptId(uuid::Uuid::now_v7());
    let (ended_tx, ended) = oneshot::channel();
    waiting.send((attempt, ended_tx)).await.expect("somebody listens");
    let started = supervisor.open_and_spawn(attempt, 1, vec![0; 2048], spawn).await;
    started.expect("it is opened and starts");
    ended.await.expect("it ends");
    let outcome = Outcome { result: Ok(serde_json::Value::Null), exit: Some(Exit::Code(0)) };
    let (time, body) = (jiff::Timestamp::now(), Body::Outcome(outcome));
    let record = prost::Message::encode_to_vec(&to_record(Record { sequence: 0, time, body }));
    let end = supervisor.end(attempt, record).await.expect("the outcome is written");
    supervisor.ack(attempt, end.sequence).await.expect("it is acknowledged");
}

async fn listen(mut events: Events, mut waiting: mpsc::Receiver<Waiting>) {
    let mut known = std::collections::HashMap::new();
    loop {
        tokio::select! {
            biased;
            Some((attempt, ended)) = waiting.recv() => {
                known.insert(attempt, ended);
            }
            event = events.next() => match event {
                Some(Event::Ended { attempt, .. }) => {
                    known.remove(&attempt).map(|ended: oneshot::Sender<()>| ended.send(()));
                }
                Some(_) => {}
                None => return,
            },
        }
    }
}

fn resident(pid: i32) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

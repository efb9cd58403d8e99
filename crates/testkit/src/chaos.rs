//! Chaos: a site of real processes at work while its daemons are killed, its network is cut and
//! its disks are full; and the verdict on what came of it.
//!
//! ```text
//!  seed ─▶ schedule ─▶ Stage ─── kill, cut, weather, fill, pause ──▶ manager, agents, cables
//!                                                                         ▲
//!          Lanes ─────── deploy, install, wait, wave after wave ──────────┘
//!                                                                         │ events, properties
//!          work ──────── what has to be there ──▶ verdict ◀───────────────┘ + counts of runs
//! ```

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde_json::{Value, json};

mod diary;
mod random;
mod schedule;
mod stage;
mod verdict;
mod waves;
mod work;

pub use schedule::{Agent, Fault, Kind, Planned, UnknownKind, Whom, schedule};

use diary::Diary;
use stage::Stage;
use verdict::{Wrong, judge};
use waves::{BLUEPRINT, Lane, Wave};

/// What a run is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub faults: u32,
    pub seed: u64,
    /// Within how long the faults begin. The run ends [some minutes](PATIENCE) later at the latest.
    pub within: Duration,
    pub kinds: Vec<Kind>,
    /// Whether the logs are kept also where nothing is wrong.
    pub keep: bool,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub faults: u32,
    pub seed: u64,
    pub operations: usize,
    pub lost_bytes: u64,
    pub repeated_bytes: u64,
    pub extra_runs: u64,
    pub wrong_properties: u64,
    pub left_processes: usize,
    /// Executions that did not end well.
    pub failed_executions: usize,
    pub lasted: Duration,
    /// What is wrong, a line for each.
    pub findings: Vec<String>,
    /// Where the logs of all daemons are, if they are kept.
    pub kept: Option<Utf8PathBuf>,
}

/// How long installations may take that had begun before the last fault ended.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// How many installations run at once.
const LANES: usize = 2;

/// How often the stage is looked after.
const TURN: Duration = Duration::from_millis(20);

/// Runs it all, and says on standard error what goes on.
///
/// # Panics
///
/// If the site cannot be made.
pub fn run(settings: &Settings) -> Report {
    let Settings { faults, seed, within, kinds, keep } = settings;
    let mut stage = Stage::open(*seed);
    let runs = stage.folder().join("runs");
    fs::create_dir(&runs).expect("the folder is ours");
    stage.file("blueprint/scripts/work.sh", work::SCRIPT);
    let blueprint = stage.file("blueprint/blueprint.yaml", &work::blueprint());
    stage.wag().ok(&["blueprints", "upload", blueprint.as_str(), "--blueprint-id", BLUEPRINT]);

    let mut diary = Diary::open(stage.folder());
    let planned = schedule(*seed, *faults, *within, kinds);
    let last = planned.iter().map(|one| one.at + one.lasting).max().unwrap_or_default();
    let deadline = diary.begun() + last.max(*within) + PATIENCE;
    let is_over = AtomicBool::new(false);
    let lanes = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|number| {
                let (wag, runs) = (stage.wag(), runs.clone());
                let lane = Lane { number, wag, runs, is_over: &is_over, deadline };
                scope.spawn(move || lane.run())
            })
            .collect();
        act(&mut stage, &mut diary, &planned);
        is_over.store(true, Ordering::Relaxed);
        while !lanes.iter().all(thread::ScopedJoinHandle::is_finished) {
            stage.tend(&mut diary);
            thread::sleep(TURN);
        }
        lanes.into_iter().map(|lane| lane.join().expect("a lane ends")).collect::<Vec<_>>()
    });
    let mut waves = Vec::new();
    for lane in lanes {
        match lane {
            Ok(done) => waves.extend(done),
            Err(error) => diary.find(error),
        }
    }
    let wrong = look(&stage, &mut diary, &runs, &waves);
    let left = stage.close();
    for process in &left {
        diary.find(format!("left: {} {}", process.pid, process.command));
    }
    let lasted = diary.begun().elapsed();
    let mut findings = diary.findings();
    findings.extend(wrong.findings);
    let kept = (*keep || !findings.is_empty()).then(|| keep_logs(&stage, *seed, &findings));
    Report {
        faults: *faults,
        seed: *seed,
        operations: waves.iter().map(|wave| work::operations(&wave.id).count()).sum(),
        lost_bytes: wrong.lost_bytes,
        repeated_bytes: wrong.repeated_bytes,
        extra_runs: wrong.extra_runs,
        wrong_properties: wrong.properties,
        left_processes: left.len(),
        failed_executions: waves.iter().filter(|wave| wave.trouble.is_some()).count(),
        lasted,
        findings,
        kept,
    }
}

/// Lets the faults begin and end at their times, until the last has ended.
fn act(stage: &mut Stage, diary: &mut Diary, planned: &[Planned]) {
    let mut moments: Vec<_> = planned
        .iter()
        .enumerate()
        .flat_map(|(number, one)| {
            [(one.at, true, number, one), (one.at + one.lasting, false, number, one)]
        })
        .collect();
    // What ends at the same time as another begins has ended before it.
    moments.sort_by_key(|(at, begins, number, _)| (*at, *begins, *number));
    let begun = diary.begun();
    for (at, begins, number, one) in moments {
        while begun.elapsed() < at {
            stage.tend(diary);
            thread::sleep(TURN.min(at.saturating_sub(begun.elapsed())));
        }
        if begins {
            let (number, running) = (number + 1, stage.running());
            let Planned { fault, lasting, .. } = one;
            diary.note(&format!("{number}: {fault}, {lasting:?} ({running} operations run)"));
            stage.begin(&one.fault);
        } else {
            stage.end(&one.fault);
        }
    }
    diary.note("no more faults");
}

/// Reads from the manager what came of the waves, and judges it.
fn look(stage: &Stage, diary: &mut Diary, runs: &Utf8Path, waves: &[Wave]) -> Wrong {
    let wag = stage.wag();
    let mut wrong = Wrong::default();
    for wave in waves {
        let after = |time: Instant| (time - diary.begun()).as_secs_f32();
        let (begun, ended) = (after(wave.begun), after(wave.ended));
        diary.note(&format!("{} ({}): {begun:.1} s to {ended:.1} s", wave.id, wave.execution));
        if let Some(trouble) = &wave.trouble {
            diary.find(format!("{}: {trouble}", wave.id));
        }
        match wave.seen(&wag, runs) {
            Ok(seen) => wrong.add(judge(&wave.id, &seen)),
            Err(error) => diary.find(format!("{}: cannot be read: {error}", wave.id)),
        }
    }
    wrong
}

/// Keeps what daemons have written, and the findings beside it.
fn keep_logs(stage: &Stage, seed: u64, findings: &[String]) -> Utf8PathBuf {
    let own = std::process::id();
    let temporary = Utf8PathBuf::from_path_buf(std::env::temp_dir()).unwrap_or("/tmp".into());
    let directory = temporary.join(format!("waggoner-chaos-{seed}-{own}"));
    fs::create_dir_all(&directory).expect("there is room for logs");
    stage.keep(&directory);
    fs::write(directory.join("findings.txt"), findings.join("\n")).expect("the folder is ours");
    directory
}

// === impl Report ===

impl Report {
    /// Says whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// The figures as one JSON object.
    pub fn to_json(&self) -> Value {
        json!({
            "faults": self.faults,
            "operations": self.operations,
            "lost_bytes": self.lost_bytes,
            "repeated_bytes": self.repeated_bytes,
            "extra_runs": self.extra_runs,
            "wrong_properties": self.wrong_properties,
            "left_processes": self.left_processes,
            "failed_executions": self.failed_executions,
            "seed": self.seed,
            "seconds": self.lasted.as_secs(),
        })
    }
}

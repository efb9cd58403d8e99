//! What a turn of the engine costs, and how much memory a task takes, for installations of
//! different sizes. Each row does the same work in all: many small ones, or one large one.

use std::{
    collections::VecDeque, env, hint::black_box, process::Command, sync::Arc, time::Instant,
};

use fs_err as fs;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use waggoner_engine::{Effect, Event, Execution, Start};
use waggoner_types::plan::Plan;

/// How many instances one installation has.
const SIZES: [usize; 3] = [100, 1_000, 10_000];

/// How many instances all installations of a row have together.
const TOGETHER: usize = 10_000;

/// How often a row is measured; the best counts: what disturbs only makes it slower.
const ROUNDS: usize = 7;

/// Lets this program measure the memory of a size instead.
const MEMORY_OF: &str = "WAGGONER_BENCH_MEMORY_OF";

#[expect(clippy::print_stdout, reason = "rows are what a benchmark is for")]
fn main() {
    if let Ok(size) = env::var(MEMORY_OF) {
        let row = Row::of(size.parse().expect("it is a size"));
        println!("{}", row.memory());
        return;
    }
    let rows: Vec<Row> = SIZES.into_iter().map(Row::of).collect();
    // Turn and turn about, so that all have the same host under them.
    let mut best = vec![f64::MAX; rows.len()];
    for _ in 0..ROUNDS {
        for (row, best) in rows.iter().zip(&mut best) {
            *best = best.min(row.turn());
        }
    }
    let memory: Vec<f64> = SIZES.into_iter().map(memory_of).collect();
    let against = format!("{} instances", SIZES[0]);
    for ((size, turn), memory_here) in SIZES.into_iter().zip(&best).zip(&memory) {
        for (name, value, unit, ratio) in [
            ("turn", *turn, "ns/turn", turn / best[0]),
            ("memory", *memory_here, "bytes/task", memory_here / memory[0]),
        ] {
            let row = json!({
                "name": format!("engine-{name}-{size}"),
                "value": value.round(),
                "unit": unit,
                "against": against,
                "ratio": (ratio * 1000.0).round() / 1000.0,
            });
            println!("{row}");
        }
    }
}

/// Installations of one size.
struct Row {
    size: usize,
    plan: Arc<Plan>,
    start: Start,
}

// === impl Row ===

impl Row {
    fn of(size: usize) -> Self {
        let plan: Plan = serde_json::from_value(plan(size)).expect("it is of a plan's shape");
        let start = Start::new("install", plan.node_instances.clone());
        Self { size, plan: Arc::new(plan), start }
    }

    /// What a turn costs, in nanoseconds.
    #[expect(clippy::cast_precision_loss, reason = "counts of some hundred thousands")]
    fn turn(&self) -> f64 {
        let mut executions = self.executions();
        let start = Instant::now();
        let turns: usize = executions.iter_mut().map(run).sum();
        start.elapsed().as_nanos() as f64 / turns as f64
    }

    /// How many bytes an operation takes, with all that belongs to it.
    #[expect(clippy::cast_precision_loss, reason = "counts of some hundred thousands")]
    fn memory(&self) -> f64 {
        // What was freed before is filled first.
        let filling = self.executions();
        let before = resident();
        let executions: Vec<Execution> = (0..4).flat_map(|_| self.executions()).collect();
        let grown = resident() - before;
        drop(filling);
        let tasks: usize = executions.iter().map(Execution::operations).sum();
        grown as f64 / tasks as f64
    }

    fn executions(&self) -> Vec<Execution> {
        (0..TOGETHER / self.size)
            .map(|_| Execution::start(Arc::clone(&self.plan), &self.start).expect("it can start"))
            .collect()
    }
}

/// The memory of a size, measured in a process that has nothing else in it.
fn memory_of(size: usize) -> f64 {
    let this = env::current_exe().expect("it runs");
    let said = Command::new(this).env(MEMORY_OF, size.to_string()).output();
    let said = String::from_utf8(said.expect("it can be started").stdout).expect("it is text");
    said.trim().parse().expect("it is a number")
}

/// Runs an execution to its end, every operation a success. Returns how many turns it took.
fn run(execution: &mut Execution) -> usize {
    let mut now = Timestamp::UNIX_EPOCH;
    let mut out = VecDeque::new();
    let mut turns = 0;
    let mut next = Some(Event::Started);
    while let Some(event) = next {
        turns += 1;
        now = now.saturating_add(SignedDuration::from_micros(1)).expect("it is a fixed duration");
        for effect in execution.step(event, now) {
            if let Effect::Dispatch(dispatch) = black_box(effect) {
                let (task, retry_number) = (dispatch.task, dispatch.retry_number);
                out.push_back(Event::OperationStarted { task, retry_number });
                let result = Value::Null;
                out.push_back(Event::OperationSucceeded { task, retry_number, result });
            }
        }
        next = out.pop_front();
    }
    assert!(execution.is_over(), "nothing is out, so it has ended");
    turns
}

/// Hosts with nine applications each, which are related to one network.
fn plan(size: usize) -> Value {
    let operations = |names: &[&str]| -> Value {
        let of = |name: &&str| {
            let name = format!("cloudify.interfaces.{name}");
            let operation = json!({ "plugin": "p", "operation": "p.tasks.nothing", "inputs": {} });
            (name, operation)
        };
        names.iter().map(of).collect::<serde_json::Map<_, _>>().into()
    };
    let lifecycle = operations(&["lifecycle.create", "lifecycle.configure", "lifecycle.start"]);
    let node = |id: &str, targets: &[(&str, &str)]| {
        let relationships: Vec<Value> = targets
            .iter()
            .map(|(target, kind)| {
                json!({
                    "target_id": target, "type": format!("cloudify.relationships.{kind}"),
                    "type_hierarchy": [format!("cloudify.relationships.{kind}")],
                    "source_operations": operations(&["relationship_lifecycle.establish"]),
                    "target_operations": {},
                })
            })
            .collect();
        json!({
            "id": id, "type": "t", "type_hierarchy": ["cloudify.nodes.Root"],
            "operations": lifecycle, "relationships": relationships,
        })
    };
    let instance = |id: String, node: &str, targets: &[(String, &str)]| {
        let relationships: Vec<Value> = targets
            .iter()
            .map(|(target, name)| json!({ "target_id": target, "target_name": name }))
            .collect();
        json!({ "id": id, "node_id": node, "relationships": relationships })
    };
    let mut instances = vec![instance("net_0".to_owned(), "net", &[])];
    for number in 1..size {
        let host = format!("host_{}", number / 10);
        instances.push(if number % 10 == 0 || number == 1 {
            instance(host, "host", &[("net_0".to_owned(), "net")])
        } else {
            let targets = [(host, "host"), ("net_0".to_owned(), "net")];
            instance(format!("app_{number}"), "app", &targets)
        });
    }
    json!({
        "nodes": [
            node("net", &[]),
            node("host", &[("net", "connected_to")]),
            node("app", &[("host", "contained_in"), ("net", "connected_to")]),
        ],
        "node_instances": instances,
    })
}

/// How much memory the process has, in bytes.
fn resident() -> usize {
    const PAGE: usize = 4096;
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("the second number is that of resident pages") * PAGE
}

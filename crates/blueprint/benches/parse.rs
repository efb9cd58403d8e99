//! What blueprints of the AWS plugin cost to parse and to plan, beside the stock `dsl_parser`.
//!
//! `WAGGONER_AWS_PLUGIN_YAML` names the plugin's own `plugin_1_5.yaml`; without it, a text of its size
//! and shape is imported. `WAGGONER_ORACLE_PYTHON` is a Python with `cloudify-common==7.0.5`.

use std::{
    collections::HashMap,
    env,
    hint::black_box,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};
use waggoner_blueprint::{
    Blueprint, FetchError, Fetched, Location, Options, Request, Resolver, SeededIds, parse,
    prepare_deployment,
};

/// How often we are measured, and the stock parser for the small blueprint.
const TIMES: usize = 9;
const STOCK_TIMES: usize = 5;

/// The stock parser, as a process of its own.
struct Stock {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// A blueprint with the texts that it imports.
struct Texts {
    dsl: String,
    imports: Value,
}

fn main() {
    let (mut stock, texts) = Stock::start();
    let ours = |name: &str| median((0..TIMES).map(|_| texts[name].parsed()).collect());
    let small = ours("60x1");
    let against = median((0..STOCK_TIMES).map(|_| stock.seconds("60x1")["parse"]).collect());
    let is_real = env::var_os("WAGGONER_AWS_PLUGIN_YAML").is_some();
    let which = if is_real { "" } else { ", a plugin.yaml of the AWS plugin's shape" };
    let stock_name = |what: &str| format!("dsl_parser {what}");
    row("parse-60", small, &stock_name(&format!("60 nodes{which}")), against);
    let middle = ours("600x1");
    row("parse-600", middle, &stock_name("600 nodes"), stock.seconds("600x1")["parse"]);
    let large = ours("6000x1");
    // The plugin costs the same however many nodes there are: what nodes cost is compared.
    row(
        "parse-per-node-6000",
        (large - small) / 5940.0,
        "600 nodes, per node",
        (middle - small) / 540.0,
    );
    let planned = median((0..3).map(|_| texts["6000x5"].planned()).collect());
    row("plan-6000x5", planned, &stock_name("600x5"), stock.seconds("600x5")["plan"]);
    stock.end();
}

/// Prints a row: ours in milliseconds, and how many times longer the other takes.
#[expect(clippy::print_stdout, reason = "rows are what a benchmark is for")]
fn row(name: &str, seconds: f64, against: &str, other: f64) {
    let thousandths = |number: f64| (number * 1000.0).round() / 1000.0;
    let row = json!({
        "name": name,
        "value": thousandths(seconds * 1000.0),
        "unit": "ms",
        "against": against,
        "ratio": thousandths(other / seconds),
    });
    println!("{row}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

// === impl Stock ===

impl Stock {
    fn start() -> (Self, HashMap<String, Texts>) {
        let python = env::var_os("WAGGONER_ORACLE_PYTHON").expect("a Python with cloudify-common");
        let root = env!("CARGO_MANIFEST_DIR");
        let mut child = Command::new(python)
            .arg(format!("{root}/benches/parse.py"))
            .arg(format!("{root}/tests/differential"))
            .arg(format!("{root}/src/types/types_1_3.yaml"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut stock = Self { child, input, output };
        let mut texts = HashMap::new();
        loop {
            let line = stock.line();
            if line.trim().is_empty() {
                return (stock, texts);
            }
            let made: Value = serde_json::from_str(&line).expect("a line is JSON");
            let text = |key: &str| made[key].as_str().expect("it is text").to_owned();
            let of = Texts { dsl: text("dsl"), imports: made["imports"].clone() };
            texts.insert(text("name"), of);
        }
    }

    /// What the stock parser needs for a blueprint.
    fn seconds(&mut self, name: &str) -> HashMap<String, f64> {
        writeln!(self.input, "{name}").expect("Python listens");
        serde_json::from_str(&self.line()).expect("a line is JSON")
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("Python answers");
        assert!(!line.is_empty(), "Python ended");
        line
    }

    fn end(mut self) {
        drop(self.input);
        assert!(self.child.wait().expect("Python ends").success(), "the stock parser failed");
    }
}

// === impl Texts ===

impl Texts {
    /// The seconds that we need to parse it.
    fn parsed(&self) -> f64 {
        let started = Instant::now();
        let plan = self.plan();
        let seconds = started.elapsed().as_secs_f64();
        drop(black_box(plan));
        seconds
    }

    /// The seconds that we need to parse it, and to make its node instances.
    fn planned(&self) -> f64 {
        let started = Instant::now();
        let plan = self.plan();
        let deployment = prepare_deployment(plan, Request::default(), &mut SeededIds::new(1));
        let seconds = started.elapsed().as_secs_f64();
        let made = deployment.expect("it can be planned");
        let count = made["node_instances"].as_array().map_or(0, Vec::len);
        assert!(count >= 6000, "{count} instances");
        seconds
    }

    fn plan(&self) -> waggoner_blueprint::Plan {
        let blueprint = Blueprint { text: &self.dsl, location: "blueprint.yaml" };
        parse(blueprint, self, &Options::default()).expect("the blueprint is sound")
    }
}

impl Resolver for Texts {
    fn fetch(&self, location: &Location, _: &str) -> Result<Option<Fetched>, FetchError> {
        let text = self.imports[location.to_string()].as_str();
        Ok(text.map(|text| Fetched { text: text.to_owned(), ..Fetched::default() }))
    }

    fn has_file(&self, _: &str) -> bool {
        false
    }
}

//! Generated blueprints mean the same to the stock `dsl_parser` and to us.
//!
//! `WAGGONER_ORACLE_PYTHON` names a Python that has `cloudify-common==7.0.5`; without
//! it nothing is compared. `WAGGONER_DIFFERENTIAL=2000` asks for that many blueprints.

#[path = "conformance/compare.rs"]
mod compare;

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{BufRead, BufReader},
    iter,
    num::NonZero,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use serde_json::Value as Json;
use waggoner_blueprint::{
    Blueprint, FetchError, Fetched, Location, Options, Request, Resolver, SeededIds, parse,
    prepare_deployment,
};

/// How many blueprints are compared unless another number is asked for: a minute's worth.
const COUNT: usize = 2000;

struct Texts<'t>(&'t Json);

impl Resolver for Texts<'_> {
    fn fetch(&self, location: &Location, _: &str) -> Result<Option<Fetched>, FetchError> {
        let text = self.0[location.to_string()].as_str();
        Ok(text.map(|text| Fetched { text: text.to_owned(), ..Fetched::default() }))
    }

    fn has_file(&self, _: &str) -> bool {
        false
    }
}

/// How we differ from the stock parser.
enum How {
    RefusedOtherwise(String),
    Differs(String),
}

/// Compares what we make of a request with the recorded answer.
fn compare(request: &Json, answer: &Json) -> Result<(), How> {
    let text = request["dsl"].as_str().unwrap_or_default();
    let blueprint = Blueprint { text, location: "blueprint.yaml" };
    let theirs = &answer["error"];
    let plan = match parse(blueprint, &Texts(&request["imports"]), &Options::default()) {
        Ok(plan) => plan,
        Err(found) if answer.get("plan").is_none() => {
            let same = |code: Option<i32>, kind: &str| match theirs["code"].as_i64() {
                Some(theirs) => code.map(i64::from) == Some(theirs),
                None => theirs["type"] == kind,
            };
            let agrees = found.0.iter().any(|it| same(it.code, it.kind.exception()));
            let how = || How::RefusedOtherwise(format!("{found}\n    theirs: {theirs}"));
            return if agrees { Ok(()) } else { Err(how()) };
        }
        Err(found) => return Err(How::Differs(format!("refused: {found}"))),
    };
    let differs = |how: String| Err(How::Differs(how));
    let Some(expected) = answer.get("plan") else {
        return differs(format!("accepted, not {theirs}"));
    };
    compare::plans(plan.as_json(), expected).or_else(differs)?;
    let inputs = request["inputs"].as_object().cloned().unwrap_or_default();
    let request = Request { inputs, has_secret: Some(&|_| true), ..Request::default() };
    match (prepare_deployment(plan, request, &mut SeededIds::new(1)), answer.get("deployment")) {
        (Ok(ours), Some(expected)) => compare::deployments(&ours, expected).or_else(differs),
        (Err(refusal), None) if theirs["type"] == refusal.kind.exception() => Ok(()),
        (Err(refusal), _) => differs(format!("refused: {refusal}, theirs: {theirs}")),
        (Ok(_), None) => differs(format!("prepared, not {theirs}")),
    }
}

/// Faults of the stock parser itself: it trips over a value of a type that it did not expect, over
/// its own order of evaluation, or judges the members of groups (202) in the order of a set, which
/// changes from run to run.
fn is_own_fault(answer: &Json) -> bool {
    let of = |name| answer["error"]["type"] == name;
    let trips = of("AttributeError") || of("TypeError");
    trips && answer.get("plan").is_none()
        || of("DSLParsingSchemaAPIException")
        || of("AssertionError")
        || answer["error"]["code"] == 202
}

#[test]
#[expect(clippy::print_stderr, reason = "a reader wants to know what was compared")]
fn generated_blueprints_mean_the_same() {
    let Some(python) = env::var_os("WAGGONER_ORACLE_PYTHON") else {
        eprintln!("nothing compared: set WAGGONER_ORACLE_PYTHON to a Python with cloudify-common");
        return;
    };
    let count = env::var("WAGGONER_DIFFERENTIAL").map(|count| count.parse().expect("a number"));
    let count = count.unwrap_or(COUNT);
    let lanes = thread::available_parallelism().map_or(1, NonZero::get).min(8);
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let lane = |first| {
            let python = &python;
            scope.spawn(move || lane(python, first, count, lanes))
        };
        let lanes: Vec<_> = (0..lanes).map(lane).collect();
        lanes.into_iter().map(|lane| lane.join().expect("a lane ends")).collect()
    });
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    let (plans, refusals) = (sum(|tally| tally.plans), sum(|tally| tally.refusals));
    let (otherwise, faults) = (sum(|tally| tally.otherwise), sum(|tally| tally.faults));
    eprintln!(
        "{count} blueprints: {plans} plans and {refusals} refusals agree, {otherwise} are refused \
         for different reasons, {faults} left out (the stock parser's own faults)"
    );
    let differing: Vec<_> = tallies.iter().flat_map(|tally| &tally.differing).collect();
    let shown = differing.iter().take(8).map(|it| it.as_str()).collect::<Vec<_>>().join("\n");
    assert!(differing.is_empty(), "{} differ:\n{shown}", differing.len());
    assert_eq!(plans + refusals + otherwise + faults, count, "every blueprint was compared");
    assert!(faults * 15 <= count && otherwise * 30 <= count, "too many are left out");
}

/// What came of the blueprints of one lane.
#[derive(Default)]
struct Tally {
    plans: usize,
    refusals: usize,
    /// Refused by both, each for a reason of its own: there are several.
    otherwise: usize,
    faults: usize,
    differing: Vec<String>,
}

/// Compares every `step`th blueprint. One Python makes them all: its start costs a second.
fn lane(python: &OsStr, first: usize, end: usize, step: usize) -> Tally {
    compared(python, &[first, end, step].map(|number| OsString::from(number.to_string())))
}

/// Compares what the oracle makes of these words.
fn compared(python: &OsStr, words: &[OsString]) -> Tally {
    let manifest = env!("CARGO_MANIFEST_DIR");
    let mut child = Command::new(python)
        .arg(format!("{manifest}/tests/differential/oracle.py"))
        .arg(format!("{manifest}/src/types/types_1_3.yaml"))
        .args(words)
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut tally = Tally::default();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line.expect("JSON is UTF-8");
        let row: Json = serde_json::from_str(&line).expect("a line is JSON");
        match compare(&row["request"], &row["answer"]) {
            _ if is_own_fault(&row["answer"]) => tally.faults += 1,
            Ok(()) if row["answer"].get("error").is_none() => tally.plans += 1,
            Ok(()) => tally.refusals += 1,
            Err(How::RefusedOtherwise(_)) if row["faulty"] == true => tally.otherwise += 1,
            Err(How::RefusedOtherwise(how) | How::Differs(how)) => {
                let text = row["request"]["dsl"].as_str().unwrap_or_default();
                tally.differing.push(format!("seed {}: {how}\n{text}", row["seed"]));
            }
        }
    }
    assert!(child.wait().expect("Python ends").success(), "the oracle failed");
    tally
}

/// The files are not ours to copy: `WAGGONER_AWS_PLUGIN_YAML` names them (plugin.yaml,
/// `plugin_1_4.yaml`, `plugin_1_5.yaml`; as `PATH` names folders). Without them, texts of their size
/// and shape are compared.
#[test]
#[expect(clippy::print_stderr, reason = "a reader wants to know what was compared")]
fn the_aws_plugin_means_the_same_in_every_version() {
    let Some(python) = env::var_os("WAGGONER_ORACLE_PYTHON") else {
        eprintln!("nothing compared: set WAGGONER_ORACLE_PYTHON to a Python with cloudify-common");
        return;
    };
    let given = env::var_os("WAGGONER_AWS_PLUGIN_YAML").unwrap_or_default();
    let files = env::split_paths(&given).map(PathBuf::into_os_string);
    let files: Vec<_> = files.filter(|file| !file.is_empty()).collect();
    let words: Vec<_> = iter::once("plugin".into()).chain(files.iter().cloned()).collect();
    let Tally { plans, refusals, differing, .. } = compared(&python, &words);
    let of = if files.is_empty() { "generated files" } else { "given files" };
    eprintln!("{of} of the AWS plugin: {plans} plans and {refusals} refusals agree");
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    let expected = if files.is_empty() { 6 } else { files.len() };
    assert_eq!(plans, expected, "every file makes a plan");
}

//! Generated blueprints mean the same to the stock `dsl_parser` and to us.
//!
//! `WAGGONER_ORACLE_PYTHON` names a Python that has `cloudify-common==7.0.5`; without
//! it nothing is compared. `WAGGONER_DIFFERENTIAL=2000` asks for that many blueprints.

#[path = "conformance/compare.rs"]
mod compare;

use std::{env, process::Command};

use serde_json::Value as Json;
use waggoner_blueprint::{
    Blueprint, FetchError, Fetched, Location, Options, Request, Resolver, SeededIds, parse,
    prepare_deployment,
};

/// How many blueprints are compared unless more are asked for: some seconds' worth.
const COUNT: &str = "40";

struct Texts<'t>(&'t Json);

impl Resolver for Texts<'_> {
    fn fetch(&self, location: &Location, _: &str) -> Result<Option<Fetched>, FetchError> {
        let text = self.0[location.to_string()].as_str();
        Ok(text.map(|text| Fetched { text: text.to_owned(), plugin: None }))
    }

    fn has_file(&self, _: &str) -> bool {
        false
    }
}

/// Compares what we make of a request with the recorded answer.
fn compare(request: &Json, answer: &Json) -> Result<(), String> {
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
            return if agrees { Ok(()) } else { Err(format!("{found}\n    theirs: {theirs}")) };
        }
        Err(found) => return Err(format!("refused: {found}")),
    };
    let Some(expected) = answer.get("plan") else { return Err(format!("accepted, not {theirs}")) };
    compare::plans(plan.as_json(), expected)?;
    let inputs = request["inputs"].as_object().cloned().unwrap_or_default();
    let request = Request { inputs, has_secret: Some(&|_| true), ..Request::default() };
    match (prepare_deployment(&plan, request, &mut SeededIds::new(1)), answer.get("deployment")) {
        (Ok(ours), Some(expected)) => compare::deployments(&ours, expected),
        (Err(refusal), None) if theirs["type"] == refusal.kind.exception() => Ok(()),
        (Err(refusal), _) => Err(format!("refused: {refusal}, theirs: {theirs}")),
        (Ok(_), None) => Err(format!("prepared, not {theirs}")),
    }
}

/// Faults of the stock parser itself: it trips over its own order of evaluation, or judges the
/// members of groups (202) in the order of a set, which changes from run to run.
fn is_own_fault(answer: &Json) -> bool {
    let of = |name| answer["error"]["type"] == name;
    of("DSLParsingSchemaAPIException") || of("AssertionError") || answer["error"]["code"] == 202
}

#[test]
#[expect(clippy::print_stderr, reason = "a reader wants to know that nothing was compared")]
fn generated_blueprints_mean_the_same() {
    let Some(python) = env::var_os("WAGGONER_ORACLE_PYTHON") else {
        eprintln!("nothing compared: set WAGGONER_ORACLE_PYTHON to a Python with cloudify-common");
        return;
    };
    let count = env::var("WAGGONER_DIFFERENTIAL").unwrap_or_else(|_| COUNT.to_owned());
    let manifest = env!("CARGO_MANIFEST_DIR");
    let output = Command::new(python)
        .arg(format!("{manifest}/tests/differential/oracle.py"))
        .args(["0", &count])
        .arg(format!("{manifest}/src/types/types_1_3.yaml"))
        .env("PYTHONHASHSEED", "0")
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut differing = vec![];
    for line in String::from_utf8(output.stdout).expect("JSON is UTF-8").lines() {
        let row: Json = serde_json::from_str(line).expect("a line is JSON");
        if let Err(how) = compare(&row["request"], &row["answer"])
            && !is_own_fault(&row["answer"])
        {
            let text = row["request"]["dsl"].as_str().unwrap_or_default();
            differing.push(format!("seed {}: {how}\n{text}", row["seed"]));
        }
    }
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

//! Answers one JSON request a line on standard input, for comparison with another parser.
//!
//! A request is `{"dsl": text, "imports": {location: text}, "inputs": {…}}`; the answer has the
//! `plan` and, with `inputs`, the `deployment`, or the `error`. With `"quiet": true` it has the
//! `seconds` that both took.

use std::{
    io::{BufRead, Write},
    time::Instant,
};

use serde_json::{Value as Json, json};
use waggoner_blueprint::{
    Blueprint, FetchError, Fetched, Location, Options, Request, Resolver, SeededIds, parse,
    prepare_deployment,
};

struct Texts<'t>(&'t Json);

impl Resolver for Texts<'_> {
    fn fetch(&self, location: &Location, _: &str) -> Result<Option<Fetched>, FetchError> {
        let text = self.0[location.to_string()].as_str();
        Ok(text.map(|text| Fetched { text: text.to_owned(), ..Fetched::default() }))
    }

    fn has_file(&self, path: &str) -> bool {
        !self.0[path].is_null()
    }
}

fn answer(request: &Json) -> Json {
    let text = request["dsl"].as_str().unwrap_or_default();
    let blueprint = Blueprint { text, location: "blueprint.yaml" };
    let plan = match parse(blueprint, &Texts(&request["imports"]), &Options::default()) {
        Ok(plan) => plan,
        Err(found) => {
            let first = &found.0[0];
            let codes: Vec<_> = found.0.iter().map(|found| found.code).collect();
            let types: Vec<_> = found.0.iter().map(|found| found.kind.exception()).collect();
            let of_first = (first.kind.exception(), first.code);
            return json!({
                "error": {
                    "type": of_first.0, "code": of_first.1, "codes": codes, "types": types,
                },
                "message": found.to_string(),
            });
        }
    };
    let Some(inputs) = request["inputs"].as_object().cloned() else {
        return json!({ "plan": plan.into_json() });
    };
    let is_quiet = request["quiet"] == true;
    let shown = if is_quiet { Json::Null } else { plan.as_json().clone() };
    let request = Request { inputs, has_secret: Some(&|_| true), ..Request::default() };
    match prepare_deployment(plan, request, &mut SeededIds::new(1)) {
        Ok(deployment) => {
            json!({ "plan": shown, "deployment": if is_quiet { Json::Null } else { deployment } })
        }
        Err(refusal) => json!({
            "plan": shown,
            "error": { "type": refusal.kind.exception(), "code": refusal.code },
            "message": refusal.to_string(),
        }),
    }
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request: Json = serde_json::from_str(&line?)?;
        let started = Instant::now();
        let answer = answer(&request);
        if request["quiet"] == true {
            writeln!(out, "{}", json!({ "seconds": started.elapsed().as_secs_f64() }))?;
        } else {
            writeln!(out, "{answer}")?;
        }
    }
    Ok(())
}

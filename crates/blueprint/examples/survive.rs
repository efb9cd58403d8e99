//! Does with one JSON request a line on standard input all that is done with a blueprint, and
//! says `ok`: what a fuzzer feeds.
//!
//! A request is `{"dsl": text, "imports": {location: text}}`.

use std::{
    io::{BufRead, Write},
    thread,
};

use serde_json::{Map, Value as Json, json};
use waggoner_blueprint::{
    Blueprint, FetchError, Fetched, Kind, Location, Options, Plan, Refusal, Request, Resolver,
    SeededIds, Storage, evaluate_capabilities, evaluate_outputs, modify_deployment, parse,
    prepare_deployment,
};

/// The stack of a thread of a server's pool.
const STACK: usize = 2 << 20;

struct Texts<'t> {
    main: &'t str,
    imports: &'t Json,
}

/// A deployment of which nothing is known but its instances.
struct Deployment<'d>(&'d Json);

impl Resolver for Texts<'_> {
    fn fetch(&self, location: &Location, _: &str) -> Result<Option<Fetched>, FetchError> {
        let text = match location {
            Location::File(path) if path == "blueprint.yaml" => Some(self.main),
            other => self.imports[other.to_string()].as_str(),
        };
        Ok(text.map(|text| Fetched { text: text.to_owned(), ..Fetched::default() }))
    }

    fn has_file(&self, path: &str) -> bool {
        path.contains("script")
    }
}

impl Deployment<'_> {
    fn found(&self, section: &str, is_it: impl Fn(&Json) -> bool) -> Result<Json, Refusal> {
        let all = self.0[section].as_array().into_iter().flatten();
        let found = all.into_iter().find(|it| is_it(it)).cloned();
        found.ok_or_else(|| Refusal::new(Kind::Key, "it is not there"))
    }
}

impl Storage for Deployment<'_> {
    fn input(&self, name: &str) -> Result<Json, Refusal> {
        Ok(self.0["inputs"][name].clone())
    }

    fn node(&self, id: &str) -> Result<Json, Refusal> {
        self.found("nodes", |node| node["id"] == id)
    }

    fn node_instances(&self, node: &str) -> Result<Vec<Json>, Refusal> {
        let all = self.0["node_instances"].as_array().into_iter().flatten();
        let all = all.filter(|it| it["node_id"] == node).take(100);
        Ok(all.cloned().map(|it| with(it, "runtime_properties", json!({ "ip": "1" }))).collect())
    }

    fn node_instance(&self, id: &str) -> Result<Json, Refusal> {
        let found = self.found("node_instances", |it| it["id"] == id)?;
        Ok(with(found, "runtime_properties", json!({ "ip": "1" })))
    }

    fn secret(&self, name: &str) -> Result<String, Refusal> {
        Ok(name.to_owned())
    }

    fn capability(&self, path: &[Json]) -> Result<Json, Refusal> {
        Ok(Json::Array(path.to_vec()))
    }
}

fn with(mut json: Json, key: &str, value: Json) -> Json {
    json[key] = value;
    json
}

/// Errors are as good as answers.
fn survive(request: &Json) {
    let main = request["dsl"].as_str().unwrap_or_default();
    let texts = Texts { main, imports: &request["imports"] };
    let blueprint = Blueprint { text: main, location: "blueprint.yaml" };
    match parse(blueprint, &texts, &Options::default()) {
        Ok(plan) => deploy(plan),
        Err(found) => {
            assert!(!found.0.is_empty(), "a refusal has a reason");
            assert!(found.0.iter().all(|it| !it.message.is_empty()), "a fault has a sentence");
        }
    }
}

fn deploy(plan: Plan) {
    let inputs: Map<String, Json> = Map::new();
    let request = Request { inputs, has_secret: Some(&|_| true), ..Request::default() };
    let Ok(deployment) = prepare_deployment(plan, request, &mut SeededIds::new(1)) else { return };
    let storage = Deployment(&deployment);
    drop(evaluate_outputs(&deployment["outputs"], &storage));
    drop(evaluate_capabilities(&deployment["capabilities"], &storage));
    let names = deployment["nodes"].as_array().into_iter().flatten();
    let modified = names.take(3).filter_map(|node| Some((node["id"].as_str()?.to_owned(), 2)));
    let modified: Map<String, Json> =
        modified.map(|(name, count)| (name, json!({ "instances": count }))).collect();
    let nodes = &deployment["nodes"];
    let instances = &deployment["node_instances"];
    let groups = &deployment["scaling_groups"];
    let mut ids = SeededIds::new(2);
    drop(modify_deployment(nodes, nodes, instances, &modified, groups, &mut ids));
}

fn main() -> std::io::Result<()> {
    let worker = thread::Builder::new().stack_size(STACK).spawn(|| {
        let mut out = std::io::stdout().lock();
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            // A line that is no JSON is the feeder's fault.
            if let Ok(request) = serde_json::from_str(&line) {
                drop(line);
                survive(&request);
            }
            writeln!(out, "ok")?;
        }
        Ok(())
    })?;
    worker.join().expect("the worker survived")
}

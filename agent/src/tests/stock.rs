//! The same operations of the same plugin, once under the stock dispatcher and once under ours:
//! what comes of them agrees, but for the differences that are listed with their reasons.
//!
//! ```text
//!  oracle.py ── python -m cloudify.dispatch ── REST ──┐
//!                                                     ├──▶ the same small manager (manager.py)
//!  this test ── agent ── operation ── questions ──────┘
//! ```

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use waggoner_proto::agent::v1::{self as pb, script_operation, start};
use waggoner_types::{Body, ErrorKind};

use self::oracle::Oracle;
use super::{
    python,
    scripts::script,
    site::{Site, Story, Talk},
};

mod differences;
mod oracle;

pub(super) use self::oracle::tree;

/// How many operations of ours run at once.
const AT_ONCE: usize = 4;

async fn agrees(module: &str) {
    let (site, environment) = python::stock_site().await;
    let interpreter = python::interpreter_of(&site, &environment).await;
    let oracle = Oracle::ask(&interpreter, module);
    let found: Vec<_> = stream::iter(&oracle.cases)
        .map(|case| async {
            let story = run(&site, &environment, &oracle, case).await;
            let name = case["name"].as_str().unwrap();
            let stock = stock(case, &oracle.world(&format!("stock-{name}")));
            (name, stock, ours(case, &story, &oracle.world(&format!("ours-{name}"))))
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut wrong = Vec::new();
    for (name, stock, ours) in found {
        let differing = differing(&stock, &ours);
        let listed = differences::reason(name).map(|(fields, _)| fields);
        if differing.as_slice() != listed.unwrap_or_default() {
            let mut shown = Vec::new();
            for field in &differing {
                differences::show(field, &stock[field], &ours[field], &mut shown);
            }
            wrong.push(format!(
                "{name}: {differing:?}, listed {listed:?}\n  {}",
                shown.join("\n  ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), oracle.cases.len(), wrong.join("\n"));
}

#[tokio::test]
async fn nodes_and_instances_are_read_and_written_as_in_the_stock_package() {
    agrees("nodes").await;
}

#[tokio::test]
async fn lines_and_events_come_as_from_the_stock_package() {
    agrees("logs").await;
}

#[tokio::test]
async fn operations_are_called_and_fail_as_in_the_stock_package() {
    agrees("errors").await;
}

#[tokio::test]
async fn the_manager_is_there_as_in_the_stock_package() {
    agrees("world").await;
}

#[tokio::test]
async fn scripts_run_as_in_the_stock_script_runner() {
    agrees("scripts").await;
}

async fn run(site: &Site, environment: &pb::Environment, oracle: &Oracle, case: &Value) -> Story {
    let text = |field: &str| case["context"][field].as_str().unwrap_or_default();
    let world = format!("ours-{}", case["name"].as_str().unwrap());
    let mut inputs = case["inputs"].as_object().unwrap().clone();
    let task_name = text("task_name").to_owned();
    let implementation = if is_script(case) && !inputs.is_empty() {
        let take =
            |inputs: &mut serde_json::Map<String, Value>, name: &str| inputs.shift_remove(name);
        let process = take(&mut inputs, "process").unwrap_or_else(|| json!({}));
        let source = take(&mut inputs, "script_source")
            .map(|source| script_operation::Script::Source(source.as_str().unwrap().to_owned()));
        let path = take(&mut inputs, "script_path")
            .map(|path| script_operation::Script::Path(path.as_str().unwrap().to_owned()));
        start::Implementation::Script(pb::ScriptOperation {
            script: source.or(path),
            process_json: process.to_string(),
            environment: Some(environment.clone()),
        })
    } else {
        let environment = Some(environment.clone());
        start::Implementation::Python(pb::PythonOperation { task_name, environment })
    };
    // What a manager sends along: the operation's own node and node instance.
    let own = |path: String| oracle.request(&world, "GET", &path, "").1;
    let nodes = own(format!("/api/v3.1/nodes?id={}", text("node_name")));
    let instance = own(format!("/api/v3.1/node-instances/{}", text("node_id")));
    let start = pb::Start {
        context_json: case["context"].to_string(),
        inputs_json: Value::Object(inputs).to_string(),
        implementation: Some(implementation),
        node_jsons: nodes["items"].as_array().into_iter().flatten().map(Value::to_string).collect(),
        node_instance_jsons: instance.get("id").map(|_| instance.to_string()).into_iter().collect(),
        ..script("", &json!({}))
    };
    let mut client = site.link().await;
    let talk = Talk::start(&mut client, start).await.unwrap();
    talk.finish(|ask| oracle.answer(&world, &case["context"], ask)).await
}

/// What came of an operation under the stock dispatcher.
fn stock(case: &Value, world: &Value) -> BTreeMap<&'static str, Value> {
    let stock = &case["stock"];
    let (mut result, mut error) = (stock.get("result").cloned(), stock.get("error").cloned());
    if error.as_ref().is_some_and(|error| error["known"] == "StopAgent") {
        // Its agent answers that all is well (`cloudify_agent/worker.py`).
        (result, error) = (Some(Value::Null), None);
    }
    if let Some(error) = &mut error {
        let known = error["known"].take();
        error["kind"] = match known.as_str().unwrap() {
            "NonRecoverableError" | "HttpException" => "non-recoverable",
            "OperationRetry" => "retry",
            _ => "recoverable",
        }
        .into();
        error.as_object_mut().unwrap().shift_remove("known");
    }
    let records = world["records"].as_array().unwrap().iter();
    let records = records.map(|record| json!(record.as_array().unwrap()[..4])).collect();
    told(result.as_ref(), error, records, world, is_script(case))
}

/// What came of an operation under ours, in the same words.
fn ours(case: &Value, story: &Story, world: &Value) -> BTreeMap<&'static str, Value> {
    let (mut result, mut failure) = (None, None);
    match &story.outcome().result {
        Ok(value) => result = Some(value.clone()),
        Err(error) => {
            let kind = match error.kind {
                ErrorKind::Recoverable => "recoverable",
                ErrorKind::NonRecoverable => "non-recoverable",
                ErrorKind::Retry => "retry",
                ErrorKind::Cancelled => "cancelled",
            };
            let causes = error.causes.iter().map(|cause| json!([cause["type"], cause["message"]]));
            failure = Some(json!({
                "type": error.exception_type,
                "message": error.message,
                "retry_after": error.retry_after.map(|after| after.as_secs_f64()),
                "causes": causes.collect::<Vec<_>>(),
                "traceback": error.traceback.lines().last().into_iter().collect::<Vec<_>>(),
                "kind": kind,
            }));
        }
    }
    let records = story.records.iter().flat_map(|record| match &record.body {
        Body::Log { level, logger, message } => {
            vec![json!(["log", level.as_str(), logger, message])]
        }
        Body::Event { event_type, message } => vec![json!(["event", event_type, "", message])],
        Body::Output { stream, lines: true, data, .. } => {
            let lines = waggoner_types::output_lines(*stream, data);
            lines.map(|line| json!(["log", "info", "ctx.t", line])).collect()
        }
        _ => Vec::new(),
    });
    told(result.as_ref(), failure, records.collect(), world, is_script(case))
}

fn told(
    result: Option<&Value>,
    error: Option<Value>,
    records: Vec<Value>,
    world: &Value,
    is_script: bool,
) -> BTreeMap<&'static str, Value> {
    let seconds = |error: &Value| error["retry_after"].as_f64();
    let error = error.map(|mut error| {
        if is_script {
            // A script has no Python to trace back to.
            error["traceback"] = Value::Null;
        }
        error["retry_after"] = seconds(&error).into();
        error
    });
    let mut records: Vec<_> =
        records.into_iter().filter(|record| !differences::is_of_the_runner(record)).collect();
    // What goes to different streams at once comes in any order, within each it comes in its own.
    records.sort_by_key(differences::stream);
    let mut told = BTreeMap::from([
        ("result", json!(result)),
        ("error", error.unwrap_or_default()),
        ("records", records.into()),
    ]);
    for part in ["instances", "operations", "secrets", "files", "gone", "calls"] {
        told.insert(part, world[part].clone());
    }
    told.into_iter().map(|(name, value)| (name, differences::plain(value))).collect()
}

fn is_script(case: &Value) -> bool {
    case["context"]["task_name"] == "script_runner.tasks.run"
}

fn differing(
    stock: &BTreeMap<&'static str, Value>,
    ours: &BTreeMap<&'static str, Value>,
) -> Vec<&'static str> {
    stock.iter().filter(|(name, value)| ours[*name] != **value).map(|(name, _)| *name).collect()
}

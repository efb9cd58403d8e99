//! The same command lines, to us and to the stock cloudify-common 7.0.5.
//!
//! `oracle/expected.json` holds what the stock proxy and client made of `oracle/cases.json`. With
//! `WAGGONER_ORACLE_PYTHON` naming a Python that has cloudify-common, it is asked again.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use waggoner_ctx::{Answer, Call, Ctx, Outcome, Refusal, Reply, Request, Verdict};

const CASES: &str = include_str!("oracle/cases.json");
const EXPECTED: &str = include_str!("oracle/expected.json");

#[test]
fn the_stock_proxy_and_client_still_answer_as_recorded() {
    let Ok(python) = std::env::var("WAGGONER_ORACLE_PYTHON") else {
        #[expect(clippy::print_stderr, reason = "a skipped comparison must show")]
        {
            eprintln!("WAGGONER_ORACLE_PYTHON is not set: the stock cloudify-common was not asked");
        }
        return;
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle");
    let output = Command::new(python)
        .args(["oracle.py", "cases.json"])
        .current_dir(folder)
        .env_remove("CTX_SOCKET_URL")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers, read(EXPECTED));
}

#[test]
fn every_command_line_has_the_stock_result() {
    let (data, expected) = (read(CASES), read(EXPECTED));
    let mut wrong = Vec::new();
    for case in expected["cases"].as_array().unwrap() {
        let found = play(&data, case);
        let mut case = case.clone();
        if case["name"] == "nested set alone" {
            // Ours: it is stored.
            assert_eq!(case["end"]["updates"].take(), json!([]));
            case["end"]["updates"] = found["end"]["updates"].clone();
        }
        if found != case {
            wrong.push(format!("expected {case}\n   found {found}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        expected["cases"].as_array().unwrap().len(),
        wrong.join("\n")
    );
}

#[test]
fn the_command_reads_and_prints_as_the_stock_client() {
    let expected = read(EXPECTED);
    for case in expected["commands"].as_array().unwrap() {
        let argv: Vec<&str> =
            case["argv"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
        let (asked, printed) = match Request::parse(&argv, None) {
            Err(printed) => (Value::Null, printed),
            Ok(request) => {
                let reply = case.get("reply").cloned();
                let reply = reply.unwrap_or_else(|| json!({ "type": "result", "payload": null }));
                let asked = json!({ "url": request.socket_url, "args": request.args, "timeout": request.timeout });
                (asked, Reply::from_json(reply).unwrap().print(request.format))
            }
        };
        assert_eq!(asked, case["asked"], "{argv:?}");
        assert_eq!(u64::from(printed.exit_code), case["exit_code"], "{argv:?}");
        if printed.stderr.is_empty() && !printed.stdout.starts_with("usage") {
            assert_eq!(printed.stdout, case["stdout"], "{argv:?}");
        }
        if printed.exit_code == 2 {
            let (_, complaint) = case["complaint"].as_str().unwrap().split_once("error: ").unwrap();
            assert!(
                printed.stderr.ends_with(&format!("error: {complaint}\n")),
                "{argv:?}: {}",
                printed.stderr
            );
        }
    }
}

/// Plays a case against our `ctx`, and tells what happened as the oracle does.
fn play(data: &Value, case: &Value) -> Value {
    let mut ctx = Ctx::new(data["contexts"][case["context"].as_str().unwrap()].clone()).unwrap();
    let mut steps = Vec::new();
    for step in case["steps"].as_array().unwrap() {
        let mut effects = Vec::new();
        let mut outcome = ctx.evaluate(step["args"].as_array().unwrap());
        let reply = loop {
            match outcome {
                Outcome::Reply(reply) => break reply,
                Outcome::Log { level, message } => {
                    let is_lost = step["effects"] == json!([["log", "lost"]]);
                    effects.push(if is_lost {
                        json!(["log", "lost"])
                    } else {
                        json!(["log", level.as_str(), message])
                    });
                    break Reply::Result(Value::Null);
                }
                Outcome::Event { message } => {
                    effects.push(json!(["event", message]));
                    break Reply::Result(Value::Null);
                }
                Outcome::Ask { call, pending } => {
                    outcome = ctx.resume(pending, answer(data, call, &mut effects));
                }
            }
        };
        let mut reply = reply.to_json();
        reply["payload"].as_object_mut().map(|payload| payload.shift_remove("traceback"));
        steps.push(json!({ "args": step["args"], "reply": reply, "effects": effects }));
    }
    let mut end = json!({});
    match ctx.verdict(true) {
        Verdict::Returned(value) => end["returned"] = value,
        Verdict::Aborted(message) => end["aborted"] = message.into(),
        Verdict::Misused(message) => end["misused"] = message.into(),
        Verdict::Retry { message, retry_after } => {
            let seconds = retry_after.map(|after| after.as_secs_f64());
            end["retry"] = json!([message, seconds]);
        }
        Verdict::Failed => end["failed"] = true.into(),
    }
    let updates = ctx
        .pending_updates()
        .into_iter()
        .map(|update| json!([update.instance, update.runtime_properties]));
    end["updates"] = updates.collect();
    json!({ "name": case["name"], "context": case["context"], "steps": steps, "end": end })
}

/// Answers as the oracle's endpoint does.
fn answer(data: &Value, call: Call, effects: &mut Vec<Value>) -> Answer {
    let mut note = |name: &str, what: Value| {
        let mut what = what;
        what.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        effects.push(json!([name, what]));
    };
    Ok(match call {
        Call::Node { id, .. } => data["nodes"][id].clone(),
        Call::Instance { id } => data["instances"][id].clone(),
        Call::UpdateInstance(update) => {
            let is_conflict = update.runtime_properties.contains_key("conflict");
            effects.push(json!(["update", update.instance, update.runtime_properties]));
            if is_conflict {
                return Err(Refusal {
                    kind: "CloudifyClientError".into(),
                    message: "409: Node instance update conflict".into(),
                });
            }
            Value::Null
        }
        Call::Tenant => data["tenant"].clone(),
        Call::ProviderContext => data["provider_context"].clone(),
        Call::BootstrapContext => data["bootstrap_context"].clone(),
        Call::Config { name, scope } => {
            note("config", json!({ "name": name, "scope": scope }));
            json!([{ "name": "max_retries", "value": 3 }])
        }
        Call::Managers { network } | Call::Brokers { network } => {
            note("managers", json!({ "network": network }));
            json!([])
        }
        Call::Execution { id } => {
            note("execution", json!({ "id": id }));
            json!({ "id": id, "status": "started" })
        }
        Call::Operation { id } => {
            note("operation", json!({ "id": id }));
            json!({ "id": id, "state": "started" })
        }
        Call::UpdateOperation { id, state } => {
            note("update_operation", json!({ "id": id, "state": state }));
            Value::Null
        }
        Call::Resource { path, render } => {
            note("resource", json!({ "path": path, "render": render }));
            format!("text of {path}").into()
        }
        Call::Download { path, target, render } => {
            note("download", json!({ "path": path, "target": target, "render": render }));
            target.unwrap_or(format!("/tmp/x/{path}")).into()
        }
        Call::DownloadDirectory { path, target } => {
            note("download_directory", json!({ "path": path, "target": target }));
            "/tmp/x".into()
        }
        Call::UploadDeploymentFile { target, source } => {
            note("upload_deployment_file", json!({ "target": target, "source": source }));
            Value::Null
        }
        Call::DeleteDeploymentFile { path } => {
            note("delete_deployment_file", json!({ "path": path }));
            Value::Null
        }
        Call::PluginPrefix | Call::PluginWorkdir => Value::Null,
    })
}

fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

//! `wag plugins test`.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use uuid::Uuid;
use waggoner_proto::agent::v1::{
    PythonOperation, ScriptOperation, Start, script_operation::Script, start::Implementation,
};
use waggoner_types::{ErrorKind, Outcome, TenantName};

use super::Context;
use crate::{
    Error,
    cli::Test,
    record,
    site::Site,
    source::{SourceError, Tree},
    trial::{Orders, Trial, TrialError, environment, may_pass},
};

mod given;
mod lines;
mod place;

use self::{
    given::{Given, SCRIPT},
    lines::Lines,
    place::{Place, forget_others},
};

/// The tenant that the operation runs in.
const TENANT: &str = "default_tenant";

/// The interface of operations whose name nobody says.
const INTERFACE: &str = "cloudify.interfaces.lifecycle";

/// How long after a failure it is run again, where the operation does not say: a workflow waits
/// fifteen times as long, and nobody for it.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long the operation goes on when this process is killed.
const UNLINKED: Duration = Duration::from_secs(10);

/// What came of it.
struct Ran {
    outcome: Outcome,
    attempts: u32,
    events: Vec<waggoner_proto::v1::Event>,
}

pub(super) async fn run(context: &mut Context<'_>, test: &Test) -> Result<(), Error> {
    let mut orders = Orders::new();
    let directory = directory(&test.directory)?;
    let mut given = Given::read(test, &directory)?;
    let place = Place::of(&directory, test.fresh)?;
    let site = Site::new(place.path().to_owned());
    site.prepare()?;
    let _turn = orders.or(site.turn()).await?;
    let wagons = site.dir().join("wagons");
    let tree = orders.or(Tree::open(&directory, &wagons, context.ui)).await?;
    let tenant: TenantName = TENANT.parse().expect("the constant is a name");
    forget_others(&site, &tenant, &tree)?;

    let mut trial = Trial::begin(&site, &tenant).await?;
    let ran = perform(context, &mut trial, &mut orders, test, &tree, &mut given).await;
    let ended = trial.end(&site).await;
    let ran = ran?;
    ended?;
    given.keep_state(test.state.as_deref())?;
    report(context, &given, ran)
}

async fn perform(
    context: &mut Context<'_>,
    trial: &mut Trial,
    orders: &mut Orders,
    test: &Test,
    tree: &Tree,
    given: &mut Given,
) -> Result<Ran, Error> {
    orders.or(trial.prepare(tree)).await?;
    context.ui.step("Running", &given.function);
    let mut events = Vec::new();
    for attempt in 0.. {
        let start = start(test, tree, given, attempt)?;
        let mut lines = Lines::new(&given.function, &start.attempt_id, &given.operation_name);
        let mut told = |record| {
            for event in lines.take(record) {
                context.ui.say(crate::ui::event_line(&event, context.ui.clock()));
                events.push(event);
            }
        };
        let outcome = trial.run(start, &mut given.world, orders, &mut told).await?;
        for event in lines.rest(&outcome) {
            context.ui.say(crate::ui::event_line(&event, context.ui.clock()));
            events.push(event);
        }
        let again = outcome.result.as_ref().err().filter(|error| may_pass(error));
        match again {
            Some(error) if attempt < test.retries => {
                let after = error.retry_after.unwrap_or(INTERVAL);
                let why = error.message.lines().next().unwrap_or_default();
                context.ui.step("Retrying", format!("in {} s: {why}", after.as_secs_f64()));
                tokio::select! {
                    () = sleep(after) => {}
                    () = orders.next() => return Err(Error::Interrupted),
                }
            }
            _ => return Ok(Ran { outcome, attempts: attempt + 1, events }),
        }
    }
    unreachable!("the last attempt returns")
}

/// What the agent is told: one attempt, as a manager would have it.
fn start(test: &Test, tree: &Tree, given: &Given, attempt: u32) -> Result<Start, TrialError> {
    let refused =
        |refusal: waggoner_proto::agent::v1::Refusal| TrialError::Evaluate(refusal.message);
    let world = &given.world;
    let inputs = world.evaluate(Value::Object(given.inputs.clone())).map_err(refused)?;
    let nodes = world.shown_nodes().map_err(refused)?;
    let implementation = implementation(tree, &given.function, &inputs);
    let id = Uuid::now_v7().to_string();
    let texts = |values: &[Value]| values.iter().map(ToString::to_string).collect();
    Ok(Start {
        attempt_id: id.clone(),
        epoch: u64::from(attempt) + 1,
        context_json: operation_context(test, tree, given, &id, attempt).to_string(),
        inputs_json: inputs.to_string(),
        implementation: Some(implementation),
        timeout: test.timeout.map(|seconds| waggoner_wire::duration(Duration::from_secs(seconds))),
        node_jsons: texts(&nodes),
        node_instance_jsons: texts(world.instances()),
        unlinked_timeout: Some(waggoner_wire::duration(UNLINKED)),
        ..Start::default()
    })
}

/// What the agent runs: a function of the plugin, or a script.
fn implementation(tree: &Tree, function: &str, inputs: &Value) -> Implementation {
    let text = |key: &str| inputs[key].as_str().map(str::to_owned);
    let script = text("script_source").map(Script::Source);
    match script.or_else(|| text("script_path").map(Script::Path)) {
        Some(script) if function == SCRIPT => {
            let process = inputs.get("process").filter(|process| !process.is_null());
            Implementation::Script(ScriptOperation {
                script: Some(script),
                process_json: process.map_or_else(|| "{}".to_owned(), Value::to_string),
                environment: Some(environment(tree)),
            })
        }
        _ => Implementation::Python(PythonOperation {
            task_name: function.to_owned(),
            environment: Some(environment(tree)),
        }),
    }
}

/// Cloudify's `__cloudify_context` (`cloudify/workflows/workflow_context.py`).
fn operation_context(test: &Test, tree: &Tree, given: &Given, id: &str, attempt: u32) -> Value {
    let mut context = json!({
        "__cloudify_context": "0.3",
        "type": "operation",
        "task_id": id,
        "task_name": given.function,
        "task_queue": "local",
        "task_target": "local",
        "execution_id": id,
        "workflow_id": "execute_operation",
        "workflow_parameters": {},
        "timeout": test.timeout,
        "timeout_recoverable": null,
        "plugin": {
            "name": tree.plugin,
            "package_name": tree.package_name,
            "package_version": tree.package_version,
            "visibility": "tenant",
            "tenant_name": TENANT,
            "source": null,
            "properties": {},
        },
        "operation": {
            "name": given.operation_name,
            "retry_number": attempt,
            "max_retries": test.retries,
        },
        "has_intrinsic_functions": false,
        "host_id": null,
        "executor": "central_deployment_agent",
        "execution_env": {},
        "local": false,
        "bypass_maintenance": false,
        "execution_creator_username": "admin",
        "resume": false,
    });
    let about = given.world.context();
    if about.contains_key("related") {
        context["operation"]["relationship"] = "source".into();
    }
    for (name, value) in about {
        context[name.as_str()] = value;
    }
    context
}

fn report(context: &mut Context<'_>, given: &Given, ran: Ran) -> Result<(), Error> {
    let Ran { outcome, attempts, events } = ran;
    let (runtime_properties, target) = given.world.runtime_properties();
    let (status, result, failed) = match outcome.result {
        Ok(result) => ("succeeded", result, None),
        Err(error) => (word(error.kind), Value::Null, Some(error)),
    };
    if context.ui.is_json() {
        let events: Vec<_> = events.iter().map(record::event).collect();
        let error = failed.as_ref().map(|error| {
            json!({
                "type": error.exception_type,
                "message": error.message,
                "retry_after": error.retry_after.map(|after| after.as_secs_f64()),
                "traceback": error.traceback,
                "causes": error.causes,
            })
        });
        context.ui.json(&json!({
            "operation": given.function,
            "status": status,
            "result": result,
            "error": error,
            "runtime_properties": runtime_properties,
            "target_runtime_properties": target,
            "attempts": attempts,
            "events": events,
        }))?;
    } else {
        let mut shape = Map::new();
        if failed.is_none() {
            shape.insert("result".to_owned(), result);
        }
        shape.insert("runtime_properties".to_owned(), runtime_properties);
        if let Some(target) = target {
            shape.insert("target_runtime_properties".to_owned(), target);
        }
        context.ui.shape(&Value::Object(shape))?;
    }
    match failed {
        None => Ok(()),
        Some(error) if error.kind == ErrorKind::Cancelled => Err(Error::Interrupted),
        Some(error) => {
            let function = given.function.clone();
            Err(TrialError::Operation { function, error: Box::new(error) }.into())
        }
    }
}

fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Recoverable => "recoverable",
        ErrorKind::NonRecoverable => "failed",
        ErrorKind::Retry => "retry",
        ErrorKind::Cancelled => "cancelled",
    }
}

fn directory(given: &Utf8Path) -> Result<Utf8PathBuf, SourceError> {
    let failed = |source| SourceError::Directory { directory: given.to_owned(), source };
    let directory = given.canonicalize_utf8().map_err(failed)?;
    if !directory.is_dir() {
        return Err(failed(std::io::ErrorKind::NotADirectory.into()));
    }
    Ok(directory)
}

//! A function of a Python plugin, run by the stock `cloudify` package in the plugin's environment.

use std::{collections::BTreeMap, io, sync::Arc};

use fs_err::tokio as fs;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt as _;
use waggoner_python::{
    Environment,
    dispatch::{self, Timeout, Variables},
};
use waggoner_supervisor::{Spawn, Warm};
use waggoner_types::{Exit, OperationError, Outcome};

use crate::{
    attempt::Attempt,
    environments::{Waiting, held, install},
    house::House,
    operation::{
        cancelled, failed, host, interrupted, not_started,
        oversee::{Ended, attend, oversee},
        place::{PATH, Place},
    },
    start::{self, Start},
    state::own,
};

/// What to call, with what.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// The function: package.module.function.
    pub(super) name: String,
    pub(super) inputs: Map<String, Value>,
    pub(super) environment: start::Environment,
}

/// The most bytes of a result that is read: more could not be sent.
const MOST: u64 = 16 * 1024 * 1024;

/// How many lines, and how many bytes, of a process's last words its error repeats.
const WORDS: (usize, usize) = (3, 500);

/// The bytes of a result that is sooner read than handed to somebody who may wait.
const SMALL: usize = 4 * 1024;

/// Runs it.
pub(super) async fn run(
    house: &House,
    attempt: &Arc<Attempt>,
    mut start: Start,
    task: Task,
) -> Outcome {
    start.context.insert("task_name".to_owned(), Value::String(task.name.clone()));
    let logger = start.context.get("task_id").and_then(Value::as_str).unwrap_or_default();
    let logger = format!("ctx.{logger}");
    let waiting = Waiting { attempt, logger: &logger };
    // What another life of the daemon started goes on in its environment, which has to stay.
    let _held = if attempt.had_process() { held(house, &task.environment).await } else { None };
    let environment = if attempt.had_process() {
        None
    } else {
        let prepared = tokio::select! {
            ready = install(house, &task.environment, Some(waiting)) => ready,
            order = attempt.cancelled() => return failed(cancelled(&order.reason)),
        };
        match prepared {
            Ok(environment) => Some(environment),
            Err(error) => return failed(error.for_operation()),
        }
    };
    let place = match Place::make(house, attempt, &mut start) {
        Ok(place) => place,
        Err(error) => return failed(error.for_operation()),
    };
    let ended = match environment {
        None => Ok(attend(attempt).await),
        Some(environment) => launch(house, attempt, &start, &task, &place, &environment).await,
    };
    let outcome = match ended {
        Ok(ended) => conclude(&start, &place, &ended).await,
        Err(outcome) => outcome,
    };
    place.leave();
    outcome
}

async fn launch(
    house: &House,
    attempt: &Attempt,
    start: &Start,
    task: &Task,
    place: &Place,
    environment: &Environment,
) -> Result<Ended, Outcome> {
    let blueprint = tokio::select! {
        blueprint = host::bring_blueprint(house, &place.api, environment, start) => blueprint,
        order = attempt.cancelled() => return Err(failed(cancelled(&order.reason))),
    };
    if let Some(blueprint) = blueprint {
        blueprint.keep().await;
    }
    let described = describe(house, place, environment, start, task);
    let spawn = described.map_err(|error| {
        let message = format!("failed to prepare the operation's process: {error}");
        failed(OperationError::recoverable(message))
    })?;
    oversee(attempt, &spawn).await.map_err(|refused| not_started(&refused, attempt))
}

/// Makes an outcome of what the process wrote and how it ended.
async fn conclude(start: &Start, place: &Place, ended: &Ended) -> Outcome {
    if ended.exit != Exit::Code(0) {
        place.hear_out().await;
    }
    if let Some(error) = interrupted(ended, start) {
        return Outcome { result: Err(error), exit: Some(ended.exit) };
    }
    let recoverable = start.context.get("timeout_recoverable").and_then(Value::as_bool);
    let timeout =
        start.timeout.map(|after| Timeout { after, recoverable: recoverable == Some(true) });
    match output(place).await {
        Ok(output) => {
            let mut outcome = dispatch::outcome(output.as_deref(), ended.exit, timeout);
            if let (Err(error), Some(words)) = (&mut outcome.result, last_words(ended)) {
                error.message = format!("{}; the last that it wrote: {words}", error.message);
            }
            outcome
        }
        Err(error) => {
            let message = format!("failed to read what the operation's process wrote: {error}");
            let result = Err(OperationError::non_recoverable(message));
            Outcome { result, exit: Some(ended.exit) }
        }
    }
}

/// Returns the end of what a process wrote to stderr that did not end well.
fn last_words(ended: &Ended) -> Option<String> {
    let [_, stderr] = &ended.tails;
    let lines: Vec<_> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(WORDS.0)..)?.join("\n");
    let begin = last.ceil_char_boundary(last.len().saturating_sub(WORDS.1));
    Some(last[begin..].to_owned()).filter(|words| ended.exit != Exit::Code(0) && !words.is_empty())
}

/// Writes the process's input, and describes the process.
fn describe(
    house: &House,
    place: &Place,
    environment: &Environment,
    start: &Start,
    task: &Task,
) -> io::Result<Spawn> {
    let input = dispatch::input_json(&start.context, &task.inputs);
    own(place.dispatch())?;
    // A small file: it is sooner written than handed to somebody.
    fs_err::write(place.dispatch().join(dispatch::INPUT), input)?;
    host::furnish(house, environment, start, task.environment.form);
    let runtime = house.environments.runtime()?;
    let mut env = place.env();
    let own = |name: &str, default: &str| env.get(name).map_or(default, String::as_str).to_owned();
    let (home, user) = (own("HOME", "/"), own("USER", "root"));
    let path = std::env::var("PATH").unwrap_or_else(|_| PATH.to_owned());
    let (bin, work, temporary) = (house.state.bin(), house.state.work(), place.temporary());
    let further = execution_env(start);
    let variables = Variables {
        environment,
        runtime: &runtime,
        path: &path,
        commands: Some(&bin),
        socket: place.socket(),
        agent_name: &house.name,
        work_directory: &work,
        temporary_directory: &temporary,
        home: &home,
        user: &user,
        // It is among the place's variables.
        rest: None,
        further: &further,
    };
    env.extend(variables.to_map());
    let mut spawn = Spawn::new(&environment.python, work.clone());
    spawn.args = dispatch::arguments(place.dispatch().as_str()).to_vec();
    spawn.warm = Some(warm(place, &env, &task.name));
    spawn.env = env;
    spawn.limits = start.into();
    Ok(spawn)
}

/// Describes what the process may be forked from: nothing of it is this operation's own.
fn warm(place: &Place, env: &BTreeMap<String, String>, task_name: &str) -> Warm {
    let (own, common): (Vec<_>, Vec<_>) =
        env.iter().partition(|(_, value)| place.is_named_in(value));
    Warm {
        args: dispatch::server_arguments(own.into_iter().map(|(name, _)| name.as_str())),
        env: common.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        preload: dispatch::module(task_name).map(str::to_owned),
    }
}

/// The variables that the manager wants a central operation to see (`cloudify_agent/worker.py`).
pub(super) fn execution_env(start: &Start) -> BTreeMap<String, String> {
    let wanted = start.context.get("execution_env").and_then(Value::as_object);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    wanted.into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Reads what the process wrote; `None` where it wrote nothing.
async fn output(place: &Place) -> io::Result<Option<String>> {
    let mut file = match fs_err::File::open(place.dispatch().join(dispatch::OUTPUT)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = begin(&mut file)?;
    // Whoever wrote it is gone: where it has less than there is room for, that is all.
    if bytes.len() == SMALL {
        let rest = fs::File::from_std(file);
        rest.take(MOST + 1 - SMALL as u64).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > MOST {
        let why = format!("it has more than the {MOST} bytes that can be sent");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads what is small, or the begin of what is not.
fn begin(file: &mut impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = [0; SMALL];
    let length = file.read(&mut bytes)?;
    Ok(bytes[..length].to_vec())
}

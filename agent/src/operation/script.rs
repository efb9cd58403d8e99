//! Scripts, as Cloudify's script runner runs them (`script_runner/tasks.py`), without Python.

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::{os::unix::fs::OpenOptionsExt as _, tokio as fs};
use serde_json::{Map, Value, json};
use waggoner_ctx::Verdict;
use waggoner_supervisor::{Mode, Spawn};
use waggoner_types::{ErrorKind, Exit, LogLevel, OperationError, Outcome};

use crate::{
    attempt::Attempt,
    context::{FetchError, HostApi},
    house::House,
    operation::{
        failed, interrupted,
        language::is_python,
        not_started,
        oversee::{Ended, attend},
        place::Place,
        python::{self, Task},
        sentence,
        settings::Settings,
    },
    start::{Script, ScriptText, Start},
    state::own,
};

/// Runs a script: as Python where it is Python, else as what it is.
pub(super) async fn run(
    house: &House,
    attempt: &Arc<Attempt>,
    mut start: Start,
    script: &Script,
) -> Outcome {
    let settings = match Settings::try_from(&script.process) {
        Ok(settings) => settings,
        Err(flaw) => return failed(OperationError::non_recoverable(flaw.to_string())),
    };
    if is_python(&house.environments, &script.text, settings.eval_python).await {
        return match python_task(&start, script) {
            Ok(task) => python::run(house, attempt, start, task).await,
            Err(error) => failed(error),
        };
    }
    let place = match Place::make(house, attempt, &mut start) {
        Ok(place) => place,
        Err(error) => return failed(error.for_operation()),
    };
    let outcome = match launch(house, attempt, &start, script, &settings, &place).await {
        Ok(ran) => {
            let result = match interrupted(&ran.ended, &start) {
                Some(error) => Err(error),
                None => conclude(&place.api, &settings, &ran).await.map_err(caused),
            };
            Outcome { result, exit: Some(ran.ended.exit) }
        }
        Err(outcome) => outcome,
    };
    place.leave();
    outcome
}

/// A script that has run.
struct Ran {
    command: String,
    pid: Option<i32>,
    ended: Ended,
}

/// Starts the script, or finds it started, and waits for its end.
async fn launch(
    house: &House,
    attempt: &Attempt,
    start: &Start,
    script: &Script,
    settings: &Settings,
    place: &Place,
) -> Result<Ran, Outcome> {
    if attempt.had_process() {
        let pid = attempt.pid();
        if let Some(pid) = pid {
            created(&place.api, pid).await;
        }
        let path = installed(&place.scripts()).unwrap_or_default();
        let command = command_line(settings, &path);
        return Ok(Ran { command, pid, ended: attend(attempt).await });
    }
    let inputs = inputs(&place.api, start).await.map_err(failed)?;
    let fetched = tokio::select! {
        fetched = fetch(place, &script.text) => fetched,
        order = attempt.cancelled() => Err(super::cancelled(&order.reason)),
    };
    let command = command_line(settings, &fetched.map_err(failed)?);
    let mut spawn = describe(house, place, settings, &inputs, &command);
    spawn.limits = start.into();
    let pid = attempt.spawn(&spawn).await.map_err(|refused| not_started(&refused, attempt))?;
    created(&place.api, pid).await;
    Ok(Ran { command, pid: Some(pid), ended: attend(attempt).await })
}

async fn created(api: &HostApi, pid: i32) {
    let message = format!("Process created, PID: {pid}");
    api.log(LogLevel::Info, None, message, api.once("created")).await;
}

/// Makes a script in Python the script runner's own task.
fn python_task(start: &Start, script: &Script) -> Result<Task, OperationError> {
    let environment = script.environment.clone().ok_or_else(|| {
        OperationError::non_recoverable(
            "the script is in Python, and there is no environment to run it in: upload a wagon of \
             `cloudify-common` to the manager",
        )
    })?;
    let (name, text) = match &script.text {
        ScriptText::Path(path) => ("script_path", path),
        ScriptText::Source(source) => ("script_source", source),
    };
    let mut inputs = start.inputs.clone();
    inputs.insert(name.to_owned(), Value::String(text.clone()));
    inputs.insert("process".to_owned(), Value::Object(script.process.clone()));
    Ok(Task { name: "script_runner.tasks.run".to_owned(), inputs, environment })
}

/// The command line that runs a script.
fn command_line(settings: &Settings, path: &Utf8Path) -> String {
    let prefix = settings.command_prefix.as_deref();
    let is_powershell = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("ps1"));
    let prefix = prefix.or_else(|| is_powershell.then_some("powershell"));
    let words = prefix.into_iter().chain([path.as_str()]);
    words.chain(settings.args.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}

/// Describes the process: a shell that runs the command line, as `Popen(shell=True)` does.
fn describe(
    house: &House,
    place: &Place,
    settings: &Settings,
    inputs: &Map<String, Value>,
    command: &str,
) -> Spawn {
    let cwd = settings.cwd.clone().unwrap_or_else(|| house.state.work());
    let mut spawn = Spawn::new("/bin/sh", cwd);
    let redirection = if settings.stderr_to_stdout { "exec 2>&1\n" } else { "" };
    spawn.args = vec!["-c".to_owned(), format!("{redirection}{command}")];
    spawn.env = place.env();
    let own_path = spawn.env.get("PATH").cloned().unwrap_or_default();
    spawn.env.extend(inputs.iter().map(|(name, value)| (name.clone(), variable(value))));
    spawn.env.extend(settings.env.iter().map(|(name, value)| (name.clone(), variable(value))));
    let url = if settings.ctx_proxy { place.ctx_url.clone() } else { String::new() };
    spawn.env.insert("CTX_SOCKET_URL".to_owned(), url);
    // An input may replace PATH, but not hide `ctx`.
    let path = spawn.env.entry("PATH".to_owned()).or_default();
    if *path != own_path {
        *path = format!("{}:{path}", house.state.bin());
    }
    let mode = |is_logged| if is_logged { Mode::Lines } else { Mode::Raw };
    (spawn.stdout, spawn.stderr) = (mode(settings.logged.stdout), mode(settings.logged.stderr));
    spawn
}

/// An input as an environment variable (`create_process_config`).
fn variable(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) | Value::Bool(_) => waggoner_ctx::json(value),
        value => waggoner_ctx::text(value),
    }
}

/// Returns the inputs with their intrinsic functions evaluated (`cloudify/dispatch.py`).
async fn inputs(api: &HostApi, start: &Start) -> Result<Map<String, Value>, OperationError> {
    if start.context.get("has_intrinsic_functions").and_then(Value::as_bool) != Some(true) {
        return Ok(start.inputs.clone());
    }
    let payload = Value::Object(start.inputs.clone()).to_string();
    match api.evaluate(payload).await {
        Ok(Value::Object(inputs)) => Ok(inputs),
        Ok(_) => Err(OperationError::recoverable("the evaluated inputs are no object")),
        Err(refusal) => {
            let message = format!("failed to evaluate the inputs: {}", refusal.message);
            Err(OperationError::recoverable(message))
        }
    }
}

/// Brings the script into a file that may be executed.
async fn fetch(place: &Place, text: &ScriptText) -> Result<Utf8PathBuf, OperationError> {
    let failed = |error: std::io::Error| {
        OperationError::recoverable(format!("failed to store the script: {error}"))
    };
    let path = match text {
        ScriptText::Source(source) => {
            let path = place.temporary().join("script.sh");
            fs::write(&path, dedent(source)).await.map_err(failed)?;
            path
        }
        ScriptText::Path(path) => match path.split_once("://") {
            Some(("file", local)) => {
                let name = Utf8Path::new(local).file_name().unwrap_or("script");
                let target = place.temporary().join(name);
                fs::copy(local, &target).await.map_err(failed)?;
                target
            }
            Some((scheme @ ("http" | "https"), _)) => {
                return Err(OperationError::non_recoverable(format!(
                    "the script `{path}` cannot be fetched over {scheme} by an agent: put it among \
                     the blueprint's files and name its path there"
                )));
            }
            Some(_) | None => download(&place.api, path).await.map_err(|error| {
                let why = sentence(&error);
                let message = format!("failed to bring the script `{path}` onto this host: {why}");
                match error {
                    FetchError::Disk(_) => OperationError::recoverable(message),
                    FetchError::Refused(_) => caused(OperationError::new(
                        ErrorKind::NonRecoverable,
                        "HttpException",
                        message,
                    )),
                }
            })?,
        },
    };
    install(&path, &place.scripts()).await.map_err(failed)
}

/// Brings the script onto this host, and says so as the script runner does.
async fn download(api: &HostApi, path: &str) -> Result<Utf8PathBuf, FetchError> {
    let local = api.resource(path, false).await?;
    let message = format!("Downloaded {path} to {local}");
    api.log(LogLevel::Info, None, message, api.once("downloaded")).await;
    Ok(local)
}

/// Writes a program that can be run into a folder of its own, under the name of its source.
async fn install(source: &Utf8Path, folder: &Utf8Path) -> io::Result<Utf8PathBuf> {
    let text = fs::read(source).await?;
    own(folder)?;
    let path = folder.join(source.file_name().unwrap_or("program"));
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o700).open(&path)?.write_all(&text)?;
    Ok(path)
}

/// Finds the program that another life of the daemon has installed.
fn installed(folder: &Utf8Path) -> Option<Utf8PathBuf> {
    let mut entries = folder.read_dir_utf8().ok()?;
    entries.find_map(|entry| Some(entry.ok()?.into_path()))
}

/// Takes off the white space that all lines begin with (Python's `textwrap.dedent`).
fn dedent(text: &str) -> String {
    let is_blank = |line: &&str| line.trim().is_empty();
    let margins = text.lines().filter(|line| !is_blank(line));
    let mut margins =
        margins.map(|line| &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]);
    let first = margins.next().unwrap_or_default();
    let common = margins.fold(first, |common, margin| {
        let same = common.bytes().zip(margin.bytes()).take_while(|(one, other)| one == other);
        &common[..same.count()]
    });
    let lines = text.split_inclusive('\n');
    let lines = lines.map(|line| {
        if is_blank(&line) { line.trim_start_matches([' ', '\t']) } else { &line[common.len()..] }
    });
    lines.collect()
}

/// Says how the operation ended: what the script said, what it exited with, and whether what it
/// changed could be stored.
async fn conclude(api: &HostApi, settings: &Settings, ran: &Ran) -> Result<Value, OperationError> {
    let Ran { command, pid, ended } = ran;
    let code = match ended.exit {
        Exit::Code(code) => code,
        // As Python's `returncode` says it.
        Exit::Signal(signal) => -signal,
        _ => unreachable!("it was not interrupted"),
    };
    let pid = pid.map(|pid| format!("PID={pid}, ")).unwrap_or_default();
    let message = format!("Execution done ({pid}return_code={code}): {command}");
    api.log(LogLevel::Info, None, message, api.once("done")).await;
    let result = match api.verdict(code == 0).await {
        Verdict::Returned(value) => Ok(value),
        Verdict::Retry { message, retry_after } => Err(OperationError {
            retry_after,
            ..OperationError::new(ErrorKind::Retry, "OperationRetry", message)
        }),
        Verdict::Aborted(message) => Err(OperationError::non_recoverable(message)),
        Verdict::Misused(message) => Err(OperationError::non_recoverable(message)),
        Verdict::Failed => Err(process_exception(command, code, settings, &ended.tails)),
    };
    api.store_changes().await.map_err(|refusal| {
        OperationError::new(ErrorKind::Recoverable, &refusal.kind, refusal.message)
    })?;
    result
}

/// Adds to an error itself as its cause, as Cloudify's agent does (`cloudify_agent/worker.py`).
fn caused(mut error: OperationError) -> OperationError {
    error.causes.push(json!({
        "message": error.message,
        "type": error.exception_type,
        "traceback": error.traceback,
    }));
    error
}

fn process_exception(
    command: &str,
    code: i32,
    settings: &Settings,
    [stdout, stderr]: &[String; 2],
) -> OperationError {
    let mut message = format!("command: {command}, exit_code: {code}");
    let streams =
        [("stdout", stdout, settings.logged.stdout), ("stderr", stderr, settings.logged.stderr)];
    for (name, text, is_logged) in streams {
        if is_logged && !text.is_empty() {
            message.extend([", ", name, ": ", text]);
        }
    }
    OperationError::new(ErrorKind::Recoverable, "ProcessException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_that_all_lines_share_is_taken_off() {
        assert_eq!(dedent("  a\n    b\n\n  c"), "a\n  b\n\nc");
        assert_eq!(dedent("\ta\n  b\n"), "\ta\n  b\n");
        assert_eq!(dedent("   \n  a\n"), "\na\n");
        assert_eq!(dedent(""), "");
    }

    #[test]
    fn inputs_become_variables_as_python_writes_them() {
        let cases = [
            (json!("text"), "text"),
            (json!(true), "true"),
            (json!(null), "None"),
            (json!(1), "1"),
            (json!(1.0), "1.0"),
            (json!({"a": [1, null]}), r#"{"a": [1, null]}"#),
        ];
        for (value, expected) in cases {
            assert_eq!(variable(&value), expected);
        }
    }
}

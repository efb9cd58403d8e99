//! A program that is on the host already: the plainest of operations.

use serde_json::Value;
use waggoner_supervisor::Spawn;
use waggoner_types::{ErrorKind, Exit, OperationError, Outcome};

use crate::{
    attempt::Attempt,
    house::House,
    operation::{
        interrupted, not_started,
        oversee::{attend, oversee},
        place::PATH,
    },
    start::{Program, Start},
};

/// Runs it: exit code 0 is success, and there is no result.
///
/// It gets nothing but arguments: no directory of its own, no socket, no inputs.
pub(super) async fn run(
    house: &House,
    attempt: &Attempt,
    start: &Start,
    program: &Program,
) -> Outcome {
    let ended = if attempt.had_process() {
        attend(attempt).await
    } else {
        match oversee(attempt, &describe(house, start, program)).await {
            Ok(ended) => ended,
            Err(refused) => return not_started(&refused, attempt),
        }
    };
    let result = match (interrupted(&ended, start), ended.exit) {
        (Some(error), _) => Err(error),
        (None, Exit::Code(0)) => Ok(Value::Null),
        (None, exit) => Err(exited(&program.program, exit)),
    };
    Outcome { result, exit: Some(ended.exit) }
}

fn describe(house: &House, start: &Start, program: &Program) -> Spawn {
    let mut spawn = Spawn::new(&program.program, house.state.work());
    spawn.args.clone_from(&program.args);
    spawn.env = [("PATH", PATH), ("HOME", "/"), ("LANG", "C.UTF-8")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    spawn.limits = start.into();
    spawn
}

fn exited(program: impl std::fmt::Display, exit: Exit) -> OperationError {
    let how = match exit {
        Exit::Code(code) => format!("exited with code {code}"),
        Exit::Signal(signal) => format!("was ended by signal {signal}"),
        _ => "was ended".to_owned(),
    };
    OperationError::new(ErrorKind::Recoverable, "ProcessException", format!("`{program}` {how}"))
}

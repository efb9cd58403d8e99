//! Outcomes as they are kept with their attempts: a manager may end after it has stored one and
//! before the execution heard of it.

use std::time::Duration;

use serde_json::{Value, json};
use waggoner_types::{ErrorKind, OperationError, Outcome};

/// An outcome as it is kept with its attempt.
pub(crate) fn told(outcome: &Outcome) -> Value {
    match &outcome.result {
        Ok(result) => json!({ "result": result }),
        Err(error) => json!({
            "error": {
                "type": error.exception_type,
                "message": error.message,
                "traceback": error.traceback,
                "causes": error.causes,
                "kind": kind(error.kind),
                "retry_after": error.retry_after.map(|after| after.as_secs_f64()),
            },
        }),
    }
}

/// Reads an outcome back that [`told`] wrote.
pub(crate) fn heard(kept: &Value) -> Option<Outcome> {
    if let Some(result) = kept.get("result") {
        return Some(Outcome { result: Ok(result.clone()), exit: None });
    }
    let error = kept.get("error")?;
    let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    let kinds =
        [ErrorKind::Recoverable, ErrorKind::NonRecoverable, ErrorKind::Retry, ErrorKind::Cancelled];
    let kind = kinds.into_iter().find(|known| error["kind"] == kind(*known))?;
    let after = error["retry_after"].as_f64();
    let error = OperationError {
        retry_after: after.and_then(|after| Duration::try_from_secs_f64(after).ok()),
        traceback: text("traceback"),
        causes: error["causes"].as_array().cloned().unwrap_or_default(),
        ..OperationError::new(kind, &text("type"), text("message"))
    };
    Some(Outcome { result: Err(error), exit: None })
}

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Recoverable => "recoverable",
        ErrorKind::NonRecoverable => "non_recoverable",
        ErrorKind::Retry => "retry",
        ErrorKind::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_heard() {
        let error = OperationError {
            retry_after: Some(Duration::from_millis(1500)),
            traceback: "Traceback".to_owned(),
            causes: vec![json!({ "message": "m" })],
            ..OperationError::new(ErrorKind::Retry, "OperationRetry", "again")
        };
        for result in [Ok(json!({ "a": [1, null] })), Ok(Value::Null), Err(error)] {
            let outcome = Outcome { result, exit: None };
            assert_eq!(heard(&told(&outcome)), Some(outcome));
        }
    }
}

use super::*;

fn error(exception: &str, known: &str, arguments: &Value) -> String {
    json!({
        "type": "error",
        "payload": {
            "exception_type": exception,
            "message": "it broke",
            "known_exception_type": known,
            "known_exception_type_args": arguments,
            "known_exception_type_kwargs": {"causes": [{"message": "first"}]},
            "append_message": false,
            "traceback": "Traceback…",
        },
    })
    .to_string()
}

#[test]
fn every_kind_of_error_means_what_it_means_in_cloudify() {
    use ErrorKind::{NonRecoverable, Recoverable, Retry};
    for (exception, known, arguments, kind, retry_after) in [
        ("NonRecoverableError", "NonRecoverableError", json!([]), NonRecoverable, None),
        ("HttpException", "HttpException", json!(["http://x", 404]), NonRecoverable, None),
        ("WorkflowFailed", "WorkflowFailed", json!([]), Recoverable, None),
        ("OperationRetry", "OperationRetry", json!([11]), Retry, Some(11.0)),
        ("OperationRetry", "OperationRetry", json!(["11"]), Retry, Some(11.0)),
        ("OperationRetry", "OperationRetry", json!([null]), Retry, None),
        ("RecoverableError", "RecoverableError", json!([1.5]), Recoverable, Some(1.5)),
        ("RecoverableError", "RecoverableError", json!([-1]), Recoverable, None),
        ("RecoverableError", "RecoverableError", json!(["soon"]), Recoverable, None),
        ("CloudifySerializationRetry", "RecoverableError", json!([null]), Recoverable, None),
        ("KeyError", "RecoverableError", json!([]), Recoverable, None),
        ("SystemExit", "RecoverableError", json!([]), Recoverable, None),
    ] {
        let output = error(exception, known, &arguments);
        let failure = outcome(Some(&output), Exit::Code(0), None).result.unwrap_err();
        assert_eq!(failure.kind, kind, "{output}");
        assert_eq!(failure.exception_type, exception);
        assert_eq!(failure.message, "it broke");
        assert_eq!(failure.traceback, "Traceback…");
        assert_eq!(failure.retry_after, retry_after.map(Duration::from_secs_f64), "{output}");
        assert_eq!(failure.causes.len(), 2);
        assert_eq!(failure.causes[1]["type"], exception);
    }
    let stop = error("StopAgent", "StopAgent", &json!([]));
    assert_eq!(outcome(Some(&stop), Exit::Code(0), None).result, Ok(Value::Null));
}

#[test]
fn a_result_counts_only_when_the_process_ended_well() {
    let output = Some(r#"{"type": "result", "payload": {"a": [1]}}"#);
    let good = outcome(output, Exit::Code(0), None);
    assert_eq!(good.result, Ok(json!({"a": [1]})));
    assert_eq!(good.exit, Some(Exit::Code(0)));
    let soon = Timeout { after: Duration::from_secs(3), recoverable: true };
    let never = Timeout { recoverable: false, ..soon };
    for (output, exit, timeout, kind, message) in [
        (
            output,
            Exit::Code(1),
            None,
            ErrorKind::NonRecoverable,
            "Unhandled exception occurred in operation dispatch (rc=1)",
        ),
        (output, Exit::Signal(9), None, ErrorKind::NonRecoverable, "Process terminated (rc=-9)"),
        (
            output,
            Exit::Signal(11),
            None,
            ErrorKind::NonRecoverable,
            "Process terminated (rc=-11): SIGSEGV, the interpreter or a native library of the plugin crashed",
        ),
        (
            None,
            Exit::TimedOut,
            Some(never),
            ErrorKind::NonRecoverable,
            "Process killed due to timeout of 3 seconds",
        ),
        (
            None,
            Exit::TimedOut,
            Some(soon),
            ErrorKind::Recoverable,
            "Process killed due to timeout of 3 seconds",
        ),
        (
            None,
            Exit::Cancelled,
            None,
            ErrorKind::Cancelled,
            "The operation was cancelled and its process ended",
        ),
        (
            None,
            Exit::Code(0),
            None,
            ErrorKind::NonRecoverable,
            "The operation's process ended well but wrote no result: something in it called exit",
        ),
        (
            Some("[]"),
            Exit::Code(0),
            None,
            ErrorKind::NonRecoverable,
            "The result that the operation's process wrote cannot be read: it is neither a result nor an error",
        ),
    ] {
        let failure = outcome(output, exit, timeout).result.unwrap_err();
        assert_eq!((failure.kind, failure.message.as_str()), (kind, message));
    }
    let cut = outcome(Some(r#"{"type": "result", "payload": "#), Exit::Code(0), None);
    assert!(cut.result.unwrap_err().message.contains("cannot be read: EOF"));
}

#[test]
fn lone_surrogates_do_not_lose_the_rest() {
    let written = r#"{"type": "result", "payload": ["a\udcff\\udcff", "\ud83d\ude80", "\ud83d", "\n\u00e9"]}"#;
    let read = outcome(Some(written), Exit::Code(0), None).result.unwrap();
    assert_eq!(read, json!(["a\u{fffd}\\udcff", "🚀", "\u{fffd}", "\né"]));
}

//! What the stock proxy cannot be asked about.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use waggoner_ctx::{Call, Ctx, Error, Outcome, Refusal, Reply, Update, Verdict};
use waggoner_types::LogLevel;

fn ctx() -> Ctx {
    let mut ctx =
        Ctx::new(json!({ "node_id": "web_1", "node_name": "web", "task_id": "t" })).unwrap();
    ctx.offer_node(json!({ "id": "web", "type": "my.Web", "properties": { "port": 80 } }));
    ctx.offer_instance(json!({
        "id": "web_1", "node_id": "web", "version": 4, "state": "starting",
        "runtime_properties": { "pid": 7, "deep": { "list": [1, { "a": 2 }] } },
        "relationships": [{ "target_id": "host_1", "target_name": "host" }],
    }));
    ctx
}

fn run(ctx: &mut Ctx, line: &str) -> Outcome {
    let args: Vec<Value> = line.split_whitespace().map(Value::from).collect();
    ctx.evaluate(&args)
}

fn result(value: impl Into<Value>) -> Outcome {
    Outcome::Reply(Reply::Result(value.into()))
}

#[test]
fn what_was_offered_is_not_asked_for() {
    let mut ctx = ctx();
    assert_eq!(run(&mut ctx, "node properties port"), result(80));
    assert_eq!(run(&mut ctx, "instance runtime-properties deep.list[1].a"), result(2));
    assert_eq!(ctx.pending_updates(), []);
}

#[test]
fn what_is_missing_is_asked_for_once() {
    let mut ctx = Ctx::new(json!({ "node_id": "web_1", "node_name": "web" })).unwrap();
    let Outcome::Ask { call, pending } = run(&mut ctx, "node properties port") else { panic!() };
    assert_eq!(call, Call::Node { id: "web".into(), instance: Some("web_1".into()) });
    let node = json!({ "id": "web", "properties": { "port": 81 } });
    assert_eq!(ctx.resume(pending, Ok(node)), result(81));
    assert_eq!(run(&mut ctx, "node properties port"), result(81));
}

#[test]
fn capabilities_ask_for_each_target() {
    let mut ctx = ctx();
    let Outcome::Ask { call, pending } = run(&mut ctx, "capabilities get-all") else { panic!() };
    assert_eq!(call, Call::Instance { id: "host_1".into() });
    let host = json!({ "id": "host_1", "runtime_properties": { "ip": "::1" } });
    assert_eq!(ctx.resume(pending, Ok(host)), result(json!({ "host_1": { "ip": "::1" } })));
}

#[test]
fn a_refusal_is_the_scripts_error_and_leaves_everything_as_it_was() {
    let mut ctx = ctx();
    run(&mut ctx, "instance runtime-properties pid 8");
    let Outcome::Ask { call, pending } = run(&mut ctx, "instance update") else { panic!() };
    let Call::UpdateInstance(update) = call else { panic!("{call:?}") };
    assert_eq!(ctx.pending_updates(), [update]);
    let refusal = Refusal { kind: "CloudifyClientError".into(), message: "409: conflict".into() };
    let error = Error {
        kind: refusal.kind.clone(),
        message: refusal.message.clone(),
        traceback: String::new(),
    };
    assert_eq!(ctx.resume(pending, Err(refusal)), Outcome::Reply(Reply::Error(error)));
    assert_eq!(ctx.pending_updates().len(), 1);
    assert_eq!(run(&mut ctx, "instance runtime-properties pid"), result("8"));
}

#[test]
fn an_answer_of_another_kind_is_an_error() {
    for line in ["node type", "instance index"] {
        let mut ctx = Ctx::new(json!({ "node_id": "web_1", "node_name": "web" })).unwrap();
        let Outcome::Ask { pending, .. } = run(&mut ctx, line) else { panic!() };
        let outcome = ctx.resume(pending, Ok(json!([1])));
        assert!(matches!(outcome, Outcome::Reply(Reply::Error(_))), "{outcome:?}");
    }
}

#[test]
fn an_update_holds_all_properties_and_the_version_that_was_read() {
    let mut ctx = ctx();
    run(&mut ctx, "instance runtime-properties deep.list[1].a 3");
    let runtime_properties = json!({ "pid": 7, "deep": { "list": [1, { "a": "3" }] } });
    let Value::Object(runtime_properties) = runtime_properties else { unreachable!() };
    let (instance, state) = ("web_1".to_owned(), Some("starting".to_owned()));
    assert_eq!(ctx.pending_updates(), [Update { instance, version: 4, runtime_properties, state }]);
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let mut ctx = ctx();
    for line in ["new.list[0].x 1", "deep.list.x 1", "pid.x 1", "fresh.a[0].b 1", "update abc"] {
        let outcome = run(&mut ctx, &format!("instance runtime-properties {line}"));
        assert!(matches!(outcome, Outcome::Reply(Reply::Error(_))), "{line}");
    }
    assert_eq!(ctx.pending_updates(), []);
}

#[test]
fn a_script_that_failed_without_a_word_has_failed() {
    let said = |lines: &[&str]| {
        let mut ctx = ctx();
        for line in lines {
            drop(run(&mut ctx, line));
        }
        [ctx.verdict(true), ctx.verdict(false)]
    };
    let retry = |message: &str, seconds: Option<u64>| Verdict::Retry {
        message: message.into(),
        retry_after: seconds.map(Duration::from_secs),
    };
    let once = Verdict::Misused("ctx may only abort or return once");
    assert_eq!(said(&[]), [Verdict::Returned(Value::Null), Verdict::Failed]);
    assert_eq!(said(&["returns v"]), [Verdict::Returned("v".into()), Verdict::Failed]);
    assert_eq!(said(&["operation retry m"]), [retry("m", None), Verdict::Failed]);
    assert_eq!(
        said(&["retry-operation m 5"]),
        [retry("m [retry_after=5]", Some(5)), retry("m [retry_after=5]", Some(5))]
    );
    assert_eq!(said(&["retry-operation m soon"])[0], retry("m [retry_after=soon]", None));
    assert_eq!(
        said(&["abort-operation m"]),
        [Verdict::Aborted("m".into()), Verdict::Aborted("m".into())]
    );
    assert_eq!(said(&["returns v", "returns w"]), [once.clone(), once]);
}

#[test]
fn a_log_line_whose_percent_signs_do_not_fit_is_kept() {
    for (line, message) in [
        ("logger warning starting the server", "starting the server"),
        ("logger warning 100% done", "100% done"),
        ("logger warning %d x", "%d x"),
        ("logger warning 100%", "100%"),
    ] {
        let expected = Outcome::Log { level: LogLevel::Warning, message: message.into() };
        assert_eq!(run(&mut ctx(), line), expected);
    }
}

#[test]
fn a_template_sees_what_is_at_hand() {
    let mut ctx = ctx();
    run(&mut ctx, "instance runtime-properties url x");
    let seen = ctx.to_json();
    assert_eq!(seen["node"]["properties"]["port"], 80);
    assert_eq!(seen["node"]["name"], "web");
    assert_eq!(seen["instance"]["runtime_properties"]["url"], "x");
    assert_eq!(seen["type"], "node-instance");
}

#[test]
fn a_malformed_context_is_refused_with_its_field() {
    for (context, sentence) in [
        (json!([]), "`context`: it is not an object"),
        (json!({ "node_id": 5, "node_name": "a" }), "`node_id`: it is not a string"),
        (json!({ "node_id": "a" }), "`node_name`: it is not a string"),
        (json!({ "related": 1 }), "`related`: it is not an object"),
        (
            json!({ "node_id": "a", "node_name": "a", "related": { "node_id": "b", "node_name": "b" } }),
            "`related.is_target`: it is neither true nor false",
        ),
    ] {
        let error = Ctx::new(context).unwrap_err().to_string();
        assert_eq!(error, format!("the operation's context is malformed at {sentence}"));
    }
}

#[test]
fn a_reply_is_read_as_it_is_written() {
    let error = Error { kind: "KeyError".into(), message: "'x'".into(), traceback: "at x".into() };
    for reply in [
        Reply::Result(json!({ "a": [1] })),
        Reply::Result(Value::Null),
        Reply::Error(error),
        Reply::Stop { message: "enough".into() },
    ] {
        assert_eq!(Reply::from_json(reply.to_json()), Ok(reply));
    }
    for foreign in [json!(null), json!("x"), json!({}), json!({ "type": "error", "payload": 5 })] {
        assert!(Reply::from_json(foreign).is_err());
    }
}

fn argument() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "node",
        "instance",
        "properties",
        "runtime-properties",
        "operation",
        "retry",
        "logger",
        "info",
        "returns",
        "plugin",
        "capabilities",
        "get_all",
        "update",
        "refresh",
        "pop",
        "get",
        "deep",
        "deep.list",
        "deep.list[1]",
        "deep.list[1].a",
        "deep.list[9]",
        "port",
        "a.b.c",
        "x[0]",
        "[",
        "a[",
        "",
        ".",
        "..",
        "-",
        "keys",
        "scaling-groups",
        "get-resource",
        "setdefault",
        "tenant",
        "drift",
        "host_ip",
        "%s",
        "%",
        "agent",
        "relationships",
    ]);
    prop_oneof![
        8 => words.prop_map(Value::from),
        1 => prop::sample::select(vec![json!(null), json!(5), json!([1]), json!({ "a": 1 }), json!(0.5)]),
        1 => ".{0,6}".prop_map(Value::from),
    ]
}

proptest! {
    /// Any arguments have an outcome, and any answer continues it.
    #[test]
    fn nothing_a_script_says_panics(
        lines in prop::collection::vec(prop::collection::vec(argument(), 0..6), 0..6),
        answers in prop::collection::vec(prop::sample::select(vec![json!({ "id": "x" }), json!(null), json!([])]), 30),
    ) {
        let mut ctx = ctx();
        let mut answers = answers.into_iter();
        for line in lines {
            let mut outcome = ctx.evaluate(&line);
            while let Outcome::Ask { pending, .. } = outcome {
                let Some(answer) = answers.next() else { return Ok(()) };
                outcome = ctx.resume(pending, Ok(answer));
            }
        }
        ctx.verdict(true);
        ctx.to_json();
    }

    /// What was set is there, and the rest is as it was.
    #[test]
    fn what_is_set_is_got(path in "[a-c](\\.[a-c]){0,3}", value in 0..9_u8) {
        let mut ctx = ctx();
        let line = ["instance", "runtime-properties", &path].map(Value::from);
        let mut set = line.to_vec();
        set.push(value.into());
        prop_assert_eq!(ctx.evaluate(&set), result(Value::Null));
        prop_assert_eq!(ctx.evaluate(&line), result(value));
        prop_assert_eq!(run(&mut ctx, "instance runtime-properties pid"), result(7));
        prop_assert_eq!(ctx.pending_updates().len(), 1);
    }
}

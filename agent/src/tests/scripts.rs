//! Scripts with `ctx`, run as a blueprint runs them.

use serde_json::{Value, json};
use waggoner_proto::agent::v1::{self as pb, answer, question::Ask, script_operation, start};
use waggoner_types::{ErrorKind, Exit, OutputStream};

use super::site::{Site, Story, Talk, refuse, shell, value};

/// A start of a script in the context of a node instance.
pub(super) fn script(source: &str, process: &Value) -> pb::Start {
    let script = Some(script_operation::Script::Source(source.to_owned()));
    let operation =
        pb::ScriptOperation { script, process_json: process.to_string(), environment: None };
    pb::Start {
        context_json: json!({
            "__cloudify_context": "0.3", "type": "operation", "task_id": "t-1",
            "task_name": "script_runner.tasks.run", "execution_id": "e", "workflow_id": "install",
            "tenant": {"name": "default_tenant"}, "node_id": "web_1", "node_name": "web",
            "deployment_id": "dep", "blueprint_id": "bp",
            "plugin": {"name": "script", "package_name": ""},
            "operation": {"name": "cloudify.interfaces.lifecycle.start", "retry_number": 0,
                "max_retries": 3},
        })
        .to_string(),
        implementation: Some(start::Implementation::Script(operation)),
        node_jsons: vec![
            json!({"id": "web", "type": "web.Server",
            "type_hierarchy": ["web.Server"], "properties": {"port": 8080}})
            .to_string(),
        ],
        node_instance_jsons: vec![instance(1, &json!({"old": [1]})).to_string()],
        ..shell("")
    }
}

fn instance(version: i64, properties: &Value) -> Value {
    json!({"id": "web_1", "node_id": "web", "version": version, "state": "starting",
        "host_id": null, "runtime_properties": properties, "relationships": []})
}

/// Answers as a manager that stores what it is told, and has one template.
pub(super) fn manager(ask: &Ask) -> answer::Outcome {
    match ask {
        Ask::UpdateNodeInstance(update) => {
            let properties = update.runtime_properties_json.as_deref().unwrap();
            value(&instance(update.version + 1, &serde_json::from_str(properties).unwrap()))
        }
        Ask::NodeInstance(_) => value(&instance(7, &json!({"fresh": true}))),
        Ask::Resource(resource) if resource.path == "conf/nginx.conf" => {
            let data = "port {{ ctx.node.properties.port }} of {{ who }}".as_bytes().to_vec();
            answer::Outcome::Chunk(pb::FileChunk { data, last: true, directory: false })
        }
        Ask::Resource(resource) if resource.path == "scripts/start.sh" => {
            let data = b"#!/bin/sh\necho \"$greeting from $0\"\n".to_vec();
            answer::Outcome::Chunk(pb::FileChunk { data, last: true, directory: false })
        }
        Ask::Rest(request) if request.path.starts_with("/executions") => {
            value(&json!({"status": 200, "body": {"id": "e", "status": "started"}}))
        }
        ask => refuse(ask),
    }
}

async fn run(start: pb::Start) -> Story {
    let site = Site::new().await;
    let mut client = site.link().await;
    Talk::start(&mut client, start).await.unwrap().finish(manager).await
}

#[tokio::test]
async fn a_script_reads_and_writes_through_ctx() {
    let source = r#"
        set -e
        ctx logger info "port $(ctx node properties port)"
        ctx instance runtime-properties url "http://$name:$(ctx node properties port)"
        ctx instance runtime-properties nested.deep @5
        echo "old is $(ctx -j instance runtime_properties old)"
        echo oops >&2
        ctx returns '@["done", true]'
    "#;
    let mut start = script(source, &json!({"env": {"name": "web"}}));
    start.inputs_json = json!({"name": "is replaced", "list": [1, true]}).to_string();
    let story = run(start).await;
    assert_eq!(story.outcome().result, Ok(json!(["done", true])), "{:?}", story.logs());
    assert_eq!(story.outcome().exit, Some(Exit::Code(0)));
    let logs = story.logs();
    assert!(
        logs.iter().any(|line| line == "port 8080")
            && logs.iter().any(|line| line == "<out> old is [1]"),
        "{logs:?}"
    );
    assert!(logs.iter().any(|line| line == "<err> oops"), "{logs:?}");
    let [Ask::UpdateNodeInstance(update)] = story.questions.as_slice() else {
        panic!("what came with the start is not asked for: {:?}", story.questions)
    };
    let properties: Value =
        serde_json::from_str(update.runtime_properties_json.as_deref().unwrap()).unwrap();
    assert_eq!(properties, json!({"old": [1], "url": "http://web:8080", "nested": {"deep": 5}}));
    assert_eq!(update.version, 1);
}

#[tokio::test]
async fn what_a_script_changed_is_stored_even_when_it_fails() {
    let story = run(script("ctx instance runtime-properties a 1\nexit 3\n", &json!({}))).await;
    assert_eq!(story.error().kind, ErrorKind::Recoverable);
    assert_eq!(story.error().exception_type, "ProcessException");
    assert!(story.error().message.ends_with("script.sh, exit_code: 3"), "{:?}", story.error());
    assert!(matches!(story.questions.as_slice(), [Ask::UpdateNodeInstance(_)]));
}

#[tokio::test]
async fn a_conflict_takes_the_place_of_the_scripts_own_end() {
    let site = Site::new().await;
    let mut client = site.link().await;
    let start = script("ctx instance runtime-properties a 1\nctx returns fine", &json!({}));
    let conflict = |_: &Ask| {
        answer::Outcome::Refusal(pb::Refusal {
            reason: "VERSION_CONFLICT".to_owned(),
            message: "the stored version is newer".to_owned(),
            status: 409,
            error_code: "conflict_error".to_owned(),
        })
    };
    let story = Talk::start(&mut client, start).await.unwrap().finish(conflict).await;
    assert_eq!(story.error().kind, ErrorKind::Recoverable);
    assert_eq!(story.error().message, "409: the stored version is newer");
}

#[tokio::test]
async fn a_failure_repeats_what_the_script_said() {
    let story = run(script("echo out; echo err >&2; exit 2", &json!({}))).await;
    let message = &story.error().message;
    assert!(message.ends_with("exit_code: 2, stdout: out\n, stderr: err\n"), "{message}");
}

#[tokio::test]
async fn a_script_may_abort_or_ask_to_be_run_again() {
    let story = run(script("ctx abort-operation 'no disk'; echo not reached", &json!({}))).await;
    assert_eq!(story.error().kind, ErrorKind::NonRecoverable, "{:?}", story.logs());
    assert_eq!(story.error().message, "no disk");

    let story = run(script("ctx retry-operation 'not yet' @11", &json!({}))).await;
    assert_eq!(story.error().kind, ErrorKind::Retry);
    assert_eq!(story.error().message, "not yet [retry_after=11]");
    assert_eq!(story.error().retry_after, Some(std::time::Duration::from_secs(11)));

    let story = run(script("ctx returns 1; ctx returns 2", &json!({}))).await;
    assert_eq!(story.error().message, "ctx may only abort or return once");
    assert_eq!(story.error().kind, ErrorKind::NonRecoverable);
}

#[tokio::test]
async fn a_script_among_the_blueprints_files_is_fetched_and_run() {
    let mut start = script("", &json!({"args": ["x"]}));
    if let Some(start::Implementation::Script(operation)) = &mut start.implementation {
        let path = "scripts/start.sh".to_owned();
        operation.script = Some(script_operation::Script::Path(path));
    }
    start.inputs_json = json!({"greeting": "hello"}).to_string();
    let story = run(start).await;
    let said = story.logs().into_iter().find(|line| line.starts_with("<out> hello from /"));
    assert!(said.is_some_and(|line| line.ends_with("/start.sh")), "{:?}", story.logs());
}

#[tokio::test]
async fn a_missing_script_is_one_clear_sentence() {
    let mut start = script("", &json!({}));
    if let Some(start::Implementation::Script(operation)) = &mut start.implementation {
        operation.script = Some(script_operation::Script::Path("no/such.sh".to_owned()));
    }
    let story = run(start).await;
    assert_eq!(story.error().kind, ErrorKind::NonRecoverable);
    assert_eq!(
        story.error().message,
        "failed to bring the script `no/such.sh` onto this host: there is no such thing"
    );
}

#[tokio::test]
async fn a_resource_is_rendered_with_what_ctx_shows() {
    let source = r#"
        path=$(ctx download-resource-and-render conf/nginx.conf '@{"template_variables": {"who": "web"}}')
        cat $path
    "#;
    let story = run(script(source, &json!({}))).await;
    assert!(story.logs().iter().any(|line| line == "<out> port 8080 of web"), "{:?}", story.logs());
}

#[tokio::test]
async fn streams_that_are_not_logged_are_output() {
    let process = json!({"log_stdout": false, "log_stderr": false});
    let story = run(script("echo out; echo err >&2", &process)).await;
    assert_eq!(story.output(OutputStream::Stdout), b"out\n");
    assert_eq!(story.output(OutputStream::Stderr), b"err\n");
    assert!(!story.logs().iter().any(|line| line.starts_with('<')), "{:?}", story.logs());
}

#[tokio::test]
async fn stderr_may_be_logged_as_stdout() {
    let story = run(script("echo one; echo two >&2", &json!({"stderr_to_stdout": true}))).await;
    let logs: Vec<_> = story.logs().into_iter().filter(|line| line.starts_with('<')).collect();
    assert_eq!(logs, ["<out> one", "<out> two"]);
}

#[tokio::test]
async fn nothing_but_curl_is_needed_to_use_ctx() {
    let source = r#"
        call() {
            curl --silent --unix-socket "$WAGGONER_SOCKET" --header 'content-type: application/json' \
                --data "$2" http://localhost/waggoner.plugin.v1.ContextService/$1
        }
        call GetNode '{"nodeId": "web"}'; echo
        call WriteEvents '{"events": [{"message": "by curl", "log": {"level": "warning"}}]}'; echo
        call GetNode '{"noSuchField": 1}'; echo
        call GetResource '{"path": "none"}'; echo
        call NoSuchMethod '{}'; echo
    "#;
    let story = run(script(source, &json!({}))).await;
    let logs = story.logs();
    let node = logs.iter().find_map(|line| line.strip_prefix("<out> {\"nodeJson\":"));
    assert!(node.is_some_and(|node| node.contains(r#"\"port\":8080"#)), "{logs:?}");
    assert!(logs.iter().any(|line| line == "by curl"));
    let refusals: Vec<_> = logs.iter().filter(|line| line.starts_with("<out> {\"code\"")).collect();
    assert_eq!(refusals.len(), 3, "{logs:?}");
    assert!(refusals[0].contains("INVALID_FIELD") && refusals[1].contains("NOT_FOUND"), "{logs:?}");
}

#[tokio::test]
async fn the_operations_own_directory_is_gone_afterwards() {
    let site = Site::new().await;
    let mut client = site.link().await;
    let start = script("touch $TMPDIR/x; ctx get-resource conf/nginx.conf", &json!({}));
    Talk::start(&mut client, start).await.unwrap().finish(manager).await;
    // Its end is kept first, and heard of.
    let is_left = || site.house.state.root().join("attempts").read_dir_utf8().unwrap().count() > 0;
    let gone = async {
        while is_left() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), gone).await.unwrap();
    let sockets = site.house.state.run().read_dir_utf8().unwrap();
    let paths = sockets.map(|entry| entry.unwrap().into_path());
    let sockets = paths.filter(|path| path.extension() == Some("sock"));
    let names: Vec<_> = sockets.map(|path| path.file_stem().unwrap().to_owned()).collect();
    assert_eq!(names, ["supervisor"]);
}

#[tokio::test]
async fn no_secret_of_the_daemons_environment_reaches_an_operation() {
    let story = run(script("env | grep -v '^greeting' | cut -d= -f1 | sort", &json!({}))).await;
    let logs = story.logs();
    let names: Vec<_> = logs.iter().filter_map(|line| line.strip_prefix("<out> ")).collect();
    assert!(names.contains(&"WAGGONER_SOCKET") && names.contains(&"LOCAL_REST_CERT_FILE"));
    assert!(!names.iter().any(|name| name.starts_with("CARGO") || name.starts_with("NEXTEST")));
}

#[tokio::test]
async fn a_script_may_speak_to_the_ctx_proxy_itself_and_a_stranger_may_not() {
    let (site, environment) = super::python::stock_site().await;
    let python = super::python::interpreter_of(&site, &environment).await;
    let source = r#"
        port=${CTX_SOCKET_URL#http://localhost:}; port=${port%%/*}
        client() { $PYTHON -m cloudify.proxy.client "$@"; }
        client logger info "port $(client node properties port)"
        client instance runtime_properties a.b '@[1]'
        client -j instance runtime_properties; echo
        bash -c ". $(dirname $PYTHON)/ctx-sh; ctx logger info by-ctx-sh"
        curl --silent --data '{"args": ["node", "id"]}' $CTX_SOCKET_URL; echo
        curl --silent --write-out '%{http_code}\n' --data '{"args": ["node", "id"]}' http://localhost:$port/
        curl --silent --write-out '%{http_code}\n' --data '{"args": ["node", "id"]}' http://localhost:$port/0123
        WAGGONER_SOCKET= ctx logger info by-tcp
        echo "url $CTX_SOCKET_URL"
        client returns well
    "#;
    let process = json!({"env": {"PYTHON": python}});
    let mut client = site.link().await;
    let story = Talk::start(&mut client, script(source, &process)).await.unwrap();
    let story = story.finish(manager).await;
    assert_eq!(story.outcome().result, Ok(json!("well")), "{:?}", story.logs());
    let logs = story.logs();
    for line in [
        "port 8080",
        r#"<out> {"old": [1], "a": {"b": [1]}}"#,
        "by-ctx-sh",
        r#"<out> {"type":"result","payload":"web"}"#,
        "by-tcp",
    ] {
        assert!(logs.iter().any(|log| log == line), "{line} is not in {logs:?}");
    }
    assert_eq!(logs.iter().filter(|log| log.ends_with("404")).count(), 2, "{logs:?}");
    // The operation is over.
    let url = logs.iter().find_map(|log| log.strip_prefix("<out> url ")).unwrap();
    let mut curl = tokio::process::Command::new("curl");
    curl.args(["--silent", "--data", r#"{"args": ["node", "id"]}"#, url]);
    let answer = String::from_utf8(curl.output().await.unwrap().stdout).unwrap();
    assert_eq!(answer, "no operation that runs is known here\n");
}

//! Operations of a plugin under the stock cloudify-common, whose `ctx` is answered by a stub.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use camino_tempfile::Utf8TempDir;
use fs_err as fs;
use serde_json::{Map, Value, json};
use waggoner_process::Spawn;
use waggoner_python::{
    Environment, Runtime,
    dispatch::{self, Variables},
};
use waggoner_types::{ErrorKind, OperationError, Outcome};

use crate::{
    agent::Stub,
    support::plugin_environment,
    ways::{Ended, Way},
};

/// A place in which one operation after the other can be run.
pub(crate) struct Site {
    pub(crate) directory: Utf8TempDir,
    environment: Environment,
    runtime: Runtime,
    stub: Stub,
    runs: usize,
    pub(crate) way: Way,
    /// What the last one wrote.
    pub(crate) stdout: Vec<u8>,
}

// === impl Site ===

impl Site {
    /// A place for each way in which an operation's process comes to be.
    pub(crate) async fn each_way() -> Vec<Self> {
        let mut sites = Vec::new();
        for way in [Way::Started, Way::forked()] {
            sites.extend(Self::new(way).await);
        }
        sites
    }

    pub(crate) async fn new(way: Way) -> Option<Self> {
        let (environments, environment) = plugin_environment().await?;
        let directory = Utf8TempDir::new().unwrap();
        let resources = directory.path().join("blueprint");
        fs::create_dir_all(resources.join("files/more/deep")).unwrap();
        fs::write(resources.join("files/a.txt"), "for {{ who }}").unwrap();
        fs::write(resources.join("files/more/b"), "b").unwrap();
        fs::write(resources.join("files/more/deep/c"), "c").unwrap();
        let script = "from cloudify import ctx\nfrom cloudify.state import ctx_parameters as p\n\
                      ctx.instance.runtime_properties['by'] = p['who']\nctx.returns(p['who'])\n";
        fs::write(resources.join("script.py"), script).unwrap();
        let stub = Stub::start(directory.path(), &resources);
        let runtime = environments.runtime().unwrap();
        Some(Self { directory, environment, runtime, stub, runs: 0, way, stdout: Vec::new() })
    }

    pub(crate) async fn run(&mut self, task: &str, inputs: &Value) -> Outcome {
        self.run_in(&json!({}), task, inputs).await
    }

    async fn fails(&mut self, task: &str, inputs: &Value) -> OperationError {
        self.run(task, inputs).await.result.unwrap_err()
    }

    async fn run_in(&mut self, context: &Value, task: &str, inputs: &Value) -> Outcome {
        self.runs += 1;
        let dispatch = self.directory.path().join(format!("dispatch-{}", self.runs));
        let temporary = dispatch.join("tmp");
        fs::create_dir_all(&temporary).unwrap();
        let mut full = json!({
            "type": "operation", "task_id": "t1", "task_name": task, "execution_id": "e1",
            "workflow_id": "install", "tenant": {"name": "default_tenant"},
            "node_id": "web_1", "node_name": "web", "deployment_id": "d1", "blueprint_id": "b1",
            "plugin": {"name": "web", "package_name": "web-plugin", "package_version": "1.0"},
            "operation": {"name": "create", "retry_number": 0, "max_retries": 3},
            "execution_token": "token", "task_target": "agent", "task_queue": "agent",
            "rest_host": "127.0.0.1", "rest_port": 1, "has_intrinsic_functions": false,
        });
        for (key, value) in context.as_object().unwrap() {
            full[key] = value.clone();
        }
        let inputs: Map<String, Value> = inputs.as_object().unwrap().clone();
        let input = dispatch::input_json(full.as_object().unwrap(), &inputs);
        fs::write(dispatch.join(dispatch::INPUT), input).unwrap();
        let certificate = dispatch.join("ca.pem");
        fs::write(&certificate, "").unwrap();
        let tenant = "default_tenant".parse().unwrap();
        self.environment.link_plugin(&dispatch, &tenant, "web-plugin", "1.0").unwrap();
        let heard = self.directory.path().join("heard").into_string();
        let variables = Variables {
            environment: &self.environment,
            runtime: &self.runtime,
            path: "/usr/bin:/bin",
            commands: None,
            socket: &self.stub.socket,
            agent_name: "agent",
            work_directory: self.directory.path(),
            temporary_directory: &temporary,
            home: self.directory.path().as_str(),
            user: "nobody",
            rest: Some(dispatch::Rest {
                host: "127.0.0.1",
                port: 1,
                protocol: "http",
                certificate: &certificate,
            }),
            further: &BTreeMap::from([
                ("HEARD".to_owned(), heard),
                ("CFY_PLUGINS_ROOT".to_owned(), dispatch.to_string()),
            ]),
        };
        let mut spawn = Spawn::new(&self.environment.python, self.directory.path());
        spawn.args = dispatch::arguments(dispatch.as_str()).to_vec();
        spawn.env = variables.to_map();
        let module = dispatch::module(task).unwrap();
        let Ended { exit, stdout, stderr } = self.way.run(&spawn, &dispatch, module).await;
        let written = fs::read_to_string(dispatch.join(dispatch::OUTPUT)).ok();
        let outcome = dispatch::outcome(written.as_deref(), exit, None);
        // Shown with a test that fails.
        println_of(&stdout, &stderr, &outcome);
        self.stdout = stdout;
        outcome
    }
}

#[expect(clippy::print_stdout, reason = "a test that fails shows what its operations said")]
fn println_of(stdout: &[u8], stderr: &[u8], outcome: &Outcome) {
    println!("{}", String::from_utf8_lossy(stdout));
    println!("{}", String::from_utf8_lossy(stderr));
    println!("{outcome:?}");
}

#[tokio::test]
async fn an_operation_reads_logs_updates_and_returns() {
    for mut site in Site::each_way().await {
        let outcome = site.run("web_plugin.create", &json!({"name": "wörld"})).await;
        let expected = json!({"id": "web_1", "ip": "192.0.2.7", "agent": "agent"});
        assert_eq!(outcome.result, Ok(expected));
        assert_eq!(
            site.stub.runtime_properties("web_1"),
            json!({"ip": "192.0.2.7", "name": "wörld", "port": 8080, "again": true})
        );
        let events = site.stub.events();
        let shown: Vec<_> = events
            .iter()
            .map(|event| (event["message"].as_str().unwrap(), event["log"]["level"].as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("hello wörld", Some("info")),
                ("low", Some("debug")),
                ("an event", None),
                ("after the update", Some("warning")),
            ]
        );
        assert_eq!(events[0]["log"]["logger"], "ctx.t1");
        assert_eq!(events[2]["pluginEvent"]["eventType"], "plugin_event");
        assert!(events[0]["time"].as_str().unwrap().ends_with('Z'));
        // What was logged before an update is there before it.
        let known = site.stub.known.lock().unwrap();
        let mut logged = 0;
        let first_update = known.calls.iter().find_map(|(method, message)| {
            logged += message["events"].as_array().map_or(0, Vec::len);
            (method == "UpdateNodeInstance").then_some(message)
        });
        assert_eq!(logged, 3);
        let first_update = first_update.unwrap();
        assert_eq!(first_update["version"], "3");
        assert_eq!(first_update.get("state"), None, "it did not change, so it is not sent");
    }
}

#[tokio::test]
async fn every_way_to_fail_arrives_as_what_it_is() {
    for mut site in Site::each_way().await {
        for (how, kind, exception, retry_after, message) in [
            ("never", ErrorKind::NonRecoverable, "NonRecoverableError", None, "no way"),
            ("later", ErrorKind::Recoverable, "RecoverableError", Some(7), "wait [retry_after=7]"),
            ("http", ErrorKind::NonRecoverable, "HttpException", None, "500 (http://x) : broken"),
            ("retry", ErrorKind::Retry, "OperationRetry", Some(3), "again [retry_after=3]"),
            ("any", ErrorKind::Recoverable, "KeyError", None, "'x'"),
            ("exit", ErrorKind::Recoverable, "SystemExit", None, "3"),
        ] {
            let error = site.fails("web_plugin.fail", &json!({"how": how})).await;
            let shown = (error.kind, &*error.exception_type, &*error.message);
            assert_eq!(shown, (kind, exception, message));
            assert_eq!(error.retry_after.map(|after| after.as_secs()), retry_after);
            // Saved all the same, except by what is no exception to the stock dispatcher.
            assert_eq!(site.stub.runtime_properties("web_1")["failed"], how);
        }
        let said = site.stub.messages().len();
        let error = site.fails("web_plugin.fail", &json!({"how": "hard"})).await;
        assert_eq!(error.message, "Unhandled exception occurred in operation dispatch (rc=4)");
        assert_eq!(site.stub.messages()[said..], ["failing"], "`os._exit` loses no line");
        let error = site.fails("web_plugin.fail", &json!({"how": "unserializable"})).await;
        assert!(
            error.message.starts_with(
                "Unhandled exception occurred in operation dispatch (rc=1): \
             the operation returned what is not JSON: "
            ),
            "{}",
            error.message
        );
        let error = site.fails("web_plugin.missing", &json!({})).await;
        assert_eq!(error.kind, ErrorKind::NonRecoverable);
        assert!(error.message.contains("has no function named"), "{}", error.message);
        let error = site.fails("no_such_module.f", &json!({})).await;
        assert!(error.message.contains("No module named"), "{}", error.message);
    }
}

#[tokio::test]
async fn a_conflict_is_handled_or_retried() {
    for mut site in Site::each_way().await {
        site.stub.known.lock().unwrap().conflicts = 1;
        let error = site.fails("web_plugin.conflict", &json!({"handled": false})).await;
        assert_eq!(error.kind, ErrorKind::Recoverable);
        assert!(error.message.starts_with("409: "), "{}", error.message);
        site.stub.known.lock().unwrap().conflicts = 1;
        let merged =
            site.run("web_plugin.conflict", &json!({"handled": true})).await.result.unwrap();
        assert_eq!(merged, json!({"ip": "192.0.2.7", "mine": 1, "theirs": 2}));
    }
}

#[tokio::test]
async fn resources_come_from_the_agent() {
    for mut site in Site::each_way().await {
        let mut found = site.run("web_plugin.resources", &json!({})).await.result.unwrap();
        // Came with 6.4.
        let directory = found.as_object_mut().unwrap().remove("directory");
        assert!(directory.is_none_or(|found| found == json!(["more/b", "more/deep/c"])));
        assert_eq!(
            found,
            json!({
                "content": "for {{ who }}",
                "rendered": "for you",
                "name": "a.txt",
                "downloaded": "for me",
                "missing": 404,
            })
        );
        assert!(site.directory.path().join("blueprint/files/a.txt").exists());
    }
}

#[tokio::test]
async fn a_plugin_finds_its_own_environment() {
    for mut site in Site::each_way().await {
        let found = site.run("web_plugin.prefix", &json!({})).await.result.unwrap();
        if found.is_null() && site.environment.name == "given" {
            return; // Before 6.3 the stock package looks below its own interpreter and finds nothing.
        }
        let found = Utf8PathBuf::from(found.as_str().unwrap());
        assert_eq!(found.canonicalize_utf8().unwrap(), site.environment.prefix);
    }
}

#[tokio::test]
async fn a_rehearsal_succeeds_and_changes_nothing() {
    for mut site in Site::each_way().await {
        let changed = site.run("web_plugin.rehearse", &json!({})).await.result;
        assert_eq!(changed, Ok(json!([])));
    }
}

#[tokio::test]
async fn functions_in_inputs_are_evaluated_by_the_agent() {
    for mut site in Site::each_way().await {
        let context = json!({"has_intrinsic_functions": true});
        let inputs = json!({"secret": {"get_secret": "x"}});
        let outcome = site.run_in(&context, "web_plugin.inputs", &inputs).await;
        assert_eq!(outcome.result, Ok(json!({"secret": "evaluated"})));
    }
}

#[tokio::test]
async fn what_is_asked_for_rarely_is_asked_for_as_a_rest_request() {
    for mut site in Site::each_way().await {
        let outcome = site.run("web_plugin.rest", &json!({})).await;
        let provider = json!({"cloudify": {"cloudify_agent": {"user": "centos"}}});
        assert_eq!(
            outcome.result,
            Ok(json!({
                "config": [60],
                "provider": provider,
                "retries": "centos",
                "execution": "started",
                "script": "#!/bin/sh\n",
                "link": ["", "https://m/s"],
            }))
        );
        let calls = site.stub.calls("CallRest");
        let script = calls.iter().find(|call| call["path"] == "/waggoner/init-script").unwrap();
        let body: Value = serde_json::from_str(script["bodyJson"].as_str().unwrap()).unwrap();
        assert_eq!(
            body,
            json!({"node_instance_id": "web_1", "cloudify_agent": {"user": "me"}, "link": false})
        );
    }
}

#[tokio::test]
async fn many_lines_travel_in_few_calls_and_in_order() {
    for mut site in Site::each_way().await {
        assert!(site.run("web_plugin.chatter", &json!({"lines": 5000})).await.result.is_ok());
        let expected: Vec<_> = (0..5000).map(|number| format!("line {number}")).collect();
        assert_eq!(site.stub.messages(), expected);
        let calls = site.stub.calls("WriteEvents").len();
        assert!(calls < 2500, "{calls} calls for 5000 lines");
    }
}

/// The handler runs in the middle of what the main thread says and asks.
#[tokio::test]
async fn a_signal_handler_logs_and_updates_like_everybody() {
    for mut site in Site::each_way().await {
        let rung = site.run("web_plugin.ring", &json!({"times": 50})).await.result;
        assert_eq!(rung, Ok(json!(50)));
        assert_eq!(site.stub.runtime_properties("web_1")["rung"], 50);
        let known = site.stub.known.lock().unwrap();
        let (mut rings, mut updates) = (0, 0);
        for (method, message) in &known.calls {
            for event in message["events"].as_array().into_iter().flatten() {
                rings += usize::from(event["message"].as_str().unwrap().starts_with("ring"));
            }
            updates += usize::from(method == "UpdateNodeInstance");
            assert!(updates <= rings, "what was logged before an update is there before it");
        }
        assert_eq!(rings, 50);
    }
}

#[tokio::test]
async fn odd_lines_arrive_too() {
    for mut site in Site::each_way().await {
        assert!(site.run("web_plugin.odd_lines", &json!({})).await.result.is_ok());
        let events = site.stub.events();
        let long = events.iter().take_while(|event| event["message"] != "").count();
        assert_eq!(long, 4, "200,000 characters come in pieces");
        assert_eq!(site.stub.messages()[4..], ["", "half \\udc80", "between"]);
        assert_eq!(events[6]["log"]["level"], "info");
    }
}

#[tokio::test]
async fn a_refusal_is_what_the_stock_client_would_raise() {
    for mut site in Site::each_way().await {
        for (how, exception, message) in [
            ("unknown", "CloudifyClientError", "404: it is refused"),
            ("functions", "FunctionsEvaluationError", "400: it is refused"),
            ("odd", "CloudifyClientError", "418: it is refused"),
        ] {
            let error = site.fails("web_plugin.refused", &json!({"how": how})).await;
            let shown = (error.kind, &*error.exception_type, &*error.message);
            assert_eq!(shown, (ErrorKind::Recoverable, exception, message));
        }
    }
}

#[tokio::test]
async fn a_child_of_the_operation_logs_as_well() {
    for mut site in Site::each_way().await {
        assert!(site.run("web_plugin.fork", &json!({})).await.result.is_ok());
        assert_eq!(site.stub.messages(), ["parent before", "child", "parent after"]);
    }
}

#[tokio::test]
async fn a_line_arrives_while_the_operation_runs() {
    for mut site in Site::each_way().await {
        let (stub, heard) = (site.stub.clone(), site.directory.path().join("heard"));
        // The operation ends itself, without a chance to flush, once its line was heard.
        let listener = std::thread::spawn(move || {
            stub.wait_for("WriteEvents");
            fs::write(heard, "").unwrap();
        });
        let error = site.fails("web_plugin.crash", &json!({})).await;
        listener.join().unwrap();
        assert_eq!(error.message, "Process terminated (rc=-9)");
        assert_eq!(site.stub.messages(), ["last words"]);
    }
}

#[tokio::test]
async fn both_sides_of_a_relationship_are_updated() {
    for mut site in Site::each_way().await {
        let context = json!({
            "related": {"node_id": "db_1", "node_name": "db", "is_target": true},
            "operation": {"name": "establish", "relationship": "source"},
        });
        let outcome = site.run_in(&context, "web_plugin.relationship", &json!({})).await;
        assert_eq!(outcome.result, Ok(json!("relationship-instance")));
        assert_eq!(site.stub.runtime_properties("web_1")["to"], "db_1");
        assert_eq!(site.stub.runtime_properties("db_1")["from"], 8080);
    }
}

#[tokio::test]
async fn a_python_script_runs_in_the_stock_script_runner() {
    for mut site in Site::each_way().await {
        let inputs = json!({"who": "script"}).as_object().unwrap().clone();
        let (task, inputs) = dispatch::python_script_task("script.py", &inputs);
        let outcome = site.run(task, &Value::from(inputs)).await;
        assert_eq!(outcome.result, Ok(json!("script")));
        assert_eq!(site.stub.runtime_properties("web_1")["by"], "script");
    }
}

#[tokio::test]
async fn without_an_agent_the_message_says_so() {
    for mut site in Site::each_way().await {
        site.stub.socket = Utf8PathBuf::new();
        let error = site.fails("web_plugin.create", &json!({"name": "x"})).await;
        assert!(error.message.contains("WAGGONER_SOCKET is not set"), "{}", error.message);
    }
}

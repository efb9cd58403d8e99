use prost_types::Timestamp;
use waggoner_proto::v1::{
    DeploymentChanges, Event, Execution, ExecutionStatus, ExecutionWait, ExplainExecutionResponse,
    WaitReason,
};

use super::{Fake, wag};

fn event(id: u64, event_type: &str, message: &str) -> Event {
    Event {
        id,
        time: Some(Timestamp {
            seconds: 1_795_348_800 + i64::try_from(id).unwrap(),
            nanos: 250_000_000,
        }),
        message: message.to_owned(),
        event_type: event_type.to_owned(),
        workflow_id: "install".to_owned(),
        ..Event::default()
    }
}

fn on_web(event: Event) -> Event {
    Event {
        node_instance_id: "web_1".to_owned(),
        operation: "cloudify.interfaces.lifecycle.create".to_owned(),
        attempt_id: "a-1".to_owned(),
        ..event
    }
}

fn log(id: u64, level: &str, message: &str) -> Event {
    on_web(Event { level: level.to_owned(), ..event(id, "", message) })
}

fn failed() -> Fake {
    let task_failed = Event {
        attempt_id: String::new(),
        causes_json: r#"[{"type":"HttpException","message":"no such region"}]"#.to_owned(),
        ..on_web(event(6, "task_failed", "Task failed 'web.tasks.create'"))
    };
    let mut execution = Execution {
        id: "e-1".to_owned(),
        deployment_id: "web".to_owned(),
        workflow_id: "install".to_owned(),
        error: "the operation `create` of `web_1` failed".to_owned(),
        ..Execution::default()
    };
    execution.set_status(ExecutionStatus::Failed);
    let events = vec![
        vec![
            event(1, "workflow_started", "Starting 'install' workflow execution"),
            on_web(event(2, "sending_task", "Sending task 'web.tasks.create'")),
            on_web(event(3, "task_started", "Task started 'web.tasks.create'")),
        ],
        vec![log(4, "info", "making a server"), log(5, "error", "no such\nregion"), task_failed],
        vec![event(7, "workflow_failed", "'install' workflow execution failed")],
    ];
    Fake { execution, events, ..Fake::default() }
}

const START: [&str; 5] = ["executions", "start", "install", "-d", "web"];

#[tokio::test(start_paused = true)]
async fn a_failed_execution_shows_what_failed_and_its_last_log_lines() {
    let fake = failed();
    let heard = fake.heard.clone();
    let said = wag(fake, &START).await;
    insta::assert_snapshot!(said.err, @"
    12:00:01.250 [install] Starting 'install' workflow execution
    12:00:03.250 [web_1.create] Task started 'web.tasks.create'
    12:00:06.250 [web_1.create] Task failed 'web.tasks.create'
        HttpException: no such region
        | making a server
        | no such
        | region
    error: the execution `e-1` of `install` failed
      the operation `create` of `web_1` failed
     hint: `wag events e-1` shows all it did
    ");
    assert_eq!(said.exit, 1);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.followed_after, [0, 3, 6], "each break goes on after the last event");
}

#[tokio::test(start_paused = true)]
async fn data_of_an_execution_is_the_execution_alone() {
    let said = wag(failed(), &[&START[..], &["-o", "json"]].concat()).await;
    let json = said.json();
    assert_eq!((json["id"].as_str(), json["status"].as_str()), (Some("e-1"), Some("failed")));
    assert_eq!(said.exit, 1);
}

#[tokio::test]
async fn a_detached_execution_is_not_followed() {
    let fake = failed();
    let heard = fake.heard.clone();
    let line = [&START[..], &["--detach", "-p", "n=1", "-o", "json"]].concat();
    let said = wag(fake, &line).await;
    assert_eq!((said.exit, said.json()["status"].as_str()), (0, Some("pending")));
    let heard = heard.lock().unwrap();
    assert!(heard.followed_after.is_empty());
    assert_eq!(heard.started.as_ref().unwrap().parameters_json, r#"{"n":1}"#);
}

#[tokio::test(start_paused = true)]
async fn followed_events_are_a_line_each_and_come_once() {
    let said = wag(failed(), &["events", "e-1", "--follow"]).await;
    insta::assert_snapshot!(said.out, @"
    12:00:01.250 [install] Starting 'install' workflow execution
    12:00:02.250 [web_1.create] Sending task 'web.tasks.create'
    12:00:03.250 [web_1.create] Task started 'web.tasks.create'
    12:00:04.250 [web_1.create] info: making a server
    12:00:05.250 [web_1.create] error: no such⏎region
    12:00:06.250 [web_1.create] Task failed 'web.tasks.create'
        HttpException: no such region
    12:00:07.250 [install] 'install' workflow execution failed
    ");
    assert_eq!((said.exit, said.err.as_str()), (0, ""));
}

#[tokio::test(start_paused = true)]
async fn followed_events_for_programs_are_an_object_a_line() {
    let said = wag(failed(), &["events", "e-1", "--follow", "-o", "json"]).await;
    let events: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = events.iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(events[5]["causes"][0]["message"], "no such region");
}

#[tokio::test]
async fn listed_events_for_programs_are_one_document() {
    let said = wag(failed(), &["events", "-o", "json"]).await;
    assert_eq!(said.json()["items"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn what_is_asked_of_a_start_reaches_the_manager() {
    let fake = failed();
    let heard = fake.heard.clone();
    let more = ["--dry-run", "--priority", "-3", "--force", "--schedule", "2026-11-22T18:00:00Z"];
    let said = wag(fake, &[&START[..], &more].concat()).await;
    assert_eq!(said.exit, 0, "{}", said.err);
    let heard = heard.lock().unwrap();
    let asked = heard.started.as_ref().unwrap();
    assert_eq!((asked.dry_run, asked.force, asked.queue, asked.priority), (true, true, false, -3));
    assert_eq!(asked.scheduled_for.as_ref().unwrap().seconds, 1_795_370_400);
    assert!(heard.followed_after.is_empty(), "nobody waits for what is scheduled");
}

#[tokio::test]
async fn a_time_that_is_none_is_refused_here() {
    let said = wag(failed(), &[&START[..], &["--schedule", "soon"]].concat()).await;
    assert!(said.err.contains("failed to read the time `soon`"), "{}", said.err);
    assert_eq!(said.exit, 1);
}

#[tokio::test]
async fn an_explanation_says_what_waits_for_what() {
    let wait = |instance: &str, operation: &str, reason: WaitReason| ExecutionWait {
        node_instance_id: instance.to_owned(),
        operation: format!("cloudify.interfaces.lifecycle.{operation}"),
        reason: reason.into(),
        ..ExecutionWait::default()
    };
    let time = |seconds: i64| Some(Timestamp { seconds: 1_795_348_800 + seconds, nanos: 0 });
    let waits = vec![
        ExecutionWait {
            since: time(1),
            agent: "host".to_owned(),
            agent_connected: true,
            last_log_line: "making\na server".to_owned(),
            ..wait("web_1", "create", WaitReason::Runs)
        },
        ExecutionWait {
            not_before: time(60),
            retry_number: 2,
            ..wait("db_1", "create", WaitReason::Retry)
        },
        ExecutionWait {
            waits_for: vec!["web_1.create".to_owned(), "db_1.create".to_owned()],
            ..wait("app_1", "start", WaitReason::Operations)
        },
    ];
    let explanation = ExplainExecutionResponse {
        summary: "it is started".to_owned(),
        waits,
        total: 7,
        ..ExplainExecutionResponse::default()
    };
    let fake = Fake { explanation, ..failed() };
    let said = wag(fake.clone(), &["executions", "explain", "e-1"]).await;
    insta::assert_snapshot!(said.out, @r"
    install of web, e-1: it is started

    OPERATION              WHY                                  SINCE         AGENT  LAST
    web_1.create           runs                                 12:00:01.000  host   making⏎a server
    db_1.create (retry 2)  tried again at 12:01:00.000          -             -      -
    app_1.start            waits for web_1.create, db_1.create  -             -      -
    ");
    assert_eq!(said.err, "… and 4 more: see --most\n");
    let json = wag(fake, &["executions", "explain", "e-1", "-o", "json"]).await.json();
    assert_eq!(json["waits"][1]["reason"], "retry");
    assert_eq!(json["total"], 7);
}

#[tokio::test(start_paused = true)]
async fn an_update_tells_what_it_changes_and_is_followed() {
    let changes = DeploymentChanges {
        added: vec!["db_2".to_owned()],
        changed: vec!["web_1".to_owned()],
        ..DeploymentChanges::default()
    };
    let fake = Fake { changes, ..failed() };
    let heard = fake.heard.clone();
    let line = ["deployments", "update", "web", "-b", "web-2", "-i", "n=2", "-r", "web_1"];
    let said = wag(fake.clone(), &line).await;
    assert!(said.err.starts_with("      Adding db_2\n    Updating web_1\n"), "{}", said.err);
    assert_eq!(said.exit, 1, "its execution failed");
    {
        let heard = heard.lock().unwrap();
        let asked = heard.updated.as_ref().unwrap();
        assert_eq!((asked.id.as_str(), asked.blueprint_id.as_str()), ("web", "web-2"));
        assert_eq!(asked.inputs_json, r#"{"n":2}"#);
        assert_eq!(asked.reinstall_node_instances, ["web_1"]);
    }
    let said = wag(fake, &[&line[..], &["--preview", "-o", "json"]].concat()).await;
    assert_eq!(said.json()["added"][0], "db_2");
    assert_eq!((said.exit, said.json()["execution"].is_null()), (0, true));
}

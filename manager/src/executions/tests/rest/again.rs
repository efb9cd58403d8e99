//! Requests that are cut off wherever they store something, and asked again.
//!
//! ```text
//!  request ─▶ stored ─▶ stored ─▶ answer: the undisturbed end
//!               │
//!               ├─ a copy of the disk ─▶ a new manager ─▶ asked again ─▶ the same end
//!               └─ the link is lost ─────────────────────▶ asked again ─▶ the same end
//! ```

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;
use waggoner_engine::Dispatch;
use waggoner_proto::agent::v1::{PutBody, RestRequest};
use waggoner_store::{
    PageRequest,
    advance::Advance,
    attempt::{self, Watermark},
    event::{EntryKind, EventFilter},
    execution::{Company, Execution, NewExecution, Operation},
    plugin::Plugin,
    verdict::Asked,
};
use waggoner_types::{AttemptId, Digest, ExecutionId, OperationId, PluginId};

use super::{
    super::{Disk, Host, Memory, host::without_time, tenant, upload},
    world::{BLUEPRINT, World, archive},
};
use crate::{
    executions::{
        Asked as AskedFor, Stage,
        answers::{Answers, Bodies, Reach},
        evaluate::Viewpoint,
        rest, restore,
    },
    home::Home,
};

const FILES: &str = "/resources/deployments/default_tenant/web";
const DEPENDENCIES: &str = "/deployments/inter-deployment-dependencies";
const ATTEMPT: AttemptId = AttemptId(Uuid::from_u128(7));
const PLUGIN: PluginId = PluginId(Uuid::from_u128(8));
const LATER: ExecutionId = ExecutionId(Uuid::from_u128(9));

/// A node whose start fails.
const BAD: &str = "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
plugins: {p: {executor: central_deployment_agent, install: false}}
node_templates:
  bad:
    type: cloudify.nodes.Root
    interfaces: {cloudify.interfaces.lifecycle: {start: p.start}}
";

fn start_fails(dispatch: &Dispatch) -> Option<&'static str> {
    dispatch.operation_name.ends_with("start").then_some("it does not start")
}

/// A request with its body: JSON, or a file.
struct Request {
    method: &'static str,
    path: String,
    body: Result<Value, Vec<u8>>,
}

fn request(method: &'static str, path: &str, body: Value) -> Request {
    Request { method, path: path.to_owned(), body: Ok(body) }
}

#[tokio::test]
async fn what_is_made_of_a_tenant_is_made_once_wherever_it_is_cut_off() {
    let (base, _) = scene().await;
    let made = json!({
        "blueprint_id": "b", "labels": [{ "tier": "web" }], "site_name": "oslo",
        "display_name": "The new one",
    });
    let group = json!({
        "blueprint_id": "b", "deployment_ids": ["web"],
        "new_deployments": [{ "id": "one" }, {}], "labels": [{ "team": "net" }],
    });
    let archive = archive(&[("blueprint.yaml", BLUEPRINT)]);
    for request in [
        request("PUT", "/deployments/new", made),
        request("DELETE", "/deployments/spare", Value::Null),
        request("PATCH", "/deployments/web", noted()),
        request("POST", "/deployments/web/set-site", json!({ "site_name": "oslo" })),
        request("PUT", DEPENDENCIES, dependencies()["inter_deployment_dependencies"][0].take()),
        request("POST", DEPENDENCIES, dependencies()),
        request("PUT", "/deployments/web/inter-deployment-dependencies", dependencies()),
        Request { body: Err(archive), ..request("PUT", "/blueprints/new", Value::Null) },
        request("DELETE", "/blueprints/unused", Value::Null),
        request("PUT", "/deployment-groups/new", group.clone()),
        request("PATCH", "/deployment-groups/g", json!({ "add": group })),
        request("DELETE", "/deployment-groups/g?delete_deployments=True", Value::Null),
        request("PUT", "/secrets/new", json!({ "value": "v" })),
        request("DELETE", "/secrets/key", Value::Null),
        request("PUT", "/sites/bergen", json!({})),
        request("POST", "/sites/oslo", json!({ "new_name": "tromso" })),
        request("DELETE", "/sites/oslo", Value::Null),
        request("DELETE", &format!("/plugins/{PLUGIN}"), Value::Null),
        request("POST", "/events", json!({ "logs": [{ "message": { "text": "told" } }] })),
        request("DELETE", &format!("{FILES}/a.txt"), Value::Null),
        Request { body: Err(b"b".to_vec()), ..request("PUT", &format!("{FILES}/b"), Value::Null) },
    ] {
        cut_off_everywhere(&base, request, false).await;
    }
}

#[tokio::test]
async fn what_runs_is_begun_and_ended_once_wherever_it_is_cut_off() {
    let run = |more: Value| {
        let mut body = json!({
            "deployment_id": "failing", "workflow_id": "execute_operation",
            "parameters": { "operation": "cloudify.interfaces.lifecycle.create" },
        });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        request("POST", "/executions", body)
    };
    let (base, failed) = scene().await;
    let failed = format!("/executions/{failed}");
    let later = format!("/executions/{LATER}");
    for request in [
        run(json!({})),
        run(json!({ "dry_run": true })),
        run(json!({ "force": true, "allow_custom_parameters": true })),
        run(json!({ "queue": true })),
        run(json!({ "scheduled_time": "2100-01-01T00:00:00Z" })),
        request("POST", &failed, json!({ "action": "resume" })),
        request("POST", &later, json!({ "action": "cancel" })),
        request("POST", &later, json!({ "action": "force-cancel" })),
        request(
            "POST",
            "/deployment-updates/spare/update/initiate",
            json!({ "inputs": { "port": 7 } }),
        ),
    ] {
        cut_off_everywhere(&base, request, true).await;
    }
}

#[tokio::test]
async fn what_is_noted_of_a_deployment_changes_whole() {
    let (base, _) = scene().await;
    let before = left(&manager(&base.copy()).await, false).await;
    for request in [
        request("PATCH", "/deployments/web", noted()),
        request("POST", DEPENDENCIES, dependencies()),
        request("PUT", "/deployments/web/inter-deployment-dependencies", dependencies()),
    ] {
        let what = format!("{} {}", request.method, request.path);
        let disk = base.copy();
        let home = manager(&disk).await;
        let answers = operation(&home).await;
        let (said, points) = followed(&answers, &request, "", &disk).await;
        assert_eq!(status(&said), 200, "{what}: {said}");
        let after = left(&home, false).await;
        assert_ne!(before, after, "{what}");
        for (point, disk) in points.iter().enumerate() {
            let found = left(&manager(disk).await, false).await;
            assert!(found == before || found == after, "{what}: half of it at {point}: {found}");
        }
    }
}

/// What is noted beside a deployment.
fn noted() -> Value {
    json!({ "labels": [{ "tier": "web" }], "display_name": "The web" })
}

fn dependencies() -> Value {
    let on = |creator: &str| {
        json!({
            "dependency_creator": creator, "source_deployment": "web", "target_deployment": "spare",
        })
    };
    json!({
        "source_deployment_id": "web",
        "inter_deployment_dependencies": [on("component.a"), on("component.b")],
    })
}

/// Makes a request, and copies the disk after each of its writes.
async fn followed(
    answers: &Answers,
    request: &Request,
    body_id: &str,
    disk: &Disk,
) -> (Value, Vec<Disk>) {
    let store = answers.home.store.clone();
    let mut seen = store.activity().commits;
    let mut points = Vec::new();
    let mut answer = pin!(ask(answers, request, body_id));
    let said = poll_fn(|context| {
        let commits = store.activity().commits;
        if commits != seen {
            seen = commits;
            points.push(disk.copy());
        }
        answer.as_mut().poll(context)
    })
    .await;
    points.push(disk.copy());
    (said, points)
}

/// Makes a request, and makes it again wherever it was cut off.
async fn cut_off_everywhere(base: &Disk, request: Request, runs: bool) {
    let what = format!("{} {}", request.method, request.path);
    let disk = base.copy();
    let home = manager(&disk).await;
    let answers = operation(&home).await;
    let body_id = put(&answers, &request).await;
    let (said, points) = followed(&answers, &request, &body_id, &disk).await;
    assert!(status(&said) < 300, "{what}: {said}");
    let undisturbed = (status(&said), left(&home, runs).await);

    for (point, disk) in points.iter().enumerate() {
        let home = manager(disk).await;
        restore(&home).await.unwrap();
        let answers = operation(&home).await;
        let mut said = ask(&answers, &request, &Uuid::new_v4().to_string()).await;
        let why = said["body"]["message"].as_str().unwrap_or_default();
        if why.contains("send the request again") {
            let body_id = put(&answers, &request).await;
            said = ask(&answers, &request, &body_id).await;
        }
        let after = (status(&said), left(&home, runs).await);
        assert_eq!(after, undisturbed, "{what}: killed at {point} of {}: {said}", points.len());
    }

    let mut is_whole = false;
    for cut in 0.. {
        if is_whole {
            break;
        }
        let disk = base.copy();
        let home = manager(&disk).await;
        let answers = operation(&home).await;
        let body_id = put(&answers, &request).await;
        let mut polls = 0;
        let said = {
            let mut answer = pin!(ask(&answers, &request, &body_id));
            poll_fn(|context| {
                polls += 1;
                match answer.as_mut().poll(context) {
                    Poll::Ready(said) => Poll::Ready(Some(said)),
                    Poll::Pending if polls > cut => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await
        };
        is_whole = said.is_some();
        let said = ask(&answers, &request, &body_id).await;
        let after = (status(&said), left(&home, runs).await);
        assert_eq!(after, undisturbed, "{what}: its link lost at {cut}: {said}");
    }
}

async fn manager(disk: &Disk) -> Arc<Home> {
    disk.manager(&Host::with(Memory::new(start_fails))).await
}

/// What a manager has that has something of everything, and an execution that failed.
async fn scene() -> (Disk, ExecutionId) {
    let world = World::with(start_fails).await;
    let (home, now) = (&world.home, Timestamp::now());
    world.deployment("spare", "b", json!({})).await;
    upload(home, "unused", BAD).await;
    upload(home, "bad", BAD).await;
    world.deployment("failing", "bad", json!({})).await;
    let failed = world.run("failing", "install").await;
    home.tasks.join().await;
    let plugin = Plugin {
        id: PLUGIN,
        tenant: tenant(),
        title: "p".to_owned(),
        package_name: "p".to_owned(),
        package_version: "1".to_owned(),
        supported_platform: "any".to_owned(),
        distribution: String::new(),
        distribution_version: String::new(),
        distribution_release: String::new(),
        supported_python_versions: Vec::new(),
        wheels: Vec::new(),
        archive_name: "p.wgn".to_owned(),
        digest: Digest([1; 32]),
        size: 1,
        uploaded_at: now,
        yamls: Vec::new(),
    };
    home.store.create_plugin(plugin).await.unwrap();

    let web = || "web".parse().unwrap();
    let id = ExecutionId(Uuid::from_u128(5));
    let asking = Execution::new(id, tenant(), web(), "install", now);
    let asking = Execution { company: Company::Beside, ..asking };
    home.store.create_execution(NewExecution::new(asking, Value::Null)).await.unwrap();
    let operation = Operation {
        id: OperationId(Uuid::from_u128(6)),
        task: 0,
        retry: 0,
        name: "start".to_owned(),
        node_instance_id: None,
        target_id: None,
        created_at: now,
        ended_at: None,
        outcome: None,
    };
    let attempt = attempt::Attempt {
        id: ATTEMPT,
        operation: operation.id,
        tenant: tenant(),
        agent: "a".parse().unwrap(),
        epoch: 1,
        started_at: now,
        ended_at: None,
        outcome: None,
        watermark: Watermark::default(),
    };
    let begun =
        Advance { operations: vec![operation], attempts: vec![attempt], ..Advance::new(id, now) };
    home.store.advance(begun).await.unwrap();
    let later = Execution::new(LATER, tenant(), web(), "install", now);
    let later = Execution {
        status: waggoner_types::ExecutionStatus::Scheduled,
        scheduled_for: Some("2100-01-01T00:00:00Z".parse().unwrap()),
        ..later
    };
    home.store.create_execution(NewExecution::new(later, Value::Null)).await.unwrap();
    let answers = self::operation(home).await;
    for (method, path, body) in [
        ("PUT", "/sites/oslo", json!({})),
        (
            "PUT",
            "/deployment-groups/g",
            json!({ "blueprint_id": "b", "deployment_ids": ["spare"] }),
        ),
    ] {
        let made = super::send(&answers, method, path, &body).await;
        assert_eq!(made.0, 200, "{made:?}");
    }
    let put = super::send_bytes(&answers, "PUT", &format!("{FILES}/a.txt"), "", b"a").await;
    assert_eq!(put.0, 200, "{put:?}");
    let disk = world.disk.copy();
    // Once it was closed it is one file, of which a copy is whole at any time.
    drop(manager(&disk).await);
    (disk, failed)
}

async fn operation(home: &Arc<Home>) -> Answers {
    let asked = AskedFor::new(tenant(), "web".parse().unwrap(), "install");
    let stage = Stage::load(home, &asked, ExecutionId(Uuid::from_u128(5))).await.unwrap();
    Answers {
        home: Arc::clone(home),
        stage: Arc::new(stage),
        viewpoint: Viewpoint::default(),
        reach: Reach::Tenant,
        bodies: Arc::new(Bodies::default()),
    }
}

/// Puts a request's file, and returns its id; none for one without.
async fn put(answers: &Answers, request: &Request) -> String {
    let id = Uuid::new_v4().to_string();
    if let Err(data) = &request.body {
        let piece = PutBody { body_id: id.clone(), offset: 0, data: data.clone() };
        answers.bodies.put(&answers.home.incoming(), piece).await.unwrap();
    }
    id
}

async fn ask(answers: &Answers, request: &Request, body_id: &str) -> Value {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let (body_json, body_id) = match &request.body {
        Ok(Value::Null) => (String::new(), String::new()),
        Ok(body) => (body.to_string(), String::new()),
        Err(_) => (String::new(), body_id.to_owned()),
    };
    let message = RestRequest {
        method: request.method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        body_json,
        body_id,
        ..RestRequest::default()
    };
    let asked = Asked { attempt: ATTEMPT, key: b"the key".to_vec() };
    Box::pin(rest::answer(answers, Some(asked), message)).await
}

fn status(said: &Value) -> u64 {
    said["status"].as_u64().unwrap()
}

/// What there is once nothing runs any more, without what is made up anew each time.
async fn left(home: &Arc<Home>, runs: bool) -> Value {
    if runs {
        home.tasks.join().await;
    }
    let answers = operation(home).await;
    let mut left = Vec::new();
    for path in [
        "/deployments?_include=display_name,site_name,deployment_groups,labels,inputs",
        "/deployments/inter-deployment-dependencies?_include=dependency_creator,target_deployment_id",
        "/blueprints?_include=id,labels",
        "/deployment-groups?_include=id,labels,creation_counter",
        "/secrets?_include=key",
        "/sites?_include=name",
        "/plugins?_include=title",
        "/executions?_include=deployment_id,workflow_id,status,is_dry_run",
    ] {
        let (status, mut said) = super::get(&answers, path).await;
        assert_eq!(status, 200, "{path}: {said}");
        let items = said["items"].as_array_mut().unwrap();
        for item in items.iter_mut() {
            // One that is made for a group has a name of its own.
            if item["display_name"].as_str().is_some_and(|name| name.starts_with("new-")) {
                item["display_name"] = "new-".into();
            }
            if item["display_name"].as_str().is_some_and(|name| name.starts_with("g-")) {
                item["display_name"] = "g-".into();
            }
            for label in item["labels"].as_array_mut().into_iter().flatten() {
                label["created_at"] = Value::Null;
            }
        }
        items.sort_by_key(Value::to_string);
        left.push(without_time(said["items"].take()));
    }
    let files: Value = super::file(&answers, &format!("{FILES}/")).await.unwrap().parse().unwrap();
    left.push(files.as_object().unwrap().keys().cloned().collect());
    let page = PageRequest::new(500, "");
    let events = home.store.events(tenant(), EventFilter::default(), &page).await.unwrap();
    let told = events.items.iter().filter(|event| event.entry.message == "told").count();
    let begun = |kind: &EntryKind| matches!(kind, EntryKind::Event { event_type } if event_type.starts_with("workflow_"));
    let begun = events.items.iter().filter(|event| begun(&event.entry.kind)).count();
    left.push(json!({ "told": told, "begun or ended": begun }));
    left.into()
}

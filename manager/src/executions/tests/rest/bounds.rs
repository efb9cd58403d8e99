//! How much is taken, kept and answered.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use waggoner_proto::agent::v1::{
    Answer, Question, RestRequest, answer::Outcome, operate_request::Message, question::Ask,
};
use waggoner_store::{
    Deletion,
    event::{Entry, EntryKind, Origin},
    instance::InstanceUpdate,
};
use waggoner_types::{AttemptId, LogLevel};

use super::{
    super::tenant,
    file, get, send, send_bytes,
    world::{World, archive},
};
use crate::executions::{answers::Reach, sweep};

#[tokio::test]
async fn a_list_of_any_length_is_counted_and_paged_through() {
    const MANY: u64 = 10_700;
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    let origin =
        Arc::new(Origin { deployment_id: Some("web".parse().unwrap()), ..Origin::of(tenant()) });
    let now = Timestamp::now();
    let entries = (0..MANY).map(|number| Entry {
        origin: Arc::clone(&origin),
        time: now,
        kind: EntryKind::Log { level: LogLevel::Info, logger: "l".to_owned() },
        message: number.to_string(),
        causes: Vec::new(),
        sequence: 0,
    });
    world.home.store.add_events(entries.collect(), now).await.unwrap();
    for sort in ["", "&_sort=_storage_id"] {
        let path = format!("/events?_offset=10600&_size=2&_include=message{sort}");
        let (status, said) = get(&central, &path).await;
        assert_eq!(status, 200, "{said}");
        assert_eq!(said["items"], json!([{ "message": "10600" }, { "message": "10601" }]));
        let pagination = json!({ "total": MANY, "size": 2, "offset": 10600 });
        assert_eq!(said["metadata"]["pagination"], pagination);
    }
}

#[tokio::test]
async fn an_answer_that_is_no_message_any_more_is_refused_with_what_to_do() {
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    let app = world.instance("web", "app").await;
    let long = json!({ "long": "x".repeat(5 << 20) }).as_object().cloned();
    let update = InstanceUpdate {
        tenant: tenant(),
        id: app.clone(),
        version: 1,
        force: false,
        runtime_properties: long,
        state: None,
        system_properties: None,
    };
    world.home.store.update_node_instance(update).await.unwrap();
    let path = format!("/node-instances/{app}");
    let request = RestRequest { method: "GET".to_owned(), path, ..RestRequest::default() };
    let question = Question { question_id: 1, ask: Some(Ask::Rest(request)), key: Vec::new() };
    let (down, _pieces) = tokio::sync::mpsc::channel(1);
    let said = Box::pin(central.answer(AttemptId(uuid::Uuid::nil()), question, down)).await;
    let said = format!("{said:?}");
    assert!(said.len() < 1000 && said.contains("ask for less at once"), "{}", said.len());
}

#[tokio::test]
async fn runtime_properties_that_nobody_could_read_are_refused_before_they_are_stored() {
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    let app = world.instance("web", "app").await;
    let path = format!("/node-instances/{app}");
    let sent = async |version: i64, long: usize| {
        let properties = json!({ "long": "x".repeat(long) });
        let body = json!({ "version": version, "runtime_properties": properties }).to_string();
        send_bytes(&central, "PATCH", &path, "", body.as_bytes()).await
    };
    let read = async || {
        let request =
            RestRequest { method: "GET".to_owned(), path: path.clone(), ..RestRequest::default() };
        let question = Question { question_id: 1, ask: Some(Ask::Rest(request)), key: Vec::new() };
        let (down, _pieces) = tokio::sync::mpsc::channel(1);
        let said = Box::pin(central.answer(AttemptId(uuid::Uuid::nil()), question, down)).await;
        let Some(Message::Answer(Answer { outcome: Some(Outcome::Json(said)), .. })) = said.message
        else {
            panic!("{:.500}", format!("{said:?}"))
        };
        serde_json::from_str::<Value>(&said).unwrap()["body"]["runtime_properties"]["long"].take()
    };
    let (status, said) = sent(1, 4 << 20).await;
    assert_eq!((status, &said["error_code"]), (400, &json!("bad_parameters_error")), "{said}");
    let said = said["message"].as_str().unwrap();
    assert!(said.contains(&app) && said.contains("keep what is long in a file"), "{said}");
    assert_eq!(read().await, Value::Null);

    // The longest that may be is read as well, and one byte more is not stored.
    let words = said.split_once("may be ").unwrap().1;
    let most: usize = words.split_once(' ').unwrap().0.parse().unwrap();
    let around = json!({ "long": "" }).to_string().len() + json!({}).to_string().len();
    assert_eq!(sent(1, most - around + 1).await.0, 400);
    assert_eq!(sent(1, most - around).await.0, 200);
    assert_eq!(read().await.as_str().unwrap().len(), most - around);
}

#[tokio::test]
async fn the_files_of_a_deployment_have_a_bound_and_go_with_it() {
    let world = World::new().await;
    world.deployment("spare", "b", json!({})).await;
    let host = world.operation("spare", Reach::Deployment).await;
    let folder = "/resources/deployments/default_tenant/spare";
    let put = send_bytes(&host, "PUT", &format!("{folder}/dir/a.txt"), "", b"a").await;
    assert_eq!(put, (200, json!({})));
    let files = world.home.data_dir.join("deployments/default_tenant");
    let of = || files.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
    let own = of().next().unwrap();

    // Nothing but its length is large.
    let large = fs_err::File::create(own.join("large")).unwrap();
    large.set_len((1 << 30) - 2).unwrap();
    let fits = send_bytes(&host, "PUT", &format!("{folder}/dir/a.txt"), "", b"b").await;
    assert_eq!(fits, (200, json!({})), "it takes the place of what was there");
    let packed = archive(&[("b.txt", "bb")]);
    for (path, body) in [("c.txt", b"ccc".as_slice()), ("?extract=True", &packed)] {
        let path = format!("{folder}/{path}");
        let (status, refused) = send_bytes(&host, "PUT", &path, "", body).await;
        assert_eq!((status, &refused["error_code"]), (400, &json!("bad_parameters_error")));
        let why = refused["message"].as_str().unwrap();
        assert!(why.contains("delete some of them"), "{why}");
    }
    assert_eq!(file(&host, &format!("{folder}/c.txt")).await, Err(404));
    assert_eq!(file(&host, &format!("{folder}/dir/a.txt")).await.as_deref(), Ok("b"));
    sweep(&world.home).await;
    assert!(own.exists());
    let id = "spare".parse().unwrap();
    world.home.store.delete_deployment(tenant(), id, Deletion::IfUnused).await.unwrap();
    sweep(&world.home).await;
    assert_eq!(of().count(), 0);
    let incoming = world.home.incoming();
    drop(host);
    assert_eq!(incoming.read_dir_utf8().unwrap().count(), 0, "nothing is left on the way");
}

#[tokio::test]
async fn a_form_larger_than_what_is_held_of_it_comes_whole() {
    let world = World::new().await;
    let host = world.operation("web", Reach::Deployment).await;
    let text = "--x\r\nline\r\n--\r".repeat(60_000);
    let form = format!(
        "--xy\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n{text}\r\n\
         --xy--\r\n"
    );
    let path = "/resources/deployments/default_tenant/web/large.txt";
    let kind = "multipart/form-data; boundary=xy";
    assert_eq!(send_bytes(&host, "PUT", path, kind, form.as_bytes()).await.0, 200);
    let own = world.home.data_dir.join("deployments/default_tenant");
    let own = own.read_dir_utf8().unwrap().next().unwrap().unwrap().into_path();
    assert_eq!(fs_err::read_to_string(own.join("large.txt")).unwrap(), text);
    let half = &form[..form.len() - 9];
    let (status, refused) = send_bytes(&host, "PUT", path, kind, half.as_bytes()).await;
    assert_eq!((status, &refused["error_code"]), (400, &json!("bad_parameters_error")));
}

#[tokio::test]
async fn an_operation_on_a_host_notes_no_dependency_on_other_deployments() {
    let world = World::new().await;
    let host = world.operation("web", Reach::Deployment).await;
    let central = world.operation("web", Reach::Tenant).await;
    let path = "/deployments/inter-deployment-dependencies";
    let on = |target: Value| {
        json!({
            "dependency_creator": "component.a", "source_deployment": "web",
            "target_deployment": target,
        })
    };
    for target in ["other", "none"] {
        let (status, refused) = send(&host, "PUT", path, &on(json!(target))).await;
        assert_eq!((status, &refused["error_code"]), (404, &json!("not_found_error")), "{target}");
    }
    assert_eq!(send(&host, "PUT", path, &on(Value::Null)).await.0, 200);
    assert_eq!(send(&host, "PUT", path, &on(json!("web"))).await.0, 200);
    assert_eq!(send(&central, "PUT", path, &on(json!("other"))).await.0, 200);
}

#[tokio::test]
async fn a_deployment_is_refused_for_a_secret_that_is_not_there_and_says_so() {
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    let plan = json!({ "nodes": [{ "name": "a", "id": "a", "properties": {
        "word": { "get_secret": "absent" },
    }}]});
    world.blueprint("secretive", plan, &[]).await;
    let made = json!({ "blueprint_id": "secretive", "inputs": {} });
    let (status, refused) = send(&central, "PUT", "/deployments/new", &made).await;
    assert_eq!((status, &refused["error_code"]), (400, &json!("unknown_deployment_secret_error")));
    assert!(refused["message"].as_str().unwrap().contains("`absent`"), "{refused}");
}

//! Cloudify's REST API, as operations ask it.

use serde_json::{Value, json};

use self::world::{BLUEPRINT, World, archive, directory, file, get, send, send_bytes};
use crate::executions::answers::Reach;

mod again;
mod bounds;
mod replay;
mod world;

/// The ids of what a list holds.
fn ids(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("{list}"));
    items.iter().map(|item| item["id"].as_str().or(item["key"].as_str()).unwrap()).collect()
}

#[tokio::test]
async fn an_update_is_refused_only_where_the_stored_version_is_greater() {
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    let app = world.instance("web", "app").await;
    let path = format!("/node-instances/{app}");
    let change = async |version: i64, value: i64, query: &str| {
        let body = json!({
            "version": version, "runtime_properties": { "value": value }, "state": "started",
        });
        send(&central, "PATCH", &format!("{path}{query}"), &body).await
    };
    let (status, updated) = change(1, 1, "").await;
    assert_eq!((status, &updated["version"]), (200, &json!(2)));
    assert_eq!(updated["state"], "uninitialized", "the state that was read is not written back");
    let (status, refused) = change(1, 2, "").await;
    assert_eq!((status, &refused["error_code"]), (409, &json!("conflict_error")));
    assert!(refused.get("server_traceback").is_some(), "{refused}");
    // Greater than what is stored is no conflict, and neither is the same change again.
    assert_eq!(change(7, 3, "").await.1["version"], 3);
    assert_eq!(change(3, 3, "").await.1["version"], 3);
    assert_eq!(change(1, 4, "?force=true").await.1["runtime_properties"], json!({ "value": 4 }));
    let state = send(&central, "PATCH", &path, &json!({ "version": 9, "state": "started" })).await;
    assert_eq!(state.1["state"], "started", "a state that comes alone is meant");
    let (_, stored) = get(&central, &path).await;
    assert_eq!(stored["runtime_properties"], json!({ "value": 4 }));
}

#[tokio::test]
async fn an_operation_on_a_host_reaches_its_own_deployment_and_no_further() {
    let world = World::new().await;
    let host = world.operation("web", Reach::Deployment).await;
    let central = world.operation("web", Reach::Tenant).await;
    let [own, foreign] = [world.instance("web", "app").await, world.instance("other", "app").await];
    let body = json!({ "version": 9, "runtime_properties": {} });
    let nothing = Value::Null;

    // What both may.
    for (method, path, body) in [
        ("GET", "/deployments/web".to_owned(), &nothing),
        ("GET", "/deployments/web/outputs".to_owned(), &nothing),
        ("GET", "/blueprints/b".to_owned(), &nothing),
        ("GET", format!("/node-instances/{own}"), &nothing),
        ("PATCH", format!("/node-instances/{own}"), &body),
        ("GET", "/secrets/key".to_owned(), &nothing),
        ("GET", "/tenants/default_tenant".to_owned(), &nothing),
        ("PATCH", "/deployments/web".to_owned(), &json!({ "labels": [{ "a": "b" }] })),
    ] {
        assert_eq!(send(&host, method, &path, body).await.0, 200, "host: {method} {path}");
        assert_eq!(send(&central, method, &path, body).await.0, 200, "{method} {path}");
    }
    // What is as good as not there for a host.
    for (method, path, body) in [
        ("GET", "/deployments/other".to_owned(), &nothing),
        ("GET", "/deployments/other/capabilities".to_owned(), &nothing),
        ("GET", format!("/node-instances/{foreign}"), &nothing),
        ("PATCH", format!("/node-instances/{foreign}"), &body),
        ("PATCH", "/deployments/other".to_owned(), &json!({ "labels": [] })),
        ("POST", "/evaluate/functions".to_owned(), &json!({ "deployment_id": "other" })),
    ] {
        let (status, refused) = send(&host, method, &path, body).await;
        assert_eq!((status, &refused["error_code"]), (404, &json!("not_found_error")), "{path}");
        assert_eq!(send(&central, method, &path, body).await.0, 200, "{method} {path}");
    }
    // What only central operations may do.
    let start = json!({ "deployment_id": "web", "workflow_id": "install", "dry_run": true });
    for (method, path, body) in [
        ("GET", "/secrets".to_owned(), &nothing),
        ("PUT", "/secrets/new".to_owned(), &json!({ "value": "v" })),
        ("PATCH", "/secrets/key".to_owned(), &json!({ "value": "w" })),
        ("POST", "/executions".to_owned(), &start),
        ("PUT", "/deployments/new".to_owned(), &json!({ "blueprint_id": "b" })),
        ("PUT", "/deployment-groups/g".to_owned(), &json!({})),
        ("PUT", "/sites/oslo".to_owned(), &json!({})),
        ("DELETE", "/deployments/new".to_owned(), &nothing),
        ("POST", "/waggoner/init-script".to_owned(), &json!({ "node_instance_id": own })),
    ] {
        let (status, refused) = send(&host, method, &path, body).await;
        assert_eq!(
            (status, &refused["error_code"]),
            (400, &json!("illegal_action_error")),
            "{path}"
        );
        let why = refused["message"].as_str().unwrap();
        assert!(why.contains("central_deployment_agent"), "{why}");
        let (status, said) = send(&central, method, &path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {said}");
    }
    assert_eq!(ids(&get(&host, "/deployments").await.1), ["web"]);
    assert_eq!(ids(&get(&central, "/deployments").await.1), ["other", "web"]);
    assert_eq!(ids(&get(&host, "/nodes?deployment_id=other").await.1), [""; 0]);
    assert_eq!(get(&host, "/node-instances").await.1["metadata"]["pagination"]["total"], 2);
    assert_eq!(get(&central, "/node-instances").await.1["metadata"]["pagination"]["total"], 4);
}

#[tokio::test]
async fn nothing_reaches_another_tenant() {
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    let now = jiff::Timestamp::now();
    world.home.store.create_tenant("secret_tenant".parse().unwrap(), now).await.unwrap();
    for path in [
        "/tenants/secret_tenant",
        "/resources/deployments/secret_tenant/web/a",
        "/deployments/..%2Fsecret_tenant",
    ] {
        assert_eq!(get(&central, path).await.0 / 100, 4, "{path}");
    }
    assert_eq!(file(&central, "/resources/deployments/secret_tenant/web/").await, Err(404));
    assert_eq!(file(&central, "/resources/blueprints/secret_tenant/b/x").await, Err(404));
    let tenants = get(&central, "/tenants").await.1;
    assert_eq!(tenants["items"][0]["name"], "default_tenant");
    assert_eq!(tenants["metadata"]["pagination"]["total"], 1);
}

#[tokio::test]
async fn a_deployment_is_created_labelled_placed_and_deleted() {
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    assert_eq!(send(&central, "PUT", "/sites/oslo", &json!({ "location": "59,10" })).await.0, 200);
    let body = json!({
        "blueprint_id": "b", "inputs": { "port": 8080 }, "labels": [{ "Tier": "web" }],
        "display_name": "The new one", "site_name": "oslo",
    });
    let (status, made) = send(&central, "PUT", "/deployments/new?async_create=True", &body).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        (&made["display_name"], &made["site_name"]),
        (&json!("The new one"), &json!("oslo"))
    );
    let label =
        |at: usize| (made["labels"][at]["key"].clone(), made["labels"][at]["value"].clone());
    assert_eq!(
        [label(0), label(1)],
        [("env", "test"), ("tier", "web")].map(|(key, value)| { (json!(key), json!(value)) })
    );
    let again = send(&central, "PUT", "/deployments/new", &body).await;
    assert_eq!((again.0, &again.1["error_code"]), (409, &json!("conflict_error")));
    let wrong = json!({ "blueprint_id": "b", "inputs": { "prt": 1 } });
    let (status, refused) = send(&central, "PUT", "/deployments/wrong", &wrong).await;
    assert_eq!(status, 400, "{refused}");
    let (status, refused) =
        send(&central, "PUT", "/deployments/wrong", &json!({ "blueprint_id": "none" })).await;
    assert_eq!((status, &refused["error_code"]), (404, &json!("not_found_error")));

    let outputs = get(&central, "/deployments/new/outputs").await.1;
    assert_eq!(outputs, json!({ "deployment_id": "new", "outputs": { "port": 8080 } }));
    let capabilities = get(&central, "/deployments/new/capabilities").await.1;
    assert_eq!(capabilities["capabilities"], json!({ "secret": "value" }));

    let rules = json!({ "filter_rules": [
        { "key": "tier", "values": ["web"], "operator": "any_of", "type": "label" },
    ] });
    let found = send(&central, "POST", "/searches/deployments?_include=id", &rules).await.1;
    assert_eq!(found["items"], json!([{ "id": "new" }]));
    assert_eq!(get(&central, "/labels/deployments").await.1["items"], json!(["env", "tier"]));

    let detach = json!({ "detach_site": true });
    let detached = send(&central, "POST", "/deployments/new/set-site", &detach);
    assert_eq!(detached.await.1["site_name"], Value::Null);
    let changed = json!({ "labels": [{ "tier": ["db", "web"] }] });
    let changed = send(&central, "PATCH", "/deployments/new", &changed).await.1;
    assert_eq!(changed["labels"].as_array().unwrap().len(), 2, "{changed}");
    let refused = send(&central, "PATCH", "/deployments/new", &json!({ "outputs": {} })).await;
    assert_eq!(refused.1["error_code"], "illegal_action_error");

    let dependency = json!({
        "dependency_creator": "component.a", "source_deployment": "web",
        "target_deployment": "new",
    });
    let path = "/deployments/inter-deployment-dependencies";
    assert_eq!(send(&central, "PUT", path, &dependency).await.0, 200);
    let (status, refused) = send(&central, "DELETE", "/deployments/new", &Value::Null).await;
    assert_eq!((status, &refused["error_code"]), (400, &json!("dependent_exists_error")));
    assert_eq!(send(&central, "DELETE", path, &dependency).await, (204, Value::Null));
    assert_eq!(send(&central, "DELETE", path, &dependency).await.0, 404);
    let deleted = send(&central, "DELETE", "/deployments/new?force=False", &Value::Null).await;
    assert_eq!(deleted, (204, Value::Null));
    let gone = get(&central, "/deployments/new").await.1;
    assert_eq!(gone["message"], "Requested `Deployment` with ID `new` was not found");
}

#[tokio::test]
async fn a_group_makes_deployments_of_its_blueprint() {
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    let body = json!({
        "visibility": "tenant", "blueprint_id": "b", "default_inputs": { "port": 1 },
        "labels": [{ "team": "net" }], "deployment_ids": ["web"],
        "new_deployments": [{ "id": "made", "inputs": { "port": 2 } }],
    });
    let (status, group) = send(&central, "PUT", "/deployment-groups/g", &body).await;
    assert_eq!(status, 200, "{group}");
    assert_eq!(group["deployment_ids"], json!(["made", "web"]));
    let add = json!({ "add": { "deployment_ids": ["other"], "new_deployments": [{}] } });
    let (_, group) = send(&central, "PATCH", "/deployment-groups/g", &add).await;
    assert_eq!(group["deployment_ids"].as_array().unwrap().len(), 4, "{group}");
    let (_, made) = get(&central, "/deployments/made").await;
    assert_eq!((&made["inputs"], &made["deployment_groups"]), (&json!({"port": 2}), &json!(["g"])));
    assert_eq!(made["labels"][1]["key"], "team", "{made}");
    let remove = json!({ "remove": { "deployment_ids": ["web"] } });
    let (_, group) = send(&central, "PATCH", "/deployment-groups/g", &remove).await;
    assert_eq!(group["deployment_ids"].as_array().unwrap().len(), 3, "{group}");
    let unknown = json!({ "add": { "deployment_ids": ["none"] } });
    assert_eq!(send(&central, "PATCH", "/deployment-groups/g", &unknown).await.0, 404);
    let path = "/deployment-groups/g?delete_deployments=False";
    assert_eq!(send(&central, "DELETE", path, &Value::Null).await.0, 204);
    assert_eq!(get(&central, "/deployments/made").await.0, 200);
}

#[tokio::test]
async fn blueprints_come_as_forms_or_alone_and_go_when_nobody_uses_them() {
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    let files = archive(&[("main.yaml", BLUEPRINT), ("a.txt", "text")]);
    let params = json!({ "application_file_name": "main.yaml", "labels": [{ "Owner": "me" }] });
    let mut form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"params\"\r\n\r\n{params}\r\n--x\r\n\
         Content-Disposition: form-data; name=\"blueprint_archive\"; filename=\"f\"\r\n\r\n"
    )
    .into_bytes();
    form.extend(&files);
    form.extend(b"\r\n--x--\r\n");
    let kind = "multipart/form-data; boundary=x";
    let (status, made) = send_bytes(&central, "PUT", "/blueprints/new", kind, &form).await;
    assert_eq!((status, &made["state"]), (201, &json!("uploaded")), "{made}");
    assert_eq!(made["labels"][0]["key"], "owner", "{made}");
    let path = "/blueprints/older?application_file_name=main.yaml";
    let kind = "application/json";
    assert_eq!(send_bytes(&central, "PUT", path, kind, &files).await.0, 201);
    let (_, again) = send_bytes(&central, "PUT", path, kind, &files).await;
    assert_eq!(again["error_code"], "conflict_error", "{again}");
    let (_, broken) = send_bytes(&central, "PUT", "/blueprints/c", kind, b"\xff\x00").await;
    assert_eq!(broken["error_code"], "invalid_blueprint_error", "{broken}");
    let path = "/blueprints/c?blueprint_archive_url=http%3A%2F%2Fa";
    let (nothing, kind) = (json!({}), "from outside");
    let url = send(&central, "PUT", path, &nothing);
    assert!(url.await.1["message"].as_str().unwrap().contains(kind));

    let (_, whole) = get(&central, "/blueprints/new").await;
    assert_eq!(whole["plan"]["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(whole["requirements"]["secrets"], json!(["key"]), "{}", whole["requirements"]);
    let (_, link) = get(&central, "/blueprints/new/archive").await;
    assert_eq!(link["name"], "new.tar.gz");
    assert!(file(&central, link["path"].as_str().unwrap()).await.is_ok());
    let text = file(&central, "/resources/blueprints/default_tenant/new/a.txt").await;
    assert_eq!(text.as_deref(), Ok("text"));
    assert_eq!(send(&central, "DELETE", "/blueprints/new?force=False", &Value::Null).await.0, 204);
    let (status, used) = send(&central, "DELETE", "/blueprints/b", &Value::Null).await;
    assert_eq!((status, &used["error_code"]), (405, &json!("blueprint_in_use")));
    let host = world.operation("web", Reach::Deployment).await;
    assert_eq!(get(&host, "/blueprints/older").await.0, 404);
    assert_eq!(ids(&get(&host, "/blueprints").await.1), ["b"]);
}

#[tokio::test]
async fn a_deployment_has_files_of_its_own_beside_those_of_its_blueprint() {
    let world = World::new().await;
    let host = world.operation("web", Reach::Deployment).await;
    let folder = "/resources/deployments/default_tenant/web";
    assert_eq!(file(&host, &format!("{folder}/")).await.as_deref(), Ok("{}"));
    assert_eq!(file(&host, &format!("{folder}/a.json")).await, Err(404));
    assert_eq!(file(&host, "scripts/start.sh").await.as_deref(), Ok("echo start\n"));

    // It looks like JSON and is kept as it is.
    let text = b"{\"a\":   1}";
    let path = format!("{folder}/dir/a.json");
    let put = send_bytes(&host, "PUT", &path, "application/json", text).await;
    assert_eq!(put, (200, json!({})));
    assert_eq!(file(&host, &path).await.as_deref(), Ok("{\"a\":   1}"));
    assert_eq!(file(&host, "dir/a.json").await.as_deref(), Ok("{\"a\":   1}"));
    let form = b"--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\necho own\r\n--x\r\n\
        Content-Disposition: form-data; name=\"mtime\"\r\n\r\n2026\r\n--x--\r\n";
    let path = format!("{folder}/scripts/start.sh");
    let kind = "multipart/form-data; boundary=x";
    assert_eq!(send_bytes(&host, "PUT", &path, kind, form).await.0, 200);
    assert_eq!(file(&host, "scripts/start.sh").await.as_deref(), Ok("echo own"));
    let own = send_bytes(&host, "PUT", &format!("{folder}/dir/b/own.sh"), "", b"own").await;
    assert_eq!(own.0, 200);
    // What the deployment has lies over what the blueprint has.
    let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let scripts = [pair("start.sh", "echo own"), pair("stop.sh", "echo stop\n")];
    assert_eq!(directory(&host, "scripts").await.as_deref(), Ok(scripts.as_slice()));
    let dir = [pair("a.json", "{\"a\":   1}"), pair("b/own.sh", "own")];
    assert_eq!(directory(&host, "dir/").await.as_deref(), Ok(dir.as_slice()));
    assert_eq!(directory(&host, "none").await, Err(404));
    assert_eq!(directory(&host, "dir/a.json").await, Err(404));
    let packed = archive(&[("b.txt", "b")]);
    let path = format!("{folder}/?extract=yes");
    assert_eq!(send_bytes(&host, "PUT", &path, "application/json", &packed).await.0, 200);
    let index: Value = serde_json::from_str(&file(&host, &format!("{folder}/")).await.unwrap())
        .expect("an index is JSON");
    let names: Vec<&String> = index.as_object().unwrap().keys().collect();
    assert_eq!(names, ["dir/a.json", "dir/b/own.sh", "scripts/start.sh", "top/b.txt"]);
    let time = index["dir/a.json"].as_str().unwrap();
    assert!(time.ends_with("+00:00") && time.len() == 32, "{time}");

    let path = format!("{folder}/scripts/start.sh");
    assert_eq!(send(&host, "DELETE", &path, &Value::Null).await.0, 204);
    assert_eq!(send(&host, "DELETE", &path, &Value::Null).await.0, 404);
    assert_eq!(file(&host, "scripts/start.sh").await.as_deref(), Ok("echo start\n"));
    for path in ["/../../x", "/dir/../../../x"] {
        let put = send_bytes(&host, "PUT", &format!("{folder}{path}"), "", b"x").await;
        assert_eq!(put.0, 400, "{path}");
    }
    let other = "/resources/deployments/default_tenant/other/x";
    assert_eq!(send_bytes(&host, "PUT", other, "", b"x").await.0, 404);
    assert_eq!(send_bytes(&host, "PUT", "/resources/blueprints/x", "", b"x").await.0, 405);
}

#[tokio::test]
async fn executions_are_started_listed_and_refused_in_cloudifys_words() {
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    let install = json!({
        "deployment_id": "other", "workflow_id": "execute_operation",
        "parameters": { "operation": "cloudify.interfaces.lifecycle.create" },
        "allow_custom_parameters": "false", "force": "false", "dry_run": "false",
        "queue": "false", "scheduled_time": null,
    });
    let (status, started) = send(&central, "POST", "/executions", &install).await;
    assert_eq!((status, &started["workflow_id"]), (201, &install["workflow_id"]), "{started}");
    let id = started["id"].as_str().unwrap().to_owned();
    let path =
        "/executions?deployment_id=other&_include=id,workflow_id&_include_system_workflows=True";
    let listed = get(&central, path).await.1;
    assert_eq!(listed["items"], json!([{ "id": id, "workflow_id": "execute_operation" }]));
    for (body, code) in [
        (json!({ "deployment_id": "web", "workflow_id": "instal" }), "nonexistent_workflow_error"),
        (
            json!({ "deployment_id": "web", "workflow_id": "uninstall" }),
            "unavailable_workflow_error",
        ),
        (
            json!({ "deployment_id": "web", "workflow_id": "install", "parameters": { "a": 1 } }),
            "illegal_execution_parameters_error",
        ),
        (json!({ "deployment_id": "none", "workflow_id": "install" }), "not_found_error"),
        (json!({ "workflow_id": "install" }), "bad_parameters_error"),
    ] {
        let (_, refused) = send(&central, "POST", "/executions", &body).await;
        assert_eq!(refused["error_code"], code, "{body}: {refused}");
    }
    let (status, _) = get(&central, "/executions/00000000-0000-0000-0000-000000000000").await;
    assert_eq!(status, 404);
    let wrong = json!({ "action": "explode" });
    let (_, refused) = send(&central, "POST", &format!("/executions/{id}"), &wrong).await;
    assert_eq!(refused["error_code"], "illegal_action_error");
}

#[tokio::test]
async fn what_is_not_answered_says_so_in_the_stock_shape() {
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    for (method, path) in [
        ("GET", "/users"),
        ("PUT", "/snapshots/s"),
        ("POST", "/deployment-modifications"),
        ("GET", "/no/such/thing"),
        ("DELETE", "/version"),
    ] {
        let (status, said) = send(&central, method, path, &Value::Null).await;
        assert_eq!((status, &said["error_code"]), (404, &json!("not_found_error")), "{path}");
        assert!(said["message"].as_str().unwrap().contains(path), "{said}");
        assert_eq!(said["server_traceback"], Value::Null);
    }
    let (status, said) = send(&central, "PATCH", "/secrets/key", &json!([1])).await;
    assert_eq!((status, said["error_code"].as_str()), (200, None), "no value, nothing to change");
}

#[tokio::test]
async fn a_script_that_installs_an_agent_is_shown_to_whoever_knows_its_name() {
    use crate::executions::install_page;
    let world = World::new().await;
    let central = world.operation("web", Reach::Tenant).await;
    let host = world.instance("web", "host").await;
    let ask = async |link: bool| {
        let body = json!({ "node_instance_id": host, "cloudify_agent": null, "link": link });
        let (status, said) = send(&central, "POST", "/waggoner/init-script", &body).await;
        assert_eq!(status, 200, "{said}");
        assert_eq!(said["name"], json!(host));
        said
    };
    let script = ask(false).await["script"].as_str().unwrap().to_owned();
    assert!(script.starts_with("#!/bin/sh") && script.contains(&format!("name='{host}'")));
    assert!(!script.contains('@'), "everything is filled in: {script}");
    let link = ask(true).await;
    let page = link["url"].as_str().unwrap().split_once("/install/").unwrap().1.to_owned();
    let shown = install_page(&world.home, &page).unwrap();
    assert_eq!(shown, link["path"].as_str().unwrap());
    assert_ne!(fs_err::read_to_string(shown).unwrap(), script, "each has a token of its own");
    let secret = page.strip_suffix(".sh").unwrap();
    for other in [
        &page.replace(&secret[..4], "0000"),
        &format!("{secret}/waggoner-agent-../x"),
        &format!("{secret}/passwd"),
        "../store/store.db",
        "",
    ] {
        assert_eq!(install_page(&world.home, other), None, "{other}");
    }
    // An hour later it is a page no more.
    let file = std::fs::File::options().write(true).open(link["path"].as_str().unwrap()).unwrap();
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(3601);
    file.set_modified(before).unwrap();
    assert_eq!(install_page(&world.home, &page), None);
}

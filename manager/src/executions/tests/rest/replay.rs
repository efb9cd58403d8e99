//! What the real manager 7.0.5 answered to plugins and workers, and what we answer.
//!
//! The recordings are read in place: from the folder in `WAGGONER_CONFORMANCE`, or from
//! `shared/conformance` beside the project. Each exchange is made again, in order, with the ids of
//! a site of ours; its status, its error code, and its body have to agree: the same keys, the same
//! types, and the same values but for those that [`OWN`] and [`FREE`] name.

use std::{collections::BTreeSet, env, path::PathBuf};

use serde_json::{Map, Value, json};
use waggoner_store::plugin::{Plugin, PluginYaml};
use waggoner_types::{Digest, PluginId};

use super::super::tenant;
use super::world::{Said, World, archive, file, get, send, send_bytes};
use crate::executions::answers::{Answers, Reach};

/// Exchanges that are not made again: by method, the end of the path, and status; and why.
const LEFT_OUT: [(&str, &str, u64, &str); 17] = [
    (
        "PATCH",
        "/executions/fd7173b3",
        200,
        "a workflow's worker moves its execution; here the engine does",
    ),
    ("DELETE", "/tokens/b4HzC7VO2o", 204, "an operation's token ends with it"),
    ("PATCH", "/blueprints/demo", 200, "a blueprint is parsed when it is uploaded, by no worker"),
    ("PATCH", "/deployments/d1", 200, "a deployment is made at once, by no worker"),
    ("POST", "/nodes", 201, "a deployment is made at once, by no worker"),
    ("POST", "/node-instances", 201, "a deployment is made at once, by no worker"),
    ("POST", "/nodes", 204, "the engine updates a deployment, no worker does"),
    ("PATCH", "/nodes/d1/app", 204, "the engine updates a deployment, no worker does"),
    (
        "PATCH",
        "/deployment-updates/d1-845c0736",
        200,
        "the engine updates a deployment, no worker does",
    ),
    ("POST", "/deployment-modifications", 201, "the engine scales a deployment, no worker does"),
    ("POST", "/finish", 200, "the engine scales a deployment, no worker does"),
    ("POST", "/tasks_graphs", 201, "the engine has the task graph, no worker stores one"),
    ("PUT", "/operations/356bb234", 201, "the engine has the task graph, no worker stores one"),
    ("PATCH", "/operations/27c4e323", 500, "a bug of the original"),
    ("PATCH", "/operations/5a5cf114", 401, "a token is known to the agent: see its own tests"),
    ("GET", "/executions/fd7173b3", 200, "an upload is no execution here"),
    ("GET", "/brokers", 200, "there is no broker: the list is empty"),
];

/// Fields whose values are a site's own: ids, times, counts, states.
const OWN: [&str; 47] = [
    "deployment_id",
    "deployment_display_name",
    "blueprint_id",
    "manager_name",
    "id",
    "created_at",
    "updated_at",
    "uploaded_at",
    "started_at",
    "ended_at",
    "timestamp",
    "reported_timestamp",
    "last_seen",
    "_storage_id",
    "total",
    "version",
    "status",
    "status_display",
    "latest_execution",
    "create_execution",
    "latest_execution_workflow_id",
    "latest_execution_status",
    "latest_execution_total_operations",
    "latest_execution_finished_operations",
    "deployment_status",
    "installation_status",
    "unavailable_instances",
    "is_available",
    "state",
    "execution_id",
    "tasks_graph_id",
    "index",
    "error",
    "name",
    "hostname",
    "distribution",
    "distro_release",
    "ca_cert_content",
    "archive_name",
    "package_source",
    "package_name",
    "package_version",
    "title",
    "yaml_url_path",
    "value",
    "message",
    "workflow_id",
];

/// Values whose content is a matter of the blueprint, the plugin or the workflow: of the same type,
/// with whatever keys.
const FREE: [&str; 24] = [
    "plan",
    "properties",
    "runtime_properties",
    "system_properties",
    "parameters",
    "operations",
    "inputs",
    "old_inputs",
    "new_inputs",
    "outputs",
    "capabilities",
    "groups",
    "scaling_groups",
    "policy_types",
    "policy_triggers",
    "payload",
    "schema",
    "labels",
    "requirements",
    "source_operations",
    "target_operations",
    "networks",
    "installation_state",
    "dependencies",
];

/// What is nothing here, since no execution makes blueprints and deployments.
const NOTHING: [&str; 2] = ["upload_execution", "create_execution"];

/// A recorded exchange.
struct Exchange(Value);

/// A site of ours, and what its things are called in the recordings.
struct Stage {
    _world: World,
    names: Vec<(String, String)>,
    answers: Answers,
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the counts are what a reader wants of this test")]
async fn recorded_exchanges_of_workers_agree() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let folder = env::var_os("WAGGONER_CONFORMANCE").map_or_else(beside, PathBuf::from);
    let Ok(text) = fs_err::read_to_string(folder.join("rest-worker.jsonl")) else {
        eprintln!("no recordings: set WAGGONER_CONFORMANCE to the folder of rest-worker.jsonl");
        return;
    };
    let lines = text.lines().map(|line| Exchange(serde_json::from_str(line).unwrap()));
    let exchanges: Vec<Exchange> = lines.collect();
    let stage = Stage::new(&exchanges).await;
    let (mut differing, mut agreeing, mut left_out) = (Vec::new(), 0, BTreeSet::new());
    for exchange in &exchanges {
        if let Some(at) = exchange.left_out() {
            left_out.insert(at);
            continue;
        }
        let said = stage.make(exchange).await;
        let mut differences = Vec::new();
        let recorded = stage.ours(&exchange.0["resp_body"].to_string());
        let recorded = serde_json::from_str(&recorded).unwrap();
        exchange.compare(&recorded, &said, &mut differences);
        if differences.is_empty() {
            agreeing += 1;
        } else {
            differing.push(format!("{}: {}", exchange.label(), differences.join("; ")));
        }
    }
    for at in &left_out {
        let (method, path, status, why) = LEFT_OUT[*at];
        eprintln!("left out {method} …{path} {status}: {why}");
    }
    eprintln!("{agreeing} of {} agree", exchanges.len());
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
    assert_eq!(left_out.len(), LEFT_OUT.len(), "one that is left out is not recorded");
}

// === impl Stage ===

impl Stage {
    /// A site that is as the one of the recordings was.
    async fn new(exchanges: &[Exchange]) -> Self {
        let world = World::new().await;
        world.secret("demo_secret", "n3w").await;
        let plan = exchanges.iter().find(|one| one.is("GET", "/blueprints/demo")).unwrap();
        let plan = plan.0["resp_body"]["plan"].clone();
        world.blueprint("demo", plan, &[("scripts/start.sh", "echo\n")]).await;
        let inputs = json!({ "greeting": "hi", "count": 1 });
        world.deployment("d1", "demo", inputs.clone()).await;
        let nested = "introduction-to-blueprints-ex4-nested-blueprint-yaml";
        world.deployment(nested, "demo", inputs).await;
        let plugin = plugin(&world).await;
        let run = world.run("d1", "install").await;
        let update = json!({ "inputs": { "greeting": "hey" } });
        let central = world.operation_of("d1", Reach::Tenant, run).await;
        let path = "/deployment-updates/d1/update/initiate";
        let (status, update) = send(&central, "POST", path, &update).await;
        assert_eq!(status, 200, "{update}");
        let operation = world.home.store.operations(run).await.unwrap()[0].id.to_string();
        let mut names: Vec<(String, String)> = [
            ("22f78927-b26e-449d-9b81-dd3aac061f19", plugin.to_string()),
            ("92f9ce0c-034a-460c-9a9e-129ba4c68a2a", run.to_string()),
            ("47b0ff4d-c1cc-4188-8355-8f9593090129", run.to_string()),
            ("77bb0896-6c4f-41bf-b3ca-f2fba87ed998", run.to_string()),
            ("5a21d5af-a36c-46b7-a25b-17f589278364", operation.clone()),
            ("32d67f85-faa5-442a-acfb-ca34f10cdffe", operation),
            ("d1-845c0736-a55f-4095-a1c9-ccb6e9ffdd42", text(&update["id"])),
        ]
        .map(|(theirs, ours)| (theirs.to_owned(), ours))
        .into();
        for (theirs, node) in [("host_3n2qrf", "host"), ("thing_prxvdd", "thing")] {
            names.push((theirs.to_owned(), world.instance("d1", node).await));
        }
        Self { _world: world, names, answers: central }
    }

    /// Makes an exchange again.
    async fn make(&self, exchange: &Exchange) -> Said {
        let path = self.ours(&exchange.path());
        let body = &exchange.0["req_body"];
        if path.starts_with("/blueprints/ex3") && exchange.0["method"] == "PUT" {
            return self.upload(&path, body).await;
        }
        // The plugin had been deleted by then.
        if exchange.0["status"] == 404 && path.starts_with("/plugins/") {
            return send(&self.answers, "PUT", "/plugins/none", body).await;
        }
        if path.starts_with("/resources/") {
            return match file(&self.answers, &path).await {
                Ok(text) => (200, text.into()),
                Err(status) => (status.into(), "not found".into()),
            };
        }
        // Theirs was installed later than ours.
        let mut body: Value = serde_json::from_str(&self.ours(&body.to_string())).unwrap();
        if exchange.is("PATCH", "/node-instances/thing_prxvdd") {
            body["version"] = 9.into();
        }
        if exchange.is("GET", "/deployments/ex3-relationship-blueprint/capabilities") {
            return get(&self.answers, &path).await;
        }
        send(&self.answers, exchange.0["method"].as_str().unwrap(), &path, &body).await
    }

    async fn upload(&self, path: &str, body: &Value) -> Said {
        let files = archive(&[("ex3-relationship-blueprint.yaml", EX3)]);
        let params = &body["__multipart__"][0]["body"];
        let mut form = format!(
            "--x\r\nContent-Disposition: form-data; name=\"params\"\r\n\r\n{params}\r\n--x\r\n\
             Content-Disposition: form-data; name=\"blueprint_archive\"; filename=\"f\"\r\n\r\n"
        )
        .into_bytes();
        form.extend(files);
        form.extend(b"\r\n--x--\r\n");
        send_bytes(&self.answers, "PUT", path, "multipart/form-data; boundary=x", &form).await
    }

    fn ours(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    }
}

/// What the recordings' blueprint of this name said of itself.
const EX3: &str = "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
node_templates:
  web: {type: cloudify.nodes.Root}
capabilities:
  local_url: {value: http://localhost:8000}
  remote_url: {value: somewhere}
  web_server_pid: {value: '7101'}
";

async fn plugin(world: &World) -> PluginId {
    let plugin = Plugin {
        id: PluginId(uuid::Uuid::now_v7()),
        tenant: tenant(),
        title: "H2 demo".to_owned(),
        package_name: "h2-demo-plugin".to_owned(),
        package_version: "1.2.3".to_owned(),
        supported_platform: "any".to_owned(),
        distribution: String::new(),
        distribution_version: String::new(),
        distribution_release: String::new(),
        supported_python_versions: vec!["py311".to_owned()],
        wheels: vec!["h2_demo_plugin-1.2.3-py3-none-any.whl".to_owned()],
        archive_name: "h2_demo_plugin-1.2.3-py311-none-any.wgn".to_owned(),
        digest: Digest([7; 32]),
        size: 1,
        uploaded_at: jiff::Timestamp::now(),
        yamls: vec![PluginYaml { name: "plugin.yaml".to_owned(), text: "plugins: {}".to_owned() }],
    };
    let id = plugin.id;
    world.home.store.create_plugin(plugin).await.unwrap();
    id
}

// === impl Exchange ===

impl Exchange {
    fn path(&self) -> String {
        let path = self.0["path"].as_str().unwrap();
        let path = path.strip_prefix("/api/v3.1").unwrap_or(path);
        let pairs = self.0["query"].as_array().unwrap().iter();
        let pairs: Vec<String> =
            pairs.map(|pair| format!("{}={}", text(&pair[0]), text(&pair[1]))).collect();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
    }

    fn is(&self, method: &str, path: &str) -> bool {
        self.0["method"] == method && self.path() == path
    }

    fn left_out(&self) -> Option<usize> {
        let path = self.0["path"].as_str().unwrap();
        let is = |wanted: &str| {
            path.ends_with(wanted) || path.rsplit_once('-').is_some_and(|_| path.contains(wanted))
        };
        LEFT_OUT.iter().position(|(method, end, status, _)| {
            self.0["method"] == *method && self.0["status"] == *status && is(end)
        })
    }

    fn label(&self) -> String {
        format!("{} {} {}", text(&self.0["method"]), self.path(), self.0["status"])
    }

    fn compare(&self, recorded: &Value, (status, said): &Said, differences: &mut Vec<String>) {
        if self.0["status"] != *status {
            differences.push(format!("the status is {status}: {said}"));
        }
        // A file: what is said is where it is, or what is in it.
        let disposition = self.0["resp_headers"]["Content-Disposition"].as_str();
        if let Some(disposition) = disposition {
            let name = said["name"].as_str().unwrap_or_default();
            if !disposition.contains(&format!("filename=\"{name}\"")) {
                differences.push(format!("the file is called `{name}`: {disposition}"));
            }
            return;
        }
        if !text(&self.0["path"]).starts_with("/resources/") {
            alike("body", recorded, said, differences);
        }
    }
}

fn alike(at: &str, theirs: &Value, ours: &Value, differences: &mut Vec<String>) {
    let name = at.rsplit(['.', '[']).next().unwrap_or(at);
    match (theirs, ours) {
        // It was not known then, and does not say of what type it is.
        (Value::Null, _) => {}
        (_, Value::Null) if [&OWN[..], &FREE, &NOTHING].concat().contains(&name) => {}
        (Value::Object(theirs), Value::Object(ours)) if !FREE.contains(&name) => {
            keys(at, theirs, ours, differences);
            for (name, theirs) in theirs {
                let Some(ours) = ours.get(name) else { continue };
                alike(&format!("{at}.{name}"), theirs, ours, differences);
            }
        }
        (Value::Object(_), Value::Object(_)) => {}
        (Value::Array(theirs), Value::Array(ours)) => {
            let Some(first) = theirs.first().filter(|_| !FREE.contains(&name)) else { return };
            let same = ours.iter().find(|one| one["id"] == first["id"]);
            if let Some(ours) = same.or(ours.first()) {
                alike(&format!("{at}[0"), first, ours, differences);
            }
        }
        (theirs, ours) if kind(theirs) != kind(ours) => {
            differences.push(format!("{at} is {} and not {}", kind(ours), kind(theirs)));
        }
        (theirs, ours) if theirs != ours && !OWN.contains(&name) => {
            differences.push(format!("{at} is {ours} and not {theirs}"));
        }
        _ => {}
    }
}

fn keys(
    at: &str,
    theirs: &Map<String, Value>,
    ours: &Map<String, Value>,
    differences: &mut Vec<String>,
) {
    let [theirs, ours] = [theirs, ours].map(|object| object.keys().collect::<BTreeSet<_>>());
    let (missing, more): (Vec<_>, Vec<_>) =
        (theirs.difference(&ours).collect(), ours.difference(&theirs).collect());
    if !missing.is_empty() || !more.is_empty() {
        differences.push(format!("{at} misses {missing:?} and has {more:?}"));
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

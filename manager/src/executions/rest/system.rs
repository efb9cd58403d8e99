//! What a manager says of itself (`rest/resources_v1/`, `rest/resources_v3_1/`).

use serde_json::{Value, json};

use crate::executions::{
    answers::Unanswered,
    rest::{
        list::list,
        reply::{Answered, Reply},
        request::Call,
    },
    shapes,
};

/// What the manager calls itself.
pub(super) const MANAGER: &str = "waggoner-manager";

/// The version of Cloudify that plugins believe to talk to.
const CLOUDIFY: &str = "7.0.5";

pub(super) fn answer(call: &Call<'_>, resource: &str) -> Answered {
    if call.method != "GET" {
        return call.unknown(resource);
    }
    match (resource, call.path) {
        ("version", []) => Reply::ok(json!({
            "edition": "community",
            "version": CLOUDIFY,
            "build": null,
            "date": null,
            "commit": null,
            "distribution": null,
            "distro_release": null,
        })),
        ("status", []) => Reply::ok(json!({ "status": "OK", "services": {} })),
        ("maintenance", []) => Reply::ok(json!({
            "status": "deactivated",
            "activated_at": "",
            "activation_requested_at": "",
            "remaining_executions": null,
            "requested_by": "",
        })),
        ("provider", ["context"]) => {
            Reply::ok(json!({ "id": "CONTEXT", "name": "provider", "context": {} }))
        }
        ("config", []) => Reply::ok(json!({ "items": config(call), "metadata": {} })),
        // By its name, or by its scope and name.
        ("config", [id]) => {
            let is = |item: &Value| {
                let (scope, name) = (&item["scope"], &item["name"]);
                let words = [scope, name].map(|word| word.as_str().unwrap_or_default());
                *id == words[1] || *id == words.join(".")
            };
            let found = config(call).into_iter().find(is);
            Reply::ok(found.ok_or_else(|| Unanswered::not_found("Config", id))?)
        }
        ("managers", []) => list(call.query, vec![manager(call)]),
        // An agent's link is all there is: no broker and no database of its own.
        ("brokers" | "db-nodes" | "agents" | "snapshots" | "filters", []) => {
            list(call.query, Vec::new())
        }
        ("tenants", []) => list(call.query, vec![shapes::tenant(&call.tenant())]),
        ("tenants", [name]) if *name == call.tenant().as_str() => {
            Reply::ok(shapes::tenant(&call.tenant()))
        }
        // Another tenant is as good as not there.
        ("tenants", [name]) => Err(Unanswered::not_found("Tenant", name)),
        _ => call.unknown(resource),
    }
}

fn config(call: &Call<'_>) -> Vec<Value> {
    let settings = &call.home().settings;
    let interval = settings.task_retry_interval.as_secs();
    let all = [
        ("workflow", "subgraph_retries", settings.subgraph_retries),
        ("workflow", "task_retries", settings.task_retries),
        ("workflow", "task_retry_interval", interval),
        ("rest", "default_page_size", 1000),
        ("rest", "blueprint_folder_max_files", 10_000),
        ("rest", "blueprint_folder_max_size_mb", 50),
    ];
    let wanted = |scope: &str, name: &str| {
        let is = |key: &str, value: &str| call.query.get(key).is_none_or(|asked| asked == value);
        is("scope", scope) && is("name", name)
    };
    let shown = all.into_iter().filter(|(scope, name, _)| wanted(scope, name));
    let items = shown.map(|(scope, name, value)| {
        json!({
            "name": name,
            "value": value,
            "schema": { "type": "integer", "minimum": -1 },
            "is_editable": true,
            "admin_only": false,
            "updated_at": null,
            "scope": scope,
            "updater_name": null,
        })
    });
    items.collect()
}

/// The manager, as an operation reaches it: over its agent.
fn manager(call: &Call<'_>) -> Value {
    json!({
        "id": 1,
        "hostname": MANAGER,
        "private_ip": "127.0.0.1",
        "public_ip": "127.0.0.1",
        "version": CLOUDIFY,
        "edition": "community",
        "distribution": "",
        "distro_release": "",
        "fs_sync_node_id": null,
        "networks": { "default": "127.0.0.1" },
        "last_seen": crate::executions::rest::reply::time(call.home().started_at),
        "status_report_frequency": 0,
        "ca_cert_content": call.home().ca.certificate().to_pem(),
    })
}

//! A stub of the agent's socket: `waggoner.plugin.v1.ContextService` as JSON over HTTP/1.1.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

/// What the stub knows and what it was told.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Node instances by id, as the REST API shows them.
    pub(crate) instances: BTreeMap<String, Value>,
    /// Updates to be refused with a conflict after somebody else's write.
    pub(crate) conflicts: usize,
    /// The directory of the blueprint.
    pub(crate) resources: Utf8PathBuf,
    /// Every call: its method and its message.
    pub(crate) calls: Vec<(String, Value)>,
}

/// A running stub. It ends with the test.
#[derive(Clone, Debug)]
pub(crate) struct Stub {
    pub(crate) socket: Utf8PathBuf,
    pub(crate) known: Arc<Mutex<Known>>,
    called: Arc<Condvar>,
}

// === impl Stub ===

impl Stub {
    pub(crate) fn start(directory: &Utf8Path, resources: &Utf8Path) -> Self {
        let socket = directory.join("agent.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let instance = |id: &str, node: &str| {
            json!({
                "id": id, "node_id": node, "version": 3, "state": "creating", "host_id": "vm_1",
                "runtime_properties": {"ip": "192.0.2.7"}, "relationships": [], "index": 1,
                "scaling_groups": [], "system_properties": {},
            })
        };
        let instances = [("web_1", "web"), ("vm_1", "vm"), ("db_1", "db")];
        let known = Known {
            instances: instances.map(|(id, node)| (id.to_owned(), instance(id, node))).into(),
            resources: resources.to_owned(),
            ..Known::default()
        };
        let stub = Self { socket, known: Arc::new(Mutex::new(known)), called: Arc::default() };
        let inner = stub.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (connection, stub) = (connection.unwrap(), inner.clone());
                thread::spawn(move || serve(&connection, &stub));
            }
        });
        stub
    }

    /// Waits for the first call of a method.
    pub(crate) fn wait_for(&self, method: &str) {
        let known = self.known.lock().unwrap();
        let missing = |known: &mut Known| known.calls.iter().all(|(called, _)| called != method);
        drop(self.called.wait_while(known, missing).unwrap());
    }

    pub(crate) fn calls(&self, method: &str) -> Vec<Value> {
        let known = self.known.lock().unwrap();
        let of_method = known.calls.iter().filter(|(called, _)| called == method);
        of_method.map(|(_, message)| message.clone()).collect()
    }

    /// Every log line and event, in order.
    pub(crate) fn events(&self) -> Vec<Value> {
        let calls = self.calls("WriteEvents");
        calls.iter().flat_map(|call| call["events"].as_array().unwrap().clone()).collect()
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        self.events().iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn runtime_properties(&self, instance: &str) -> Value {
        self.known.lock().unwrap().instances[instance]["runtime_properties"].clone()
    }
}

fn serve(connection: &UnixStream, stub: &Stub) {
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let path = first.split(' ').nth(1).unwrap();
        let method = path.strip_prefix("/waggoner.plugin.v1.ContextService/").unwrap().to_owned();
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let message: Value = serde_json::from_slice(&body).unwrap();
        let (status, answer) = {
            let mut known = stub.known.lock().unwrap();
            known.calls.push((method.clone(), message.clone()));
            stub.called.notify_all();
            answer(&mut known, &method, &message)
        };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if writer.write_all(format!("{head}{answer}").as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(known: &mut Known, method: &str, message: &Value) -> (u16, Value) {
    let refusal = |http: u16, reason: &str, status: &str, code: &str| {
        let metadata = json!({"status": status, "error_code": code});
        let message = "it is refused";
        (http, json!({"code": 9, "message": message, "reason": reason, "metadata": metadata}))
    };
    let not_found = refusal(404, "NOT_FOUND", "404", "not_found_error");
    let text = |key: &str| message[key].as_str().unwrap_or_default();
    let inner = |key: &str| serde_json::from_str::<Value>(text(key)).unwrap();
    match method {
        "WriteEvents" => (200, json!({})),
        "GetNode" => {
            let node = json!({"id": text("nodeId"), "properties": {"port": 8080}});
            (200, json!({"nodeJson": node.to_string()}))
        }
        "GetNodeInstance" => match known.instances.get(text("nodeInstanceId")) {
            Some(instance) => (200, json!({"nodeInstanceJson": instance.to_string()})),
            None => not_found,
        },
        "UpdateNodeInstance" => {
            let instance = known.instances.get_mut(text("nodeInstanceId")).unwrap();
            if known.conflicts > 0 {
                known.conflicts -= 1;
                instance["version"] = json!(instance["version"].as_i64().unwrap() + 1);
                instance["runtime_properties"]["theirs"] = json!(2);
            }
            let stored = instance["version"].as_i64().unwrap();
            if stored > text("version").parse().unwrap() {
                return refusal(409, "VERSION_CONFLICT", "409", "conflict_error");
            }
            instance["version"] = json!(stored + 1);
            instance["runtime_properties"] = inner("runtimePropertiesJson");
            (200, json!({"nodeInstanceJson": instance.to_string()}))
        }
        "EvaluateFunctions" => {
            let mut payload = inner("payloadJson");
            if payload.get("odd").is_some() {
                return refusal(500, "OTHER", "418", "teapot");
            }
            if payload.get("functions").is_some() {
                return refusal(400, "INVALID", "400", "functions_evaluation_error");
            }
            payload["secret"] = json!("evaluated");
            (200, json!({"payloadJson": payload.to_string()}))
        }
        "GetResource" => match known.resources.join(text("path")) {
            path if path.exists() => (200, json!({"localPath": path})),
            _ => not_found,
        },
        "CallRest" => {
            let (status, body) = rest(text("method"), text("path"), text("query"));
            (200, json!({"status": status, "bodyJson": body.to_string()}))
        }
        _ => (501, json!({"code": 12, "message": method})),
    }
}

fn rest(method: &str, path: &str, query: &str) -> (u16, Value) {
    match (method, path) {
        ("GET", "/provider/context") => {
            let agent = json!({"user": "centos"});
            (200, json!({"name": "p", "context": {"cloudify": {"cloudify_agent": agent}}}))
        }
        ("GET", "/config") if query.contains("scope=workflow") => {
            let item = json!({"name": "task_retries", "value": 60, "scope": ["workflow"]});
            (200, json!({"items": [item], "metadata": {"pagination": {"total": 1}}}))
        }
        ("GET", "/executions/e1") => (200, json!({"id": "e1", "status": "started"})),
        ("POST", "/waggoner/init-script") => {
            let script = json!({"name": "web_1", "script": "#!/bin/sh\n", "path": "",
                "url": "https://m/s"});
            (200, script)
        }
        _ => {
            let message = format!("{method} {path} is not there");
            (404, json!({"message": message, "error_code": "not_found_error"}))
        }
    }
}

//! The stock dispatcher's side, and the manager that both sides ask.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::Utf8TempDir;
use serde_json::{Value, json};
use waggoner_proto::agent::v1::{self as pb, answer::Outcome, question::Ask};

use crate::tests::site::value;

/// What the stock dispatcher made of the cases, and the manager. It ends with this.
pub(super) struct Oracle {
    pub(super) cases: Vec<Value>,
    port: u16,
    child: Child,
    _folder: Utf8TempDir,
    /// What was put in pieces, by its id.
    bodies: Mutex<HashMap<String, String>>,
}

/// The source tree of the plugin, with the oracle beside it.
pub(crate) fn tree() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/stock")
}

// === impl Oracle ===

impl Oracle {
    /// Runs the cases of one module of the plugin under the stock dispatcher.
    pub(super) fn ask(python: &Utf8Path, module: &str) -> Self {
        let folder = Utf8TempDir::new().unwrap();
        let mut command = Command::new(python);
        command.args(["-B", tree().join("oracle.py").as_str(), folder.path().as_str(), module]);
        let bin = python.parent().unwrap();
        let spawned = command
            .env("PATH", format!("{bin}:/usr/bin:/bin"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let port = told["port"].as_u64().unwrap().try_into().unwrap();
        let cases = told["cases"].as_array().unwrap().clone();
        assert!(!cases.is_empty(), "there is no module `{module}`");
        Self { cases, port, child, _folder: folder, bodies: Mutex::default() }
    }

    /// Shows what a run has left behind.
    pub(super) fn world(&self, name: &str) -> Value {
        self.request(name, "GET", "/world", "").1
    }

    /// Makes a request in the name of a run.
    pub(super) fn request(
        &self,
        world: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, Value) {
        let (status, bytes) = self.exchange(world, method, path, body);
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn exchange(&self, world: &str, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{method} {} HTTP/1.1\r\nExecution-Token: {world}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            encoded(path),
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer.split_off(end + 4))
    }

    /// Answers as a manager does.
    pub(super) fn answer(&self, world: &str, context: &Value, ask: &Ask) -> Outcome {
        match ask {
            Ask::Node(ask) => {
                let path = format!("/api/v3.1/nodes?id={}", ask.node_id);
                match self.request(world, "GET", &path, "").1["items"].get(0) {
                    Some(node) => value(node),
                    None => refusal(
                        404,
                        &json!({"message": "Requested `Node` was not found",
                        "error_code": "not_found_error"}),
                    ),
                }
            }
            Ask::NodeInstance(ask) => {
                let path = format!("/api/v3.1/node-instances/{}", ask.node_instance_id);
                judged(self.request(world, "GET", &path, ""))
            }
            Ask::UpdateNodeInstance(ask) => {
                let properties = ask.runtime_properties_json.as_deref();
                let properties: Option<Value> =
                    properties.map(|json| serde_json::from_str(json).unwrap());
                let body = json!({"version": ask.version, "runtime_properties": properties});
                let path = format!("/api/v3.1/node-instances/{}", ask.node_instance_id);
                judged(self.request(world, "PATCH", &path, &body.to_string()))
            }
            Ask::EvaluateFunctions(ask) => {
                let payload: Value = serde_json::from_str(&ask.payload_json).unwrap();
                let body = json!({"deployment_id": "dep", "context": viewpoint(context),
                    "payload": payload});
                let path = "/api/v3.1/evaluate/functions";
                let (status, answer) = self.request(world, "POST", path, &body.to_string());
                if status == 200 { value(&answer["payload"]) } else { refusal(status, &answer) }
            }
            Ask::Rest(ask) => {
                let api = match ask.path.as_str() {
                    "/version" => "/api",
                    path if path.starts_with("/resources/") => "",
                    _ => "/api/v3.1",
                };
                let path = format!("{api}{}?{}", ask.path, ask.query);
                let put = self.bodies.lock().unwrap().remove(&ask.body_id);
                let body = put.unwrap_or_else(|| ask.body_json.clone());
                let (status, body) = self.request(world, &ask.method, &path, &body);
                value(&json!({"status": status, "body": body}))
            }
            Ask::Resource(ask) if ask.directory => self.directory(world, &ask.path),
            Ask::Resource(ask) => self.resource(world, &ask.path),
            Ask::PutBody(piece) => {
                let mut bodies = self.bodies.lock().unwrap();
                let body = bodies.entry(piece.body_id.clone()).or_default();
                body.push_str(std::str::from_utf8(&piece.data).unwrap());
                value(&json!({ "size": body.len() }))
            }
        }
    }

    fn resource(&self, world: &str, path: &str) -> Outcome {
        let (blueprint, own) = match path.rsplit_once("--") {
            Some(("ns", own)) => ("imported", own),
            Some((_, own)) => ("bp", own),
            None => ("bp", path),
        };
        let folders = [
            "deployments/default_tenant/dep/".to_owned(),
            format!("blueprints/default_tenant/{blueprint}/"),
            String::new(),
        ];
        for folder in folders {
            let path = format!("/resources/{folder}{own}");
            if let (200, data) = self.exchange(world, "GET", &path, "") {
                return Outcome::Chunk(pb::FileChunk { data, last: true, directory: false });
            }
        }
        missing()
    }

    fn directory(&self, world: &str, path: &str) -> Outcome {
        let mut archive = tar::Builder::new(Vec::new());
        let mut count = 0;
        // What comes later replaces what came before.
        for folder in ["blueprints/default_tenant/bp", "deployments/default_tenant/dep"] {
            let root = format!("/resources/{folder}/{path}");
            let (status, index) = self.request(world, "GET", &root, "");
            for name in index.as_object().filter(|_| status == 200).into_iter().flatten() {
                let (_, data) = self.exchange(world, "GET", &format!("{root}/{}", name.0), "");
                let mut header = tar::Header::new_gnu();
                header.set_size(data.len() as u64);
                header.set_mode(0o644);
                archive.append_data(&mut header, name.0, data.as_slice()).unwrap();
                count += 1;
            }
        }
        if count == 0 {
            return missing();
        }
        let data = archive.into_inner().unwrap();
        Outcome::Chunk(pb::FileChunk { data, last: true, directory: true })
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// For whom functions are evaluated.
fn viewpoint(context: &Value) -> Value {
    let (own, related) = (&context["node_id"], &context["related"]);
    if !related.is_object() {
        return json!({ "self": own });
    }
    let sides = [(own, &context["node_name"]), (&related["node_id"], &related["node_name"])];
    let [source, target] = if related["is_target"] == true { sides } else { [sides[1], sides[0]] };
    json!({"source": source.0, "target": target.0, "source_node": source.1,
        "target_node": target.1})
}

fn judged((status, answer): (u16, Value)) -> Outcome {
    if status == 200 { value(&answer) } else { refusal(status, &answer) }
}

fn refusal(status: u16, answer: &Value) -> Outcome {
    let reason = match status {
        404 => "NOT_FOUND",
        409 => "VERSION_CONFLICT",
        _ => "INVALID",
    };
    let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    Outcome::Refusal(pb::Refusal {
        reason: reason.to_owned(),
        message: text("message"),
        status: status.into(),
        error_code: text("error_code"),
    })
}

fn missing() -> Outcome {
    refusal(404, &json!({"message": "there is no such resource", "error_code": "not_found_error"}))
}

/// Percent-encodes what a path cannot hold.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic();
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

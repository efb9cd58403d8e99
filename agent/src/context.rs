//! What an operation's process may ask: Cloudify's `ctx`, answered here where that is possible, and
//! else by the manager.
//!
//! ```text
//!  plugin, ctx ──(unix socket: gRPC | JSON over HTTP)──▶ wire ──┐
//!                                                               ├──▶ HostApi ──▶ records
//!  stock REST client ──(loopback HTTPS)──▶ facade ──────────────┘       └─────▶ questions
//! ```

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use camino::Utf8PathBuf;
use serde_json::{Map, Value};
use tokio::time::Instant;
use waggoner_ctx::{Ctx, InvalidContext};
use waggoner_proto::agent::v1::{
    AskNode, AskNodeInstance, EvaluateFunctions, Refusal, RestRequest, UpdateNodeInstance,
    question::Ask,
};
use waggoner_types::{Body, LogLevel};

use crate::{attempt::Attempt, questions::nonsense, start::Start};

mod command;
mod grpc;
mod json;
mod render;
mod resource;
mod socket;

pub(crate) use self::{
    resource::FetchError,
    socket::{MOST, Socket},
};

/// What one operation may ask.
#[derive(Debug)]
pub(crate) struct HostApi {
    attempt: Arc<Attempt>,
    context: Map<String, Value>,
    inputs: Map<String, Value>,
    /// The nodes that came with the start.
    nodes: HashMap<String, Value>,
    /// The node instances that came with the start, until each has been read once.
    instances: Mutex<HashMap<String, Value>>,
    since: Instant,
    /// Where the operation's files go, and what they are numbered by.
    directory: Utf8PathBuf,
    /// Where operations keep what outlives them.
    work: Utf8PathBuf,
    files: AtomicU64,
    /// What command lines are evaluated against, one after another.
    ctx: tokio::sync::Mutex<Ctx>,
}

/// What Cloudify's REST API answered.
#[derive(Clone, Debug)]
pub(crate) struct RestAnswer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// How long the node instances that came with the start are as good as a fresh read.
///
/// Older ones could be behind the manager's, and an update that is based on them would be refused
/// where Cloudify, which reads at first use, takes it.
const FRESH: Duration = Duration::from_secs(10);

// === impl HostApi ===

impl HostApi {
    /// Prepares the answers for an operation whose files go to `directory`.
    pub(crate) fn new(
        attempt: Arc<Attempt>,
        start: &Start,
        directory: Utf8PathBuf,
        work: Utf8PathBuf,
    ) -> Result<Self, InvalidContext> {
        let mut ctx = Ctx::new(Value::Object(start.context.clone()))?;
        for node in &start.nodes {
            ctx.offer_node(node.clone());
        }
        Ok(Self {
            attempt,
            context: start.context.clone(),
            inputs: start.inputs.clone(),
            nodes: by_id(&start.nodes),
            instances: Mutex::new(by_id(&start.node_instances)),
            since: Instant::now(),
            directory,
            work,
            files: AtomicU64::new(1),
            ctx: tokio::sync::Mutex::new(ctx),
        })
    }

    /// Returns a node, evaluated in the context of a node instance.
    pub(crate) async fn node(&self, id: String, instance: String) -> Result<Value, Refusal> {
        // What came with the start was evaluated for the operation's own node instances.
        let is_own = instance.is_empty() || self.own_instances().any(|own| own == instance);
        if let Some(node) = self.nodes.get(&id).filter(|_| is_own) {
            return Ok(node.clone());
        }
        self.ask(Ask::Node(AskNode { node_id: id, instance_context: instance })).await
    }

    /// Returns a node instance as the manager holds it: the first time as it came with the start, if
    /// that was just now.
    pub(crate) async fn node_instance(&self, id: String, evaluate: bool) -> Result<Value, Refusal> {
        if let Some(instance) = self.take_instance(&id)
            && evaluate
            && self.since.elapsed() < FRESH
        {
            return Ok(instance);
        }
        let ask = AskNodeInstance { node_instance_id: id, evaluate_functions: evaluate };
        self.ask(Ask::NodeInstance(ask)).await
    }

    /// Replaces a node instance's runtime properties, and waits for the verdict.
    pub(crate) async fn update(&self, update: UpdateNodeInstance) -> Result<Value, Refusal> {
        drop(self.take_instance(&update.node_instance_id));
        self.ask(Ask::UpdateNodeInstance(update)).await
    }

    /// Evaluates the intrinsic functions in a value.
    pub(crate) async fn evaluate(&self, payload_json: String) -> Result<Value, Refusal> {
        self.ask(Ask::EvaluateFunctions(EvaluateFunctions { payload_json })).await
    }

    /// Makes a request of Cloudify's REST API.
    pub(crate) async fn rest(&self, request: RestRequest) -> Result<RestAnswer, Refusal> {
        let mut answer = self.ask(Ask::Rest(request)).await?;
        let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.ok_or_else(|| nonsense("it has no HTTP status"))?;
        Ok(RestAnswer { status, body: answer["body"].take() })
    }

    /// Gets a value from Cloudify's REST API; what it refuses is a refusal.
    async fn get(&self, path: String, query: String) -> Result<Value, Refusal> {
        let (method, body_json) = ("GET".to_owned(), String::new());
        self.successful(RestRequest { method, path, query, body_json }).await
    }

    async fn successful(&self, request: RestRequest) -> Result<Value, Refusal> {
        let RestAnswer { status, body } = self.rest(request).await?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let (message, error_code) = (text("message"), text("error_code"));
        Err(Refusal { reason: "INVALID".to_owned(), message, status: status.into(), error_code })
    }

    /// Adds a log line to the attempt's records, once there is room.
    pub(crate) async fn log(&self, level: LogLevel, logger: Option<String>, message: String) {
        let logger = logger.unwrap_or_else(|| self.logger());
        for message in pieces(message) {
            let logger = logger.clone();
            self.attempt.records.append(Body::Log { level, logger, message }).await;
        }
    }

    /// Adds an event to the attempt's records, once there is room.
    pub(crate) async fn event(&self, event_type: String, message: String) {
        self.attempt.records.append(Body::Event { event_type, message }).await;
    }

    pub(crate) fn context(&self) -> &Map<String, Value> {
        &self.context
    }

    pub(crate) fn inputs(&self) -> &Map<String, Value> {
        &self.inputs
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.context.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn tenant(&self) -> &str {
        self.context.get("tenant").and_then(|tenant| tenant["name"].as_str()).unwrap_or_default()
    }

    async fn ask(&self, ask: Ask) -> Result<Value, Refusal> {
        self.attempt.questions.ask(ask).await
    }

    /// The name of the logger that `ctx.logger` is (`cloudify/context.py`).
    fn logger(&self) -> String {
        format!("ctx.{}", self.text("task_id"))
    }

    fn take_instance(&self, id: &str) -> Option<Value> {
        self.instances.lock().expect("nothing panics while it holds the instances").remove(id)
    }

    fn own_instances(&self) -> impl Iterator<Item = &str> {
        let related = self.context.get("related").and_then(|related| related["node_id"].as_str());
        [Some(self.text("node_id")), related].into_iter().flatten()
    }

    /// Returns a number for a file that nobody else has.
    fn file_number(&self) -> u64 {
        self.files.fetch_add(1, Ordering::Relaxed)
    }
}

/// Cuts a text into pieces that fit a record.
pub(crate) fn pieces(mut text: String) -> Vec<String> {
    /// A record is far below gRPC's 4 MiB, and below an attempt's credits.
    const MOST: usize = 32 * 1024;
    let mut pieces = Vec::new();
    while text.len() > MOST {
        let rest = text.split_off(text.floor_char_boundary(MOST));
        pieces.push(std::mem::replace(&mut text, rest));
    }
    pieces.push(text);
    pieces
}

fn by_id(values: &[Value]) -> HashMap<String, Value> {
    let id = |value: &Value| value.get("id").and_then(Value::as_str).map(str::to_owned);
    values.iter().filter_map(|value| Some((id(value)?, value.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_letters_and_loses_none() {
        let text = "é".repeat(40_000);
        let pieces = pieces(text.clone());
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces.concat(), text);
        assert_eq!(super::pieces(String::new()), [""]);
    }
}

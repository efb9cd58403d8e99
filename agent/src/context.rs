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
    sync::{Arc, Mutex},
    time::Duration,
};

use camino::Utf8PathBuf;
use serde_json::{Map, Value};
use tokio::time::Instant;
use waggoner_ctx::{Ctx, InvalidContext, Reply};
use waggoner_proto::agent::v1::{
    AskNode, AskNodeInstance, EvaluateFunctions, Refusal, UpdateNodeInstance, question::Ask,
};
use waggoner_types::{AttemptId, Body, LogLevel};

use kept::Kept;

use crate::{
    attempt::{Attempt, Slot},
    start::Start,
};

mod call;
mod command;
mod grpc;
mod json;
mod kept;
mod proxy;
mod render;
mod resource;
mod rest;
mod socket;
mod upload;

pub(crate) use self::{
    call::{CALL, Key},
    proxy::CtxProxy,
    resource::FetchError,
    rest::RestAnswer,
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
    /// Where the operation's files go. It is made for the first of them.
    directory: Utf8PathBuf,
    /// Where operations keep what outlives them.
    work: Utf8PathBuf,
    /// What command lines are evaluated against, one after another.
    ctx: tokio::sync::Mutex<Ctx>,
    /// What is kept of them in the journal.
    kept: Mutex<Kept>,
    /// Whether the operation may be idle for so long only.
    is_watched: bool,
}

/// How long the node instances that came with the start are as good as a fresh read.
///
/// Older ones could be behind the manager's, and an update that is based on them would be refused
/// where Cloudify, which reads at first use, takes it.
const FRESH: Duration = Duration::from_secs(10);

// === impl HostApi ===

impl HostApi {
    /// Prepares the answers for an operation whose files go to `directory`; where the daemon was
    /// started anew meanwhile, as they were before.
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
        let kept = attempt.note(Slot::Ctx).map(|note| Kept::read(&note)).unwrap_or_default();
        ctx.restore(kept.snapshot.clone());
        // What came with the start is behind what the operation has done since.
        let instances = if attempt.is_resumed() { &[] } else { start.node_instances.as_slice() };
        Ok(Self {
            attempt,
            context: start.context.clone(),
            inputs: start.inputs.clone(),
            nodes: by_id(&start.nodes),
            instances: Mutex::new(by_id(instances)),
            since: Instant::now(),
            directory,
            work,
            ctx: tokio::sync::Mutex::new(ctx),
            kept: Mutex::new(kept),
            is_watched: start.idle_timeout.is_some(),
        })
    }

    pub(crate) fn attempt_id(&self) -> AttemptId {
        self.attempt.id
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

    /// Says whether a node, evaluated in the context of a node instance, is here already.
    pub(crate) fn has_node(&self, id: &str, instance: &str) -> bool {
        self.nodes.contains_key(id) && self.own_instances().any(|own| own == instance)
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
    pub(crate) async fn update(
        &self,
        update: UpdateNodeInstance,
        key: Key,
    ) -> Result<Value, Refusal> {
        drop(self.take_instance(&update.node_instance_id));
        self.attempt.put(Ask::UpdateNodeInstance(update), Some(key)).await.value().await
    }

    /// Evaluates the intrinsic functions in a value.
    pub(crate) async fn evaluate(&self, payload_json: String) -> Result<Value, Refusal> {
        self.ask(Ask::EvaluateFunctions(EvaluateFunctions { payload_json })).await
    }

    /// Adds a log line to the attempt's records, once.
    pub(crate) async fn log(
        &self,
        level: LogLevel,
        logger: Option<String>,
        message: String,
        key: Key,
    ) {
        let logger = logger.unwrap_or_else(|| self.logger());
        for (at, message) in pieces(message).into_iter().enumerate() {
            let (logger, key) = (logger.clone(), key.part(at.to_string()));
            self.attempt.append(Body::Log { level, logger, message }, key).await;
        }
    }

    /// Adds an event to the attempt's records, once.
    pub(crate) async fn event(&self, event_type: String, message: String, key: Key) {
        self.attempt.append(Body::Event { event_type, message }, key).await;
    }

    /// Keeps what a command line has changed, so that it outlives this daemon, and what it is
    /// answered, so that it changes nothing when it comes again.
    async fn keep(&self, ctx: &Ctx, key: Key, reply: &Reply) {
        let note = {
            let mut kept = self.kept.lock().expect("nothing panics while it holds what is kept");
            if !kept.add(ctx.snapshot(), key, reply) {
                return;
            }
            kept.note()
        };
        self.attempt.keep(Slot::Ctx, note).await;
    }

    /// Returns what a command line was answered that has changed something already.
    fn answered(&self, key: Key) -> Option<Reply> {
        self.kept.lock().expect("nothing panics while it holds what is kept").reply(key)
    }

    /// Hears that the operation has called, whatever it asks.
    pub(crate) async fn called(&self) {
        if self.is_watched {
            self.attempt.touch().await;
        }
    }

    /// The key of something that the operation's course does once.
    pub(crate) fn once(&self, what: &str) -> Key {
        self.attempt.once(what)
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

    /// Asks what has no effect.
    async fn ask(&self, ask: Ask) -> Result<Value, Refusal> {
        self.attempt.put(ask, None).await.value().await
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

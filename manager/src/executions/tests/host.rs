//! A host that outlives managers: it runs operations, and counts how often it ran each.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex},
};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use waggoner_engine::Dispatch;
use waggoner_types::{OperationError, OperationId, Outcome};

use crate::executions::{
    actor::Happening,
    attempts::{Attempt, Attempts},
};

/// How an operation goes: a failure's message, where it fails.
pub(super) type Conduct = fn(&Dispatch) -> Option<&'static str>;

/// What was run, and how it went.
#[derive(Clone)]
pub(super) struct Memory {
    conduct: Conduct,
    /// How often each operation was run, by what people call it.
    pub(super) runs: BTreeMap<String, u32>,
    /// What was run, by the id of the operation: whoever asks again hears the same.
    ended: HashMap<OperationId, Option<&'static str>>,
}

/// A host with the memory that it has.
#[derive(Clone)]
pub(super) struct Host {
    memory: Arc<Mutex<Memory>>,
    /// Whether it runs what it is given, or waits with it.
    runs: watch::Sender<bool>,
}

// === impl Memory ===

impl Memory {
    pub(super) fn new(conduct: Conduct) -> Self {
        Self { conduct, runs: BTreeMap::new(), ended: HashMap::new() }
    }

    fn run(&mut self, id: OperationId, dispatch: &Dispatch) -> Option<&'static str> {
        if let Some(known) = self.ended.get(&id) {
            return *known;
        }
        let side = dispatch.relationship.as_ref().map(|of| {
            format!(" {}->{} {}", of.source_instance, of.target_instance, of.side.as_str())
        });
        let Dispatch { instance, operation_name, retry_number, task, .. } = dispatch;
        let side = side.unwrap_or_default();
        let name = format!("{instance} {operation_name}{side}, task {} #{retry_number}", task.0);
        *self.runs.entry(name).or_default() += 1;
        let outcome = (self.conduct)(dispatch);
        self.ended.insert(id, outcome);
        outcome
    }
}

// === impl Host ===

impl Host {
    pub(super) fn with(memory: Memory) -> Self {
        Self { memory: Arc::new(Mutex::new(memory)), runs: watch::Sender::new(true) }
    }

    /// One that waits with what it is given until it is let go.
    pub(super) fn that_waits(memory: Memory) -> Self {
        Self { runs: watch::Sender::new(false), ..Self::with(memory) }
    }

    pub(super) fn let_go(&self) {
        self.runs.send_replace(true);
    }

    /// What it remembers now.
    pub(super) fn memory(&self) -> Memory {
        self.memory.lock().unwrap().clone()
    }
}

impl Attempts for Host {
    fn run(&self, attempt: Attempt) -> BoxFuture<'static, ()> {
        let (memory, mut runs) = (Arc::clone(&self.memory), self.runs.subscribe());
        Box::pin(async move {
            runs.wait_for(|runs| *runs).await.unwrap();
            let Attempt { stage, dispatch, happenings, .. } = attempt;
            let (task, retry_number) = (dispatch.task, dispatch.retry_number);
            let id = stage.operation(task.0, retry_number);
            let failure = memory.lock().unwrap().run(id, &dispatch);
            let (stored, _) = oneshot::channel();
            let began = Happening::Started { task, retry_number, stored };
            happenings.send(began).await.ok();
            let result = match failure {
                None => Ok(json!(true)),
                Some(why) => Err(OperationError::recoverable(why)),
            };
            let outcome = Outcome { result, exit: None };
            happenings.send(Happening::Ended { task, retry_number, outcome }).await.ok();
        })
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

/// The value of a key in an object, for what a test compares.
pub(super) fn without_time(mut value: Value) -> Value {
    match &mut value {
        Value::Object(map) => {
            map.remove("timestamp");
            for (_, inner) in map.iter_mut() {
                *inner = without_time(inner.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_time(item.take());
            }
        }
        _ => {}
    }
    value
}

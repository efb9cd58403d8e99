//! The state of `ctx` during one operation, and the evaluation of command lines against it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use waggoner_types::LogLevel;

use crate::{
    call::{Answer, Call, Update},
    context::{Context, Ids, InvalidContext, Scope},
    python,
    reply::{Error, Reply},
};

mod attribute;
mod dict;
mod instance;
mod log;
mod method;
mod object;
mod signature;
mod snapshot;
mod verdict;
mod walk;

use instance::Instance;
use verdict::{Retry, Returned};

pub use verdict::Verdict;

/// The `ctx` object of one operation.
#[derive(Clone, Debug)]
pub struct Ctx {
    context: Context,
    /// Nodes, by the node instance in whose context they were evaluated.
    nodes: HashMap<String, Map<String, Value>>,
    instances: HashMap<String, Instance>,
    /// What other calls have answered that is not asked twice.
    loaded: Vec<(Call, Value)>,
    returned: Returned,
    /// What `ctx operation retry` or `ctx retry-operation` asked for last.
    retry: Option<Retry>,
}

/// What a command line leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is done.
    Reply(Reply),
    /// This is to be logged; then it is done, with an empty result.
    Log { level: LogLevel, message: String },
    /// This plugin event is to be sent; then it is done, with an empty result.
    Event { message: String },
    /// The host has to be asked; [`Ctx::resume`] goes on with its answer.
    Ask { call: Call, pending: Pending },
}

/// A command line that waits for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending(Waiting);

#[derive(Clone, Debug, PartialEq)]
enum Waiting {
    /// The answer is kept, and the command line evaluated again.
    Load { call: Call, args: Vec<Value> },
    /// The answer is the result.
    Result,
    /// The answer says that this node instance is stored as it is here.
    Stored { instance: String },
    /// The answer replaces this node instance.
    Refreshed { instance: String },
}

/// Why a walk stops before its end.
enum Halt {
    Raise(Error),
    Need(Box<Call>),
}

// === impl Ctx ===

impl Ctx {
    pub fn new(context: Value) -> Result<Self, InvalidContext> {
        Ok(Self {
            context: Context::new(context)?,
            nodes: HashMap::new(),
            instances: HashMap::new(),
            loaded: Vec::new(),
            returned: Returned::Nothing,
            retry: None,
        })
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Gives it a node of the operation, as the REST API shows it, so that it need not ask.
    pub fn offer_node(&mut self, node: Value) {
        let id = node.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let subjects: Vec<String> = self
            .context
            .subjects()
            .into_iter()
            .filter(|ids| ids.node == id)
            .map(|ids| ids.instance.clone())
            .collect();
        if let Value::Object(node) = node {
            for instance in subjects {
                self.nodes.insert(instance, node.clone());
            }
        }
    }

    /// Gives it a node instance, as the REST API shows it, so that it need not ask.
    pub fn offer_instance(&mut self, instance: Value) {
        if let Some(instance) = Instance::read(instance) {
            self.instances.insert(instance.id().to_owned(), instance);
        }
    }

    /// Evaluates a command line.
    ///
    /// Command lines are meant to be evaluated one after another, as Cloudify's proxy does: what
    /// another one changes while this one waits for an answer is seen by it or not.
    pub fn evaluate(&mut self, args: &[Value]) -> Outcome {
        match self.walk(args) {
            Ok(outcome) => outcome,
            Err(Halt::Raise(error)) => Outcome::Reply(Reply::Error(error)),
            Err(Halt::Need(call)) => {
                let waiting = Waiting::Load { call: Call::clone(&call), args: args.to_vec() };
                Outcome::Ask { call: *call, pending: Pending(waiting) }
            }
        }
    }

    /// Goes on with the answer to a call.
    pub fn resume(&mut self, pending: Pending, answer: Answer) -> Outcome {
        let value = match answer {
            Ok(value) => value,
            Err(refusal) => return Outcome::Reply(Reply::error(&refusal.kind, refusal.message)),
        };
        match pending.0 {
            Waiting::Load { call, args } => match self.keep(call, value) {
                Ok(()) => self.evaluate(&args),
                Err(error) => Outcome::Reply(Reply::Error(error)),
            },
            Waiting::Result => Outcome::Reply(Reply::Result(value)),
            Waiting::Stored { instance } => {
                self.instances.remove(&instance);
                Outcome::NOTHING
            }
            Waiting::Refreshed { instance } => {
                match self.keep(Call::Instance { id: instance }, value) {
                    Ok(()) => Outcome::NOTHING,
                    Err(error) => Outcome::Reply(Reply::Error(error)),
                }
            }
        }
    }

    /// Returns the updates that the operation's end has to send, its source first.
    pub fn pending_updates(&self) -> Vec<Update> {
        let subjects = self.context.subjects();
        let changed = subjects.into_iter().filter_map(|ids| self.instances.get(&ids.instance));
        changed.filter(|instance| instance.is_dirty()).map(Instance::update).collect()
    }

    /// Shows what is at hand as one JSON object, for templates that say `{{ ctx.node.properties }}`.
    ///
    /// A template sees nothing that was not offered or asked for before.
    pub fn to_json(&self) -> Value {
        let mut ctx = Map::new();
        for field in ["execution_id", "workflow_id", "task_id", "task_name", "workflow_parameters"]
        {
            ctx.insert(field.into(), self.context.get(field));
        }
        ctx.insert("type".into(), self.context.scope.as_str().into());
        ctx.insert("tenant_name".into(), self.context.inner("tenant", "name"));
        ctx.insert("blueprint".into(), json!({ "id": self.context.get("blueprint_id") }));
        ctx.insert(
            "deployment".into(),
            json!({
                "id": self.context.get("deployment_id"),
                "display_name": self.context.get("deployment_display_name"),
                "creator": self.context.get("deployment_creator"),
                "resource_tags": self.context.get("deployment_resource_tags"),
                "tenant_name": self.context.inner("tenant", "name"),
            }),
        );
        ctx.insert("operation".into(), self.context.get("operation"));
        ctx.insert("plugin".into(), self.context.get("plugin"));
        match &self.context.scope {
            Scope::Deployment => {}
            Scope::Instance(own) => {
                ctx.insert("node".into(), self.node_to_json(own));
                ctx.insert("instance".into(), self.instance_to_json(own));
            }
            Scope::Relationship { source, target } => {
                for (name, ids) in [("source", source), ("target", target)] {
                    let (node, instance) = (self.node_to_json(ids), self.instance_to_json(ids));
                    ctx.insert(name.into(), json!({ "node": node, "instance": instance }));
                }
            }
        }
        Value::Object(ctx)
    }

    fn node_to_json(&self, ids: &Ids) -> Value {
        let mut node = self.nodes.get(&ids.instance).cloned().unwrap_or_default();
        node.insert("id".into(), ids.node.clone().into());
        node.insert("name".into(), ids.node.clone().into());
        Value::Object(node)
    }

    fn instance_to_json(&self, ids: &Ids) -> Value {
        let instance = self.instances.get(&ids.instance);
        let mut instance = instance.map(Instance::to_json).unwrap_or_default();
        instance.insert("id".into(), ids.instance.clone().into());
        Value::Object(instance)
    }

    /// Keeps the answer to a call that loads something.
    fn keep(&mut self, call: Call, value: Value) -> Result<(), Error> {
        let foreign =
            |what: &str| Err(Error::runtime(format!("the manager's answer is no {what}")));
        match (call, value) {
            (Call::Node { id, instance }, Value::Object(node)) => {
                self.nodes.insert(instance.unwrap_or(id), node);
            }
            (Call::Node { .. }, _) => return foreign("node"),
            (Call::Instance { id }, value) => match Instance::read(value) {
                Some(instance) => drop(self.instances.insert(id, instance)),
                None => return foreign("node instance"),
            },
            (call, value) => self.loaded.push((call, value)),
        }
        Ok(())
    }
}

// === impl Outcome ===

impl Outcome {
    const NOTHING: Self = Self::Reply(Reply::Result(Value::Null));

    fn result(value: impl Into<Value>) -> Self {
        Self::Reply(Reply::Result(value.into()))
    }

    /// Asks for what is the result itself.
    fn ask(call: Call) -> Self {
        Self::Ask { call, pending: Pending(Waiting::Result) }
    }
}

// === impl Halt ===

impl Halt {
    fn need(call: Call) -> Self {
        Self::Need(Box::new(call))
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Raise(error)
    }
}

/// The complaint of `json.dumps()`.
fn not_serializable(type_name: &str) -> Error {
    Error::type_error(format!("Object of type {type_name} is not JSON serializable"))
}

/// The complaint of a walk that does not go on (`process_ctx_request`).
fn cannot_be_processed(arg: &Value, args: &[Value]) -> Error {
    let (arg, args) = (python::text(arg), python::repr_list(args));
    Error::runtime(format!("{arg} cannot be processed in {args}"))
}

//! The calls that a command line ends with.

use serde_json::{Map, Value};

use super::{
    Ctx, Halt, Outcome, Pending, Waiting, log,
    object::Method,
    signature::{Bound, Signature},
    verdict::{Retry, Returned},
};
use crate::{
    call::Call,
    context::Ids,
    python::{self, type_name},
    reply::{Error, Reply},
};

/// Where Cloudify's own methods are.
const CTX: &str = "CloudifyContext";
const MIXIN: &str = "DeploymentWorkdirMixin";
/// Where the script runner makes its own.
const SCRIPT: &str = "process_execution.<locals>";

/// The ways of installing an agent that need a script (`AGENT_INSTALL_METHODS_SCRIPTS`).
const SCRIPTED: [&str; 3] = ["init_script", "provided", "plugin"];

/// The network that is meant if none is named.
const NETWORK: &str = "default";

impl Ctx {
    pub(super) fn call(
        &mut self,
        method: Method,
        args: &[Value],
        kwargs: Map<String, Value>,
    ) -> Result<Outcome, Halt> {
        match method {
            Method::Log(method) => return log::call(method, args, &kwargs),
            Method::Dict(dict, method) => return self.call_dict(&dict, method, args, kwargs),
            _ => {}
        }
        let bound = signature(&method).bind(args, kwargs)?;
        match method {
            Method::Returns => {
                let [value] = bound.take();
                self.set_returned(Returned::Value(value))?;
                Ok(Outcome::NOTHING)
            }
            Method::AbortOperation => {
                let [message] = bound.take();
                let message = python::text(&message);
                self.set_returned(Returned::Abort(message.clone()))?;
                Ok(Outcome::Reply(Reply::Stop { message }))
            }
            Method::RetryOperation => {
                let [message, retry_after] = bound.take();
                self.check_unreturned()?;
                self.retry = Some(Retry::new(&message, &retry_after)?);
                self.set_returned(Returned::Retry)?;
                Ok(Outcome::Reply(Reply::Stop { message: python::text(&message) }))
            }
            Method::Retry => {
                let [message, retry_after] = bound.take();
                self.retry = Some(Retry::new(&message, &retry_after)?);
                Ok(Outcome::NOTHING)
            }
            Method::SendEvent => {
                let [message] = bound.take();
                Ok(Outcome::Event { message: python::text(&message) })
            }
            Method::Update(ids) => self.update(&ids, bound),
            Method::Refresh(ids) => self.refresh(&ids, bound),
            Method::AllCapabilities => self.all_capabilities(),
            Method::AgentScript(name) => self.agent_script(name),
            Method::MoveWorkdir(_) => Ok(Outcome::NOTHING),
            Method::LocalWorkdir => self.local_workdir(),
            method => Ok(Outcome::ask(self.host_call(&method, bound)?)),
        }
    }

    /// Returns the call that answers a method.
    fn host_call(&self, method: &Method, bound: Bound) -> Result<Call, Error> {
        let [first, second, third] = bound.take();
        Ok(match method {
            Method::GetConfig => Call::Config { name: optional(first)?, scope: optional(second)? },
            Method::GetOperation => Call::Operation { id: self.task_id() },
            Method::GetExecution => {
                let own = self.context.text("execution_id").unwrap_or_default();
                let id = optional(first)?.filter(|id| !id.is_empty());
                Call::Execution { id: id.unwrap_or_else(|| own.to_owned()) }
            }
            Method::UpdateOperation => {
                Call::UpdateOperation { id: self.task_id(), state: required(first)? }
            }
            Method::GetManagers => {
                Call::Managers { network: optional(first)?.unwrap_or_else(|| NETWORK.to_owned()) }
            }
            Method::GetBrokers => {
                Call::Brokers { network: optional(first)?.unwrap_or_else(|| NETWORK.to_owned()) }
            }
            Method::GetResource => Call::Resource { path: required(first)?, render: None },
            Method::GetResourceAndRender => {
                let render = Some(variables(second)?);
                Call::Resource { path: required(first)?, render }
            }
            Method::DownloadResource => {
                let (path, target) = (required(first)?, optional(second)?);
                Call::Download { path, target, render: None }
            }
            Method::DownloadResourceAndRender => {
                let render = Some(variables(third)?);
                Call::Download { path: required(first)?, target: optional(second)?, render }
            }
            Method::DownloadDirectory => {
                Call::DownloadDirectory { path: required(first)?, target: optional(second)? }
            }
            Method::UploadDeploymentFile => {
                Call::UploadDeploymentFile { target: required(first)?, source: required(second)? }
            }
            Method::DeleteDeploymentFile => Call::DeleteDeploymentFile { path: required(first)? },
            other => return Err(Error::runtime(format!("{other:?} is no question to the host"))),
        })
    }

    /// Stores the runtime properties now, if they were changed. They are read again when they are
    /// next looked at.
    fn update(&mut self, ids: &Ids, bound: Bound) -> Result<Outcome, Halt> {
        let [on_conflict] = bound.take();
        if !on_conflict.is_null() {
            let name = type_name(&on_conflict);
            return Err(Error::type_error(format!("'{name}' object is not callable")).into());
        }
        match self.instances.get(&ids.instance) {
            Some(instance) if instance.is_dirty() => {
                let waiting = Waiting::Stored { instance: ids.instance.clone() };
                let call = Call::UpdateInstance(instance.update());
                Ok(Outcome::Ask { call, pending: Pending(waiting) })
            }
            Some(_) | None => {
                self.instances.remove(&ids.instance);
                Ok(Outcome::NOTHING)
            }
        }
    }

    fn refresh(&mut self, ids: &Ids, bound: Bound) -> Result<Outcome, Halt> {
        let [force] = bound.take();
        let is_dirty = self.instances.get(&ids.instance).is_some_and(super::Instance::is_dirty);
        if is_dirty && !python::is_true(&force) {
            return Err(Error::non_recoverable(
                "runtime_properties are dirty: refreshing now would destroy local changes",
            )
            .into());
        }
        let instance = ids.instance.clone();
        let call = Call::Instance { id: instance.clone() };
        Ok(Outcome::Ask { call, pending: Pending(Waiting::Refreshed { instance }) })
    }

    /// Maps the targets of the relationships to their runtime properties (`ContextCapabilities`).
    fn all_capabilities(&self) -> Result<Outcome, Halt> {
        let mut all = Map::new();
        if let Some(owner) = self.owner() {
            for target in self.instance(&owner.instance)?.targets() {
                let properties = self.instance(&target)?.runtime_properties.clone();
                all.insert(target, properties.into());
            }
        }
        Ok(Outcome::result(all))
    }

    /// Answers as outside of the manager's own host, where there is no such directory.
    fn local_workdir(&self) -> Result<Outcome, Halt> {
        let is_known = self.context.text("deployment_id").is_some()
            && self.context.inner("tenant", "name").is_string();
        if !is_known {
            return Ok(Outcome::NOTHING);
        }
        Err(Error::non_recoverable(
            "Local resources root directory not defined, is CFY_RESOURCES_ROOT environment variable set?",
        ).into())
    }

    /// Answers as outside of an agent's own Python, which alone can make such a script.
    fn agent_script(&self, name: &str) -> Result<Outcome, Halt> {
        let own = self.context.subjects().first().map(|ids| (*ids).clone());
        let node = own.and_then(|own| self.nodes.get(&own.instance)?.get("properties").cloned());
        let property = |name: &str| node.as_ref().and_then(|node| node.get(name));
        let method = property("agent_config").and_then(|config| config.get("install_method"));
        let method = method.filter(|_| !property("install_agent").is_some_and(Value::is_boolean));
        let is_script =
            method.and_then(Value::as_str).is_some_and(|method| SCRIPTED.contains(&method));
        if name == "init_script" && !is_script {
            return Ok(Outcome::NOTHING);
        }
        Err(Error::non_recoverable(
            "init_script/install_script cannot be used outside of an agent environment: \
             ImportError: No module named 'cloudify_agent'",
        )
        .into())
    }

    fn task_id(&self) -> String {
        self.context.text("task_id").unwrap_or_default().to_owned()
    }
}

fn signature(method: &Method) -> Signature {
    let ctx = |name, required, optional| Signature::method(CTX, name, required, optional);
    match method {
        Method::GetConfig => ctx("get_config", &[], &["name", "scope"]),
        Method::SendEvent => ctx("send_event", &["event"], &[]),
        Method::GetOperation => ctx("get_operation", &[], &[]),
        Method::GetExecution => ctx("get_execution", &[], &["execution_id"]),
        Method::UpdateOperation => ctx("update_operation", &["state"], &[]),
        Method::GetResource => ctx("get_resource", &["resource_path"], &[]),
        Method::GetResourceAndRender => {
            ctx("get_resource_and_render", &["resource_path"], &["template_variables"])
        }
        Method::DownloadResource => ctx("download_resource", &["resource_path"], &["target_path"]),
        Method::DownloadResourceAndRender => ctx(
            "download_resource_and_render",
            &["resource_path"],
            &["target_path", "template_variables"],
        ),
        Method::DownloadDirectory => {
            ctx("download_directory", &["directory_path"], &["target_path"])
        }
        Method::GetManagers => ctx("get_managers", &[], &["network"]),
        Method::GetBrokers => ctx("get_brokers", &[], &["network"]),
        Method::MoveWorkdir(name) => Signature::method(MIXIN, name, &[], &[]),
        Method::LocalWorkdir => Signature::method(MIXIN, "local_deployment_workdir", &[], &[]),
        Method::UploadDeploymentFile => Signature::method(
            MIXIN,
            "upload_deployment_file",
            &["target_file_path", "src_file"],
            &["src_file_mtime"],
        ),
        Method::DeleteDeploymentFile => {
            Signature::method(MIXIN, "delete_deployment_file", &["file_path"], &[])
        }
        Method::Returns => Signature::function(SCRIPT, "returns", &["value"], &[]),
        Method::AbortOperation => Signature::function(SCRIPT, "abort_operation", &[], &["message"]),
        Method::RetryOperation => {
            Signature::function(SCRIPT, "retry_operation", &[], &["message", "retry_after"])
        }
        Method::Retry => {
            Signature::method("OperationContext", "retry", &[], &["message", "retry_after"])
        }
        Method::Update(_) => {
            Signature::method("NodeInstanceContext", "update", &[], &["on_conflict"])
        }
        Method::Refresh(_) => Signature::method("NodeInstanceContext", "refresh", &[], &["force"]),
        Method::AllCapabilities => Signature::method("ContextCapabilities", "get_all", &[], &[]),
        Method::AgentScript(name) => {
            Signature::method("CloudifyAgentContext", name, &[], &["agent_config"])
        }
        // They have signatures of their own.
        Method::Log(_) | Method::Dict(..) => Signature::method("object", "method", &[], &[]),
    }
}

/// Reads template variables, to which the host adds `ctx`
/// (`_add_context_to_template_variables`, `cloudify/context.py`).
fn variables(given: Value) -> Result<Map<String, Value>, Error> {
    if !python::is_true(&given) {
        return Ok(Map::new());
    }
    let has_ctx = match &given {
        Value::Object(map) => map.contains_key("ctx"),
        Value::Array(items) => items.iter().any(|item| item == "ctx"),
        Value::String(text) => text.contains("ctx"),
        _ => false,
    };
    if has_ctx {
        return Err(Error::non_recoverable(
            "Key not allowed - a key named ctx is in template_variables",
        ));
    }
    match given {
        Value::Object(map) => Ok(map),
        Value::Array(_) => {
            Err(Error::type_error("list indices must be integers or slices, not str"))
        }
        Value::String(_) => Err(Error::type_error("'str' object does not support item assignment")),
        other => {
            let name = type_name(&other);
            Err(Error::type_error(format!("argument of type '{name}' is not iterable")))
        }
    }
}

fn required(value: Value) -> Result<String, Error> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Error::type_error(format!("expected str, got {}", type_name(&other)))),
    }
}

fn optional(value: Value) -> Result<Option<String>, Error> {
    if value.is_null() { Ok(None) } else { required(value).map(Some) }
}

//! The attributes of what `ctx` holds (`cloudify/context.py`).

use serde_json::{Map, Value};

use super::{
    Ctx, Halt,
    object::{Dict, DictMethod, LogMethod, Method, Object},
};
use crate::{
    call::Call,
    context::{Ids, Scope},
    python::{is_true, text},
    reply::Error,
};

/// The type of nodes that are hosts.
const COMPUTE: &str = "cloudify.nodes.Compute";

impl Ctx {
    /// Looks an attribute up. `None` means that there is none of this name.
    pub(super) fn attribute(&self, object: &Object, name: &str) -> Result<Option<Object>, Halt> {
        match object {
            Object::Ctx => self.of_ctx(name),
            Object::Node(ids) => self.of_node(ids, name),
            Object::Instance(ids) => self.of_instance(ids, name),
            Object::Subject(ids) => Ok(match name {
                "node" => Some(Object::Node(ids.clone())),
                "instance" => Some(Object::Instance(ids.clone())),
                _ => None,
            }),
            Object::Dict(Dict::Runtime(id)) if name == "dirty" => {
                Ok(Some(value(self.instances.get(id).is_some_and(super::Instance::is_dirty))))
            }
            Object::Dict(Dict::Runtime(_)) if name == "modifiable" => Ok(Some(value(true))),
            Object::Dict(dict) => Ok(DictMethod::find(name)
                .map(|found| Object::Method(Method::Dict(dict.clone(), found)))),
            Object::Plugin => self.of_plugin(name),
            Object::Capabilities if name == "instance" => Ok(self.owner().map(Object::Instance)),
            other => Ok(self.of_plain(other, name)),
        }
    }

    fn of_ctx(&self, name: &str) -> Result<Option<Object>, Halt> {
        let context = &self.context;
        let object = match name {
            "execution_id"
            | "execution_token"
            | "workflow_id"
            | "rest_host"
            | "rest_port"
            | "rest_token"
            | "rest_ssl_cert"
            | "task_id"
            | "task_name"
            | "task_target"
            | "task_queue"
            | "timeout"
            | "execution_creator_username" => Object::Value(context.get(name)),
            "timeout_recoverable" | "bypass_maintenance" | "resume" => {
                Object::Value(or_else(context.find(name), false.into()))
            }
            "is_script_exception_defined" => value(true),
            "type" => value(context.scope.as_str()),
            "task_type" => Object::Value(context.get("type")),
            "tenant_name" => Object::Value(context.inner("tenant", "name")),
            "workflow_parameters" => held(or_else(context.find(name), Map::new().into())),
            "execution_env" => {
                let given = context.find(name).filter(|env| is_true(env));
                held(or_else(given, Map::new().into()))
            }
            "tenant" => {
                let mut tenant = context.get("tenant").as_object().cloned().unwrap_or_default();
                let more = self.loaded(&Call::Tenant)?;
                tenant.extend(more.as_object().cloned().unwrap_or_default());
                Object::Dict(Dict::Copy(tenant))
            }
            "provider_context" => held(self.loaded(&Call::ProviderContext)?),
            "bootstrap_context" => Object::Bootstrap(self.loaded(&Call::BootstrapContext)?),
            "node" => Object::Node(self.own()?),
            "instance" => Object::Instance(self.own()?),
            "source" => Object::Subject(self.side(true)?),
            "target" => Object::Subject(self.side(false)?),
            "operation" => Object::Operation,
            "deployment" => Object::Deployment,
            "blueprint" => Object::Blueprint,
            "plugin" => Object::Plugin,
            "logger" => Object::Logger,
            "agent" => self.agent()?,
            "capabilities" => match &context.scope {
                Scope::Deployment => {
                    return Err(misplaced(
                        "capabilities",
                        "node-instance/relationship-instance",
                        &context.scope,
                    )
                    .into());
                }
                Scope::Instance(_) | Scope::Relationship { .. } => Object::Capabilities,
            },
            name => return Ok(method_of_ctx(name).map(Object::Method)),
        };
        Ok(Some(object))
    }

    fn of_node(&self, ids: &Ids, name: &str) -> Result<Option<Object>, Halt> {
        Ok(Some(match name {
            "id" | "name" => value(ids.node.as_str()),
            "properties" => {
                self.node(ids)?;
                Object::Dict(Dict::Properties(ids.instance.clone()))
            }
            "type" | "type_hierarchy" | "number_of_instances" => {
                Object::Value(self.node(ids)?.get(name).cloned().unwrap_or_default())
            }
            _ => return Ok(None),
        }))
    }

    fn of_instance(&self, ids: &Ids, name: &str) -> Result<Option<Object>, Halt> {
        Ok(Some(match name {
            "id" => value(ids.instance.as_str()),
            // Cloudify's own mistake: the context of the node is made without what it needs.
            "node" => return Err(Error::new("KeyError", "'endpoint'").into()),
            "runtime_properties" => {
                self.instance(&ids.instance)?;
                Object::Dict(Dict::Runtime(ids.instance.clone()))
            }
            "index" => Object::Value(self.instance(&ids.instance)?.field("index")),
            "scaling_groups" => {
                Object::Dict(Dict::Copy(self.instance(&ids.instance)?.scaling_groups()))
            }
            "relationships" => {
                let count = self.instance(&ids.instance)?.targets().len();
                Object::Objects("RelationshipContext", count)
            }
            "drift" => {
                let drift = self.instance(&ids.instance)?.field("system_properties");
                let Some(drift) = drift.get("configuration_drift").and_then(Value::as_object)
                else {
                    return Ok(None);
                };
                let is_ok = drift.get("ok").is_some_and(is_true);
                let result = drift.get("result").filter(|_| is_ok);
                held(result.cloned().unwrap_or_default())
            }
            "host_ip" => Object::Value(self.host_ip(ids)?),
            "update" => Object::Method(Method::Update(ids.clone())),
            "refresh" => Object::Method(Method::Refresh(ids.clone())),
            _ => return Ok(None),
        }))
    }

    fn of_plugin(&self, name: &str) -> Result<Option<Object>, Halt> {
        let plugin = self.context.get("plugin");
        Ok(Some(match name {
            "name" => Object::Value(self.plugin_name()),
            "package_name" | "package_version" | "source" => {
                Object::Value(self.context.inner("plugin", name))
            }
            "properties" => held(plugin.get("properties").cloned().unwrap_or_default()),
            "prefix" => Object::Value(self.loaded(&Call::PluginPrefix)?),
            "workdir" if self.plugin_name() == "" => value(Value::Null),
            "workdir" => Object::Value(self.loaded(&Call::PluginWorkdir)?),
            _ => return Ok(None),
        }))
    }

    /// Looks up an attribute that needs nothing but the operation's context.
    fn of_plain(&self, object: &Object, name: &str) -> Option<Object> {
        let context = &self.context;
        Some(match (object, name) {
            (Object::Operation, "name" | "retry_number" | "max_retries" | "relationship") => {
                Object::Value(context.inner("operation", name))
            }
            (Object::Operation, "retry") => Object::Method(Method::Retry),
            (Object::Blueprint, "id") => Object::Value(context.get("blueprint_id")),
            (Object::Deployment, "id") => Object::Value(context.get("deployment_id")),
            (Object::Deployment, "tenant_name") => Object::Value(context.inner("tenant", "name")),
            (Object::Deployment, "runtime_only_evaluation") => Object::Value(context.get(name)),
            (Object::Deployment, "display_name") => {
                Object::Value(context.get("deployment_display_name"))
            }
            (Object::Deployment, "creator") => Object::Value(context.get("deployment_creator")),
            (Object::Deployment, "resource_tags") => held(context.get("deployment_resource_tags")),
            (Object::Logger, "name") => value(format!("ctx.{}", self.logger_name())),
            (Object::Logger, name) => Object::Method(Method::Log(LogMethod::find(name)?)),
            (Object::Capabilities, "get_all") => Object::Method(Method::AllCapabilities),
            (Object::Agent, "init_script") => Object::Method(Method::AgentScript("init_script")),
            (Object::Agent, "install_script_download_link") => {
                Object::Method(Method::AgentScript("install_script_download_link"))
            }
            (Object::Agent, "script_path") => value(Value::Null),
            (Object::Bootstrap(all), "cloudify_agent") => Object::CloudifyAgent(part(all, name)),
            (Object::Bootstrap(all), "policy_engine") => Object::PolicyEngine(part(all, name)),
            (Object::Bootstrap(all), "resources_prefix") => {
                Object::Value(or_else(all.get(name), "".into()))
            }
            (
                Object::CloudifyAgent(agent),
                "min_workers"
                | "max_workers"
                | "user"
                | "remote_execution_port"
                | "agent_key_path"
                | "broker_ip"
                | "broker_user"
                | "broker_pass"
                | "broker_vhost"
                | "broker_ssl_enabled"
                | "cluster"
                | "networks",
            ) => held(part(agent, name)),
            (Object::PolicyEngine(engine), "start_timeout") => held(part(engine, name)),
            _ => return None,
        })
    }

    fn agent(&self) -> Result<Object, Halt> {
        let node = self.node(&self.own()?)?;
        let types = node.get("type_hierarchy").and_then(Value::as_array);
        if types.into_iter().flatten().any(|name| name == COMPUTE) {
            return Ok(Object::Agent);
        }
        let own = text(node.get("type").unwrap_or(&Value::Null));
        Err(Error::non_recoverable(format!(
            "ctx.agent can only be used with compute nodes but current node is of type: {own}"
        ))
        .into())
    }

    fn logger_name(&self) -> &str {
        self.context.text("task_id").unwrap_or("cloudify_plugin")
    }

    fn own(&self) -> Result<Ids, Error> {
        match &self.context.scope {
            Scope::Instance(own) => Ok(own.clone()),
            scope => Err(misplaced("ctx.node/ctx.instance", "node-instance", scope)),
        }
    }

    fn side(&self, is_source: bool) -> Result<Ids, Error> {
        match &self.context.scope {
            Scope::Relationship { source, .. } if is_source => Ok(source.clone()),
            Scope::Relationship { target, .. } => Ok(target.clone()),
            scope => Err(misplaced("ctx.source/ctx.target", "relationship-instance", scope)),
        }
    }

    /// Returns what a call has answered, or asks it.
    fn loaded(&self, call: &Call) -> Result<Value, Halt> {
        let found = self.loaded.iter().find(|(asked, _)| asked == call);
        found.map(|(_, answer)| answer.clone()).ok_or_else(|| Halt::need(call.clone()))
    }

    /// Returns a node, or asks for it.
    pub(super) fn node(&self, ids: &Ids) -> Result<&Map<String, Value>, Halt> {
        let (id, instance) = (ids.node.clone(), Some(ids.instance.clone()));
        self.nodes.get(&ids.instance).ok_or(Halt::need(Call::Node { id, instance }))
    }

    /// Returns a node instance, or asks for it.
    pub(super) fn instance(&self, id: &str) -> Result<&super::Instance, Halt> {
        self.instances.get(id).ok_or_else(|| Halt::need(Call::Instance { id: id.to_owned() }))
    }

    /// Finds the address of the host of a node instance (`get_host_node_instance_ip`,
    /// `cloudify/endpoint.py`).
    fn host_ip(&self, ids: &Ids) -> Result<Value, Halt> {
        let host_id = self.instance(&ids.instance)?.field("host_id");
        let Some(host_id) = host_id.as_str().filter(|id| !id.is_empty()) else {
            return Err(Error::non_recoverable("host_id missing").into());
        };
        let host = self.instance(host_id)?;
        let has_ip = |ip: &&Value| is_true(ip);
        if let Some(ip) = host.runtime_properties.get("ip").filter(has_ip) {
            return Ok(ip.clone());
        }
        let node = if host_id == ids.instance {
            self.node(ids)?
        } else {
            let id = text(&host.field("node_id"));
            let call = Call::Node { id: id.clone(), instance: None };
            self.nodes.get(&id).ok_or(Halt::need(call))?
        };
        let ip = node.get("properties").and_then(|properties| properties.get("ip")).filter(has_ip);
        ip.cloned().ok_or_else(|| {
            let message = format!("could not find ip for host node instance: {host_id}");
            Error::non_recoverable(message).into()
        })
    }
}

fn method_of_ctx(name: &str) -> Option<Method> {
    Some(match name {
        "get_config" => Method::GetConfig,
        "send_event" => Method::SendEvent,
        "get_operation" => Method::GetOperation,
        "get_execution" => Method::GetExecution,
        "update_operation" => Method::UpdateOperation,
        "get_resource" => Method::GetResource,
        "get_resource_and_render" => Method::GetResourceAndRender,
        "download_resource" => Method::DownloadResource,
        "download_resource_and_render" => Method::DownloadResourceAndRender,
        "download_directory" => Method::DownloadDirectory,
        "get_managers" => Method::GetManagers,
        "get_brokers" => Method::GetBrokers,
        "download_deployment_workdir" => Method::MoveWorkdir("download_deployment_workdir"),
        "upload_deployment_workdir" => Method::MoveWorkdir("upload_deployment_workdir"),
        "local_deployment_workdir" => Method::LocalWorkdir,
        "upload_deployment_file" => Method::UploadDeploymentFile,
        "delete_deployment_file" => Method::DeleteDeploymentFile,
        "returns" => Method::Returns,
        "abort_operation" => Method::AbortOperation,
        "retry_operation" => Method::RetryOperation,
        _ => return None,
    })
}

fn misplaced(what: &str, wanted: &str, scope: &Scope) -> Error {
    let scope = scope.as_str();
    Error::non_recoverable(format!(
        "{what} can only be used in a {wanted} context but used in a {scope} context."
    ))
}

fn value(value: impl Into<Value>) -> Object {
    Object::Value(value.into())
}

/// A dictionary if it is one, which can be walked into.
fn held(value: Value) -> Object {
    match value {
        Value::Object(map) => Object::Dict(Dict::Copy(map)),
        value => Object::Value(value),
    }
}

fn part(value: &Value, name: &str) -> Value {
    value.get(name).cloned().unwrap_or_default()
}

fn or_else(value: Option<&Value>, default: Value) -> Value {
    value.cloned().unwrap_or(default)
}

//! What a walk through `ctx` can reach.

use serde_json::{Map, Value};

use crate::context::Ids;

/// Something that an argument has led to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    Ctx,
    /// `ctx.source` and `ctx.target`.
    Subject(Ids),
    Node(Ids),
    Instance(Ids),
    Operation,
    Deployment,
    Blueprint,
    /// Also the plugin's name.
    Plugin,
    Logger,
    Agent,
    Capabilities,
    Bootstrap(Value),
    CloudifyAgent(Value),
    PolicyEngine(Value),
    Dict(Dict),
    Method(Method),
    Value(Value),
    /// A list of so many objects of a Python type, which have no JSON form.
    Objects(&'static str, usize),
}

/// A dictionary, by where it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Dict {
    /// The runtime properties of a node instance.
    Runtime(String),
    /// The properties of the node of a node instance: read only at the first level.
    Properties(String),
    /// A copy, whose changes nobody sees.
    Copy(Map<String, Value>),
}

/// Something that can be called.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Method {
    GetConfig,
    SendEvent,
    GetOperation,
    GetExecution,
    UpdateOperation,
    GetResource,
    GetResourceAndRender,
    DownloadResource,
    DownloadResourceAndRender,
    DownloadDirectory,
    GetManagers,
    GetBrokers,
    /// The working directory is the manager's own: there is nothing to move.
    MoveWorkdir(&'static str),
    LocalWorkdir,
    UploadDeploymentFile,
    DeleteDeploymentFile,
    Returns,
    AbortOperation,
    RetryOperation,
    Retry,
    Update(Ids),
    Refresh(Ids),
    AllCapabilities,
    AgentScript(&'static str),
    Log(LogMethod),
    Dict(Dict, DictMethod),
}

/// The methods of a logger that log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogMethod {
    Debug,
    Info,
    Warning,
    Warn,
    Error,
    Exception,
    Critical,
    /// With the level as an argument.
    Log,
}

/// The methods of a dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DictMethod {
    Get,
    SetDefault,
    Pop,
    PopItem,
    Clear,
    Update,
    Copy,
    /// `keys`, `values`, `items`, by the name of the view that they return.
    View(&'static str),
}

// === impl Object ===

impl Object {
    /// Returns the name of the Python type of something without a JSON form.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Ctx => "CloudifyContext",
            Self::Subject(_) => "RelationshipSubjectContext",
            Self::Node(_) => "NodeContext",
            Self::Instance(_) => "NodeInstanceContext",
            Self::Operation => "OperationContext",
            Self::Deployment => "DeploymentContext",
            Self::Blueprint => "BlueprintContext",
            Self::Plugin => "PluginContext",
            Self::Logger => "Logger",
            Self::Agent => "CloudifyAgentContext",
            Self::Capabilities => "ContextCapabilities",
            Self::Bootstrap(_) => "BootstrapContext",
            Self::CloudifyAgent(_) => "CloudifyAgent",
            Self::PolicyEngine(_) => "PolicyEngine",
            Self::Dict(_) => "dict",
            Self::Method(_) => "method",
            Self::Value(_) => "object",
            Self::Objects(name, _) => name,
        }
    }
}

// === impl DictMethod ===

impl DictMethod {
    pub(super) fn find(name: &str) -> Option<Self> {
        Some(match name {
            "get" => Self::Get,
            "setdefault" => Self::SetDefault,
            "pop" => Self::Pop,
            "popitem" => Self::PopItem,
            "clear" => Self::Clear,
            "update" => Self::Update,
            "copy" => Self::Copy,
            "keys" => Self::View("dict_keys"),
            "values" => Self::View("dict_values"),
            "items" => Self::View("dict_items"),
            _ => return None,
        })
    }
}

// === impl LogMethod ===

impl LogMethod {
    pub(super) fn find(name: &str) -> Option<Self> {
        Some(match name {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warning" => Self::Warning,
            "warn" => Self::Warn,
            "error" => Self::Error,
            "exception" => Self::Exception,
            "critical" | "fatal" => Self::Critical,
            "log" => Self::Log,
            _ => return None,
        })
    }
}

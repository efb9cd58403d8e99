//! What `ctx` has to ask its host.

use serde_json::{Map, Value};

/// A question to the host, with the answer it wants.
///
/// Paths and names are given as the script wrote them.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// A node of the deployment, evaluated in the context of a node instance. Answer: the node as
    /// the REST API shows it.
    Node { id: String, instance: Option<String> },
    /// A node instance as the manager holds it now, evaluated. Answer: the node instance as the
    /// REST API shows it.
    Instance { id: String },
    /// Replaces the runtime properties of a node instance. Answer: anything; a refusal (409) when
    /// the stored version is newer.
    UpdateInstance(Update),
    /// The details of the operation's tenant. Answer: an object.
    Tenant,
    /// The manager's provider context. Answer: an object.
    ProviderContext,
    /// The manager's bootstrap context. Answer: an object.
    BootstrapContext,
    /// The manager's settings. Answer: a list of objects.
    Config { name: Option<String>, scope: Option<String> },
    /// The managers of a network. Answer: a list of objects.
    Managers { network: String },
    /// The message brokers of a network. Answer: a list of objects.
    Brokers { network: String },
    /// An execution as the REST API shows it.
    Execution { id: String },
    /// An operation as the REST API shows it.
    Operation { id: String },
    /// Sets the state of an operation.
    UpdateOperation { id: String, state: String },
    /// The text of a resource, rendered as a Jinja2 template with these variables and
    /// [`Ctx::to_json`](crate::Ctx::to_json) as `ctx` if there are any. Answer: a string.
    Resource { path: String, render: Option<Map<String, Value>> },
    /// The same as a file, at `target` or in a temporary directory. Answer: its path.
    Download { path: String, target: Option<String>, render: Option<Map<String, Value>> },
    /// All resources below a directory. Answer: the path of the directory they are in.
    DownloadDirectory { path: String, target: Option<String> },
    /// Stores a local file among the deployment's resources.
    UploadDeploymentFile { target: String, source: String },
    /// Deletes a file of the deployment's resources.
    DeleteDeploymentFile { path: String },
    /// Where the plugin is installed. Answer: a path, or null.
    PluginPrefix,
    /// A directory for the plugin's own files in this deployment, which exists. Answer: a path.
    PluginWorkdir,
}

/// New runtime properties of a node instance, as the REST API takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    pub instance: String,
    /// The version that was read. A newer one in the store is a conflict.
    pub version: i64,
    /// All of them.
    pub runtime_properties: Map<String, Value>,
    /// The state that was read.
    pub state: Option<String>,
}

/// The answer to a [`Call`].
pub type Answer = Result<Value, Refusal>;

/// Why a call was not answered: becomes the script's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The name of Python's exception: `CloudifyClientError`, `HttpException`, `OSError`.
    pub kind: String,
    pub message: String,
}

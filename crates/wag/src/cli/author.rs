//! `wag plugins test`.

use camino::Utf8PathBuf;
use clap::Args;

/// One run of an operation, and what it sees.
#[derive(Args, Debug)]
pub struct Test {
    /// The plugin's source directory, with setup.py or pyproject.toml
    pub directory: Utf8PathBuf,

    /// What to run: a function, package.module.function; a script, by its path in the directory or
    /// in --resources; with --node-type also the name of one of the type's operations
    #[arg(long, value_name = "FUNCTION")]
    pub operation: String,

    /// The operation's inputs: a YAML file, or a value that is read as YAML; may be repeated, what
    /// comes later wins
    #[arg(short, long, visible_alias = "input", value_name = "FILE|NAME=VALUE")]
    pub inputs: Vec<String>,

    /// The node's properties, given like inputs
    #[arg(short, long, visible_alias = "property", value_name = "FILE|NAME=VALUE")]
    pub properties: Vec<String>,

    /// The runtime properties that the node instance has at first, given like inputs
    #[arg(short, long, visible_alias = "runtime-property", value_name = "FILE|NAME=VALUE")]
    pub runtime_properties: Vec<String>,

    /// The node's type, from the plugin.yaml files of the directory or built in; with it the
    /// properties are checked and filled in as for a deployment
    #[arg(long, value_name = "TYPE")]
    pub node_type: Option<String>,

    /// Where the runtime properties are kept from one run to the next
    #[arg(long, value_name = "FILE")]
    pub state: Option<Utf8PathBuf>,

    /// Run an operation of a relationship, from the node to one with these properties, given like
    /// inputs
    #[arg(long, value_name = "FILE|NAME=VALUE")]
    pub target_properties: Vec<String>,

    /// The same with these runtime properties
    #[arg(long, value_name = "FILE|NAME=VALUE")]
    pub target_runtime_properties: Vec<String>,

    /// Secrets, given like inputs
    #[arg(long, visible_alias = "secret", value_name = "FILE|NAME=VALUE")]
    pub secrets: Vec<String>,

    /// The directory in which `ctx.get_resource` and its like look, as in a blueprint's
    #[arg(long, value_name = "DIR")]
    pub resources: Option<Utf8PathBuf>,

    /// What `ctx.operation.name` is [default: cloudify.interfaces.lifecycle and the function's name]
    #[arg(long, value_name = "NAME")]
    pub operation_name: Option<String>,

    /// How long the operation may run, in seconds [default: without end]
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,

    /// How often it is run again when it asks for it, or fails with what may pass
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub retries: u32,

    /// Use nothing that an earlier run has built, and keep nothing
    #[arg(long)]
    pub fresh: bool,
}

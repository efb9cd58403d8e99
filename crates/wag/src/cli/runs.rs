//! Deployments, executions, events and node instances.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};

/// Inputs of a deployment.
#[derive(Args, Debug, Default)]
pub struct Values {
    /// An input; the value is read as YAML. May be repeated
    #[arg(short, long = "input", value_name = "NAME=VALUE")]
    pub input: Vec<String>,

    /// A YAML file of inputs; may be repeated. Later files win, `--input` wins over files
    #[arg(long, value_name = "FILE")]
    pub inputs: Vec<Utf8PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Deployments {
    /// Create a deployment of a blueprint
    Create {
        /// The deployment's id
        deployment: String,

        /// The blueprint's id
        #[arg(short, long, visible_alias = "blueprint", value_name = "ID")]
        blueprint_id: String,

        #[command(flatten)]
        inputs: Values,
    },
    /// List deployments
    List {
        /// Only deployments of this blueprint
        #[arg(short, long, visible_alias = "blueprint", value_name = "ID")]
        blueprint_id: Option<String>,
    },
    /// Show a deployment
    Get {
        /// The deployment's id
        deployment: String,
    },
    /// Delete a deployment
    Delete {
        /// The deployment's id
        deployment: String,

        /// Delete it although node instances live
        #[arg(short, long)]
        force: bool,
    },
    /// Show a deployment's outputs and capabilities
    Outputs {
        /// The deployment's id
        deployment: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Executions {
    /// Start a workflow, and follow it to its end
    Start {
        /// The workflow
        workflow: String,

        /// The deployment's id
        #[arg(short, long, visible_alias = "deployment", value_name = "ID")]
        deployment_id: String,

        /// A parameter; the value is read as YAML. May be repeated
        #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
        parameter: Vec<String>,

        /// A YAML file of parameters; may be repeated. `--parameter` wins over files
        #[arg(long, value_name = "FILE")]
        parameters: Vec<Utf8PathBuf>,

        /// Let parameters through that the workflow does not declare
        #[arg(long)]
        allow_custom_parameters: bool,

        /// Do not follow: return at once
        #[arg(long)]
        detach: bool,

        /// Show log lines too
        #[arg(long, conflicts_with = "detach")]
        logs: bool,
    },
    /// List executions, newest first
    List {
        /// Only executions of this deployment
        #[arg(short, long, visible_alias = "deployment", value_name = "ID")]
        deployment_id: Option<String>,
    },
    /// Show an execution
    Get {
        /// The execution's id
        execution: String,
    },
    /// Ask an execution to end: running operations end, no new ones start
    Cancel {
        /// The execution's id
        execution: String,

        /// End the workflow at once; running operations end by themselves
        #[arg(short, long)]
        force: bool,

        /// Kill running operations
        #[arg(short, long, conflicts_with = "force")]
        kill: bool,
    },
}

/// Lists events and log lines, oldest first.
#[derive(Args, Debug)]
pub struct Events {
    /// Only those of this execution
    pub execution: Option<String>,

    /// Go on printing what comes, until the execution ends
    #[arg(short, long)]
    pub follow: bool,

    /// Only those of this deployment
    #[arg(short, long, visible_alias = "deployment", value_name = "ID")]
    pub deployment_id: Option<String>,

    /// Only those of this node instance
    #[arg(long, value_name = "ID")]
    pub node_instance: Option<String>,

    /// Leave out log lines
    #[arg(long)]
    pub no_logs: bool,

    /// The lowest level of log lines
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub min_level: Option<Level>,
}

/// The levels of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

#[derive(Debug, Subcommand)]
pub enum NodeInstances {
    /// List node instances
    List {
        /// Only those of this deployment
        #[arg(short, long, visible_alias = "deployment", value_name = "ID")]
        deployment_id: Option<String>,

        /// Only those of this node
        #[arg(long, value_name = "ID")]
        node: Option<String>,
    },
    /// Show a node instance
    Get {
        /// The node instance's id
        node_instance: String,
    },
}

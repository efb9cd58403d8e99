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
    /// Bring a deployment to another blueprint or other inputs, and follow it to its end
    ///
    /// What goes is uninstalled, what has changed is updated where it is, what cannot be updated is
    /// reinstalled, and what comes is installed.
    Update(Update),
    /// Show a deployment's outputs and capabilities
    Outputs {
        /// The deployment's id
        deployment: String,
    },
}

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Args, Debug)]
pub struct Update {
    /// The deployment's id
    pub deployment: String,

    /// The blueprint it is to be of [default: the one it is of]
    #[arg(short, long, visible_alias = "blueprint", value_name = "ID")]
    pub blueprint_id: Option<String>,

    #[command(flatten)]
    pub inputs: Values,

    /// A node instance that is reinstalled in any case; may be repeated
    #[arg(short = 'r', long = "reinstall-node-instance", value_name = "ID")]
    pub reinstall: Vec<String>,

    /// Leave what comes uninstalled
    #[arg(long)]
    pub skip_install: bool,

    /// Do not uninstall what goes
    #[arg(long)]
    pub skip_uninstall: bool,

    /// Leave what cannot be updated as it is
    #[arg(long)]
    pub skip_reinstall: bool,

    /// Do not ask what has drifted
    #[arg(long)]
    pub skip_drift_check: bool,

    /// Pass over failures of uninstalling
    #[arg(long)]
    pub ignore_failure: bool,

    /// Install what comes before what goes is uninstalled
    #[arg(long)]
    pub install_first: bool,

    /// Only tell what would change
    #[arg(long, conflicts_with_all = ["detach", "logs"])]
    pub preview: bool,

    /// Do it although it does not fit the deployment's state
    #[arg(short, long)]
    pub force: bool,

    /// Do not follow: return at once
    #[arg(long)]
    pub detach: bool,

    /// Show log lines too
    #[arg(long, conflicts_with = "detach")]
    pub logs: bool,
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

        /// Only tell what would be done
        #[arg(long)]
        dry_run: bool,

        /// Wait until no other execution changes the deployment
        #[arg(long, conflicts_with = "schedule")]
        queue: bool,

        /// Begin at this time, and do not follow: `2026-11-22T18:00:00Z`, with an offset such as
        /// `+02:00`, or without one for the time of this host
        #[arg(long, value_name = "TIME")]
        schedule: Option<String>,

        /// Who has more comes first in a queue and where operations wait for a place
        #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_name = "NUMBER")]
        priority: i32,

        /// Start it although it does not fit the deployment's state
        #[arg(short, long)]
        force: bool,

        /// Do not follow: return at once
        #[arg(long)]
        detach: bool,

        /// Show log lines too
        #[arg(long, conflicts_with = "detach")]
        logs: bool,
    },
    /// Let an execution that failed or was cancelled go on, and follow it to its end
    ///
    /// What had succeeded is not run again; what failed or was not sent any more is.
    Resume {
        /// The execution's id
        execution: String,

        /// Run operations again too that were out when it ended, instead of waiting for them
        #[arg(short, long)]
        force: bool,

        /// Do not follow: return at once
        #[arg(long)]
        detach: bool,

        /// Show log lines too
        #[arg(long, conflicts_with = "detach")]
        logs: bool,
    },
    /// Say why an execution has not ended: what waits for what, where, and since when
    Explain {
        /// The execution's id
        execution: String,

        /// How many operations to tell of at the most
        #[arg(long, default_value_t = 50, value_name = "NUMBER")]
        most: u32,
    },
    /// Draw the task graph of an execution with the states of its operations
    ///
    /// Text on a terminal, SVG anywhere else: `wag executions graph ID > graph.svg`.
    Graph {
        /// The execution's id
        execution: String,

        /// Text, even where the output is no terminal
        #[arg(long)]
        text: bool,
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

//! What may be typed: arguments and their help, nothing else.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};

mod admin;
mod author;
mod blueprints;
mod catalog;
mod journey;
mod runs;

pub(crate) use self::{
    admin::{Agents, JoinTokens, Role, Secrets, Tenants, Tokens},
    author::Test,
    blueprints::{Blueprints, Local},
    catalog::{OnAgents, Pack, Plugins, WagonFiles},
    journey::{Down, Up},
    runs::{Deployments, Events, Executions, Level, NodeInstances, Update, Values},
};

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    what was asked for failed: an execution that failed, a file that is not there
  2    the command line is wrong
  3    refused: by the manager, or by the same check made here
  4    not found
  69   no manager can be reached
  70   a bug
  75   an operation that was tested is to be run again: its failure is recoverable, or it asks for it
  130  interrupted";

/// Installs blueprints with Waggoner: plugins, deployments, executions, agents.
///
/// `wag up BLUEPRINT` is the way in: it starts a manager and an agent on this host when none run,
/// installs the blueprint and says what to do next.
#[derive(Debug, Parser)]
#[command(name = "wag", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// The profile that says where the manager is and who asks [env: `WAGGONER_PROFILE`]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub profile: Option<Utf8PathBuf>,

    /// The data directory of the manager on this host, whose profile is used
    /// [env: `WAGGONER_DATA_DIR`] [default: `$XDG_DATA_HOME/waggoner` or `~/.local/share/waggoner`]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub data_dir: Option<Utf8PathBuf>,

    /// The tenant [default: the profile's]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub tenant: Option<String>,

    /// How to print what was asked for
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Global options"
    )]
    pub output: Format,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// A picture, where there is one: `blueprints graph`
    Svg,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install a blueprint, starting a manager and an agent on this host if none run
    ///
    /// Uploads the plugins that the blueprint imports and that lie beside it in `plugins/` (wagons,
    /// or sources that are packed first), uploads the blueprint, creates a deployment and installs
    /// it, showing what happens node by node. Then prints the outputs.
    ///
    /// Repeated, it goes on where it ended; on an installed deployment it prints the outputs.
    /// With --profile it uses that manager and starts nothing.
    Up(Up),
    /// Take back what `wag up` did
    ///
    /// Uninstalls the deployment and deletes it, and its blueprint unless others use it. When it
    /// was the last one that `wag up` made, stops the agent and the manager as well.
    Down(Down),
    /// Plugins: wagons with their plugin.yaml files
    #[command(subcommand)]
    Plugins(Plugins),
    /// Blueprints: what there is to be deployed
    #[command(subcommand)]
    Blueprints(Blueprints),
    /// Deployments: blueprints with inputs
    #[command(subcommand)]
    Deployments(Deployments),
    /// Executions: runs of a workflow on a deployment
    #[command(subcommand)]
    Executions(Executions),
    /// Events and log lines of executions
    Events(Events),
    /// Node instances: what the nodes of deployments have become
    #[command(subcommand)]
    NodeInstances(NodeInstances),
    /// Agents: the hosts that run operations
    #[command(subcommand)]
    Agents(Agents),
    /// Tenants: what belongs to one is invisible to the others
    #[command(subcommand)]
    Tenants(Tenants),
    /// Secrets, for `get_secret` and for plugins
    #[command(subcommand)]
    Secrets(Secrets),
    /// API tokens: how people's tools prove who they are
    #[command(subcommand)]
    Tokens(Tokens),
    /// The manager's version and condition
    Status,
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Run a program in a session of its own
    #[command(name = "__detach", hide = true)]
    Detach {
        /// The program and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

/// The shells that there is completion for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

//! Plugins.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::Test;

#[derive(Debug, Subcommand)]
pub enum Plugins {
    /// Upload a wagon with its plugin.yaml files
    Upload {
        #[command(flatten)]
        files: WagonFiles,

        /// A title for people [default: the package's name]
        #[arg(long)]
        title: Option<String>,
    },
    /// List plugins
    List {
        /// Only plugins of this package
        #[arg(long, value_name = "NAME")]
        package: Option<String>,
    },
    /// Show a plugin
    Get {
        /// The plugin's id
        plugin: String,
    },
    /// Delete a plugin
    Delete {
        /// The plugin's id
        plugin: String,

        /// Delete it although blueprints use it
        #[arg(short, long)]
        force: bool,
    },
    /// Download a plugin's wagon
    Download {
        /// The plugin's id
        plugin: String,

        /// Where to write it [default: the wagon's own name, here]
        #[arg(long, value_name = "FILE")]
        to: Option<Utf8PathBuf>,
    },
    /// Install a plugin on agents before an operation needs it, and wait until it is
    ///
    /// An agent without a link installs it when it has one; that is not waited for.
    Install(OnAgents),
    /// Remove a plugin from agents, where no operation uses it
    ///
    /// The next operation of it installs it again.
    Uninstall(OnAgents),
    /// Check a wagon and its plugin.yaml files as an upload would
    Validate {
        #[command(flatten)]
        files: WagonFiles,
    },
    /// Build the wagon of a plugin, from its sources or from the package index
    ///
    /// The plugin.yaml files of the sources are checked, also against the wagon and its modules, and
    /// put beside it where an upload finds them; the least one is made for a plugin without. Virtual environments,
    /// version control and what earlier builds have left are passed over.
    Pack(Pack),
    /// Run one operation of a plugin's sources here, without a manager
    ///
    /// Starts an agent of its own with an environment for the plugin, and shows the operation's log,
    /// its result and the runtime properties. What is changed in the sources counts at once; what
    /// the plugin needs is installed anew when setup.py, setup.cfg or pyproject.toml change.
    /// Nothing runs any more when it ends.
    Test(Box<Test>),
}

/// A plugin and agents.
#[derive(Args, Debug)]
pub struct OnAgents {
    /// The plugin's id, or the name of its package: then the best wagon for each agent's host
    pub plugin: String,

    /// The version of the package [default: the highest]
    #[arg(long)]
    pub version: Option<String>,

    /// An agent's name; may be repeated
    #[arg(long = "agent", value_name = "AGENT", required = true)]
    pub agents: Vec<String>,
}

/// A wagon and what belongs to it.
#[derive(Args, Debug)]
pub struct WagonFiles {
    /// The wagon: a .wgn file
    pub wagon: Utf8PathBuf,

    /// A plugin.yaml file; may be repeated [default: those that lie beside the wagon]
    #[arg(short = 'y', long = "yaml", value_name = "FILE")]
    pub yamls: Vec<Utf8PathBuf>,
}

/// Builds a wagon with pip.
#[derive(Args, Debug)]
pub struct Pack {
    /// The directory with setup.py or pyproject.toml, or a requirement for the package index:
    /// cloudify-aws-plugin==3.1.7
    pub source: String,

    /// A further requirement whose wheels go into the wagon; may be repeated
    #[arg(long, value_name = "REQUIREMENT")]
    pub with: Vec<String>,

    /// The directory to write the wagon to [default: here]
    #[arg(long, value_name = "DIR")]
    pub to: Option<Utf8PathBuf>,
}

//! Blueprints.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::Values;

#[derive(Debug, Subcommand)]
pub enum Blueprints {
    /// Upload a blueprint with its directory
    Upload {
        /// The blueprint's file, or its directory if the file is named blueprint.yaml
        blueprint: Utf8PathBuf,

        /// The blueprint's id [default: the name of its directory]
        #[arg(short, long, visible_alias = "id", value_name = "ID")]
        blueprint_id: Option<String>,
    },
    /// List blueprints
    List,
    /// Show a blueprint with its plan
    Get {
        /// The blueprint's id
        blueprint: String,
    },
    /// Delete a blueprint
    Delete {
        /// The blueprint's id
        blueprint: String,
    },
    /// Check a blueprint as an upload would, or here if no manager can be reached
    ///
    /// With --plugin-yaml or --offline it is checked here only. Every fault is told with its
    /// place, the lines around it and, where one is near, the name that was meant.
    Validate {
        #[command(flatten)]
        local: Local,
    },
    /// Print the plan that a blueprint makes, without uploading it
    ///
    /// Without inputs that is the blueprint's plan: names filled in, types merged. With inputs,
    /// or --deployment, it is that of a deployment: functions evaluated, node instances made.
    /// Secrets are taken to be there.
    Plan {
        #[command(flatten)]
        local: Local,

        #[command(flatten)]
        inputs: Values,

        /// The plan of a deployment, even without inputs
        #[arg(long)]
        deployment: bool,
    },
    /// Draw the nodes of a blueprint and their relationships
    ///
    /// Text on a terminal, SVG anywhere else: `wag blueprints graph FILE > graph.svg`.
    Graph {
        #[command(flatten)]
        local: Local,

        /// Text, even where the output is no terminal
        #[arg(long)]
        text: bool,
    },
}

/// A blueprint that is read here.
#[derive(Args, Debug)]
pub struct Local {
    /// The blueprint's file, or its directory if the file is named blueprint.yaml
    pub blueprint: Utf8PathBuf,

    /// A plugin.yaml file for `plugin:` imports; may be repeated. Plugins that are in none are
    /// looked for in `plugins/` beside the blueprint, then on the manager
    #[arg(short = 'y', long = "plugin-yaml", value_name = "FILE")]
    pub plugin_yamls: Vec<Utf8PathBuf>,

    /// Ask no manager
    #[arg(long)]
    pub offline: bool,
}

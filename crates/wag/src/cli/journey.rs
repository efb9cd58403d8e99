//! `wag up` and `wag down`.

use std::net::SocketAddr;

use camino::Utf8PathBuf;
use clap::Args;

use super::Values;

#[derive(Args, Debug)]
pub struct Up {
    /// The blueprint's file, or its directory if the file is named blueprint.yaml
    pub blueprint: Utf8PathBuf,

    #[command(flatten)]
    pub inputs: Values,

    /// The blueprint's id [default: the name of its directory]
    #[arg(short, long, visible_alias = "blueprint", value_name = "ID")]
    pub blueprint_id: Option<String>,

    /// The deployment's id [default: the blueprint's id]
    #[arg(short, long, visible_alias = "deployment", value_name = "ID")]
    pub deployment_id: Option<String>,

    /// Where a manager that is started listens [default: the port it had before, or a free one]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// Show log lines too
    #[arg(long)]
    pub logs: bool,
}

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Down {
    /// The deployment [default: the only one that `wag up` made]
    pub deployment: Option<String>,

    /// Take back every deployment that `wag up` made, and stop the agent and the manager
    #[arg(long, conflicts_with = "deployment")]
    pub all: bool,

    /// Remove the data directory as well; implies `--all`
    #[arg(long, conflicts_with = "deployment")]
    pub purge: bool,

    /// Go on when uninstalling fails: what the deployment has made elsewhere may be left behind
    #[arg(long)]
    pub force: bool,

    /// Show log lines too
    #[arg(long)]
    pub logs: bool,
}

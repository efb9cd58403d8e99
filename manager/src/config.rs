//! The manager's settings.

use std::net::SocketAddr;

use camino::Utf8PathBuf;

use crate::catalog::imports::Site;

/// Keeps plugins, blueprints and deployments, and turns workflows into operations on agents.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "waggoner-manager", version)]
pub struct Config {
    /// Where everything is kept: the database, artifacts, the CA, the profile for `wag`.
    #[arg(long, env = "WAGGONER_DATA_DIR")]
    pub data_dir: Utf8PathBuf,

    /// Where agents, people's tools and browsers reach the manager; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7600")]
    pub listen: SocketAddr,

    /// A further name or address that the manager is reached by, for its certificate. The first one
    /// is where agents that a plugin brings onto a new host look for it.
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,

    /// How many seconds agents and clients get to finish when the manager stops.
    #[arg(long, default_value_t = 10)]
    pub stop_grace_secs: u64,

    /// How many seconds pass between two signs of life of an agent.
    #[arg(long, default_value_t = 5)]
    pub heartbeat_secs: u64,

    /// How often a failed operation is tried again; -1 for ever. Blueprints may say otherwise.
    #[arg(long, default_value_t = 60, allow_negative_numbers = true)]
    pub task_retries: i64,

    /// How many seconds pass before a failed operation is tried again. Blueprints may say otherwise.
    #[arg(long, default_value_t = 15)]
    pub task_retry_interval_secs: u32,

    /// How many operations may run at a time, of all executions together.
    #[arg(long, default_value_t = 1000)]
    pub operations: usize,

    /// How many operations of one deployment may run at a time.
    #[arg(long, default_value_t = 256)]
    pub operations_per_deployment: usize,

    /// How often the whole life of a node instance is tried again; -1 for ever.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub subgraph_retries: i64,

    /// How many seconds after the first failure operations that do not depend on it still start.
    #[arg(long, default_value_t = 600)]
    pub wait_after_fail_secs: u32,

    /// What the interval between two tries of an operation is multiplied with after each.
    #[arg(long, default_value_t = 1.0)]
    pub retry_backoff: f64,

    /// By which part of itself an interval is at most longer or shorter, from 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    pub retry_jitter: f64,

    /// A variable that central operations get in their environment, such as a proxy's address.
    /// Operations of a host get those of `agent_config.env` of its node.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub execution_env: Vec<(String, String)>,

    /// A place on the network, as `https://example.org/specs/`, from which blueprints may import.
    /// Without any they import from nowhere but themselves, the plugins and the blueprints.
    #[arg(long = "import-site", value_name = "URL")]
    pub(crate) import_sites: Vec<Site>,

    /// How many days events and log lines are kept. Without it they are kept for ever.
    #[arg(long, value_name = "DAYS")]
    pub events_days: Option<u32>,

    /// How large the database may become, in MiB, before its oldest events and log lines are let
    /// go. Without it they are kept for ever.
    #[arg(long, value_name = "MIB")]
    pub events_mib: Option<u64>,

    /// How the log is written to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is not of the form NAME=VALUE".to_owned()),
    }
}

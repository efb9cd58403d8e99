//! What the agent is told on its command line.

use std::{net::SocketAddr, time::Duration};

use camino::Utf8PathBuf;
use waggoner_types::AgentName;

/// Runs a manager's operations on this host.
///
/// It exits with 0 when told to stop, with 78 when its configuration or its join token is at fault
/// (starting again changes nothing), with 69 when the host or the manager is (starting again may
/// help), and with 70 for a bug.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "waggoner-agent", version)]
pub struct Config {
    /// The agent's own directory: its identity, artifacts and environments. Made if missing.
    #[arg(long, value_name = "DIR", env = "WAGGONER_AGENT_STATE_DIR")]
    pub state_dir: Utf8PathBuf,

    /// A directory in memory for what may be gone with the host's next start, and must not be
    /// sooner. Made if missing; the state directory serves as well.
    #[arg(long, value_name = "DIR", env = "WAGGONER_AGENT_RUNTIME_DIR")]
    pub runtime_dir: Option<Utf8PathBuf>,

    /// The manager to dial.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "listen")]
    pub manager: Option<String>,

    /// Where to wait for a manager that dials, instead of dialling it.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "manager")]
    pub listen: Option<SocketAddr>,

    /// The file with the join token, needed at the first start only.
    #[arg(long, value_name = "FILE")]
    pub join: Option<Utf8PathBuf>,

    /// The name to join with, where the join token leaves it to the agent.
    #[arg(long)]
    pub name: Option<AgentName>,

    /// How many operations may run at once; further ones wait.
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub slots: u32,

    /// How long the environments of plugins that no operation uses are kept, in days.
    #[arg(long, value_name = "DAYS", default_value_t = 14)]
    pub keep_unused: u32,

    /// How long running operations may go on after the order to stop, in seconds, before they are
    /// cancelled. Without it they go on, and the next daemon takes them up again.
    #[arg(long, value_name = "SECONDS")]
    pub stop_grace: Option<u64>,
}

// === impl Config ===

impl Config {
    pub(crate) fn keep_unused(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.keep_unused))
    }

    pub(crate) fn stop_grace(&self) -> Option<Duration> {
        self.stop_grace.map(Duration::from_secs)
    }
}

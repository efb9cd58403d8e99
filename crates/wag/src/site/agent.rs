//! The agent of a data directory: found, or started.

use std::{
    io::{self, Write as _},
    process::Stdio,
    time::Duration,
};

use camino::Utf8Path;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use jiff::SignedDuration;
use tokio::time::{Instant, sleep};
use waggoner_proto::v1::{Agent, AgentRole};

use super::{Site, SiteError, daemon::Daemon};
use crate::{Ui, cli::Role, client::Manager, commands::agents};

/// The name of the agent on the manager's host.
const NAME: &str = "local";

/// How long an agent may take to be connected: on its first start it joins.
const CONNECTED: Duration = Duration::from_mins(1);

/// How long an agent that runs may take to find its manager again.
const RECONNECTED: Duration = Duration::from_secs(35);

/// How often the manager is asked.
const POLL: Duration = Duration::from_millis(200);

impl Site {
    /// Sees to it that the tenant has a central agent that is connected, starting one if need be.
    pub(crate) async fn agent(&self, ui: &mut Ui, manager: &Manager) -> Result<(), SiteError> {
        let tenant = manager.tenant().parse().map_err(SiteError::Tenant)?;
        let daemon = Daemon::agent(self, &tenant);
        let agents = agents::list(manager).await.map_err(SiteError::Client)?;
        if agents.iter().any(is_central) {
            return Ok(());
        }
        let state = self.dir().join(&daemon.name);
        if agents.iter().all(|agent| agent.name != NAME) && state.is_dir() {
            // It was removed: what it was known by is refused from now on.
            daemon.stop().await?;
            fs_err::remove_dir_all(&state).map_err(|source| self.unprepared(source))?;
        } else if daemon.process().is_some() {
            if connected(manager, &daemon, RECONNECTED).await? {
                return Ok(());
            }
            // It looks for its manager elsewhere.
            daemon.stop().await?;
        }

        let token = daemon.file("token");
        let ttl = SignedDuration::from_mins(15);
        let join = agents::join_token(manager, Some(NAME.to_owned()), Role::Central, ttl).await;
        let join = join.map_err(SiteError::Client)?;
        write_secret(&token, &join.token).map_err(|source| self.unprepared(source))?;

        let mut arguments = vec!["--state-dir", state.as_str(), "--manager", manager.address()];
        // What is taken down leaves nothing behind.
        arguments.extend(["--stop-grace", "10"]);
        arguments.extend(["--join", token.as_str()]);
        let (out, _) = daemon.log().map_err(|source| self.unprepared(source))?;
        let started = daemon.start(&arguments, Stdio::from(out))?;
        let connected = connected(manager, &daemon, CONNECTED).await;
        fs_err::remove_file(&token).ok();
        if connected? {
            ui.step("Started", format!("the agent `{NAME}`"));
            return Ok(());
        }
        match daemon.process() {
            Some(_) => Err(daemon.late(&started, CONNECTED)),
            None => Err(daemon.ended(&started)),
        }
    }
}

/// Waits until an agent is connected; gives up after `patience` or when the process ends.
async fn connected(
    manager: &Manager,
    daemon: &Daemon,
    patience: Duration,
) -> Result<bool, SiteError> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline && daemon.process().is_some() {
        let agents = agents::list(manager).await.map_err(SiteError::Client)?;
        if agents.iter().any(is_central) {
            return Ok(true);
        }
        sleep(POLL).await;
    }
    Ok(false)
}

/// Whether it is connected and runs the tenant's central operations.
fn is_central(agent: &Agent) -> bool {
    agent.connected && agent.role() == AgentRole::Central
}

/// Writes what only its owner may read.
pub(super) fn write_secret(path: &Utf8Path, secret: &str) -> io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(secret.as_bytes())
}

//! An agent without a manager's process: for `wag plugins test`, which plays the manager itself.

use std::{io, net::SocketAddr, process::Stdio};

use secrecy::{ExposeSecret as _, SecretString};
use waggoner_types::TenantName;

use super::{
    Site, SiteError,
    agent::write_secret,
    daemon::{Daemon, Started},
};

/// What stays in the agent's directory from one run to the next.
const KEPT: &str = "python";

/// An agent that was started for one thing.
#[derive(Debug)]
pub(crate) struct LoneAgent {
    daemon: Daemon,
    started: Started,
}

impl Site {
    /// Starts an agent in `agent/` that dials `address` and joins with `token`. Of an earlier one
    /// there nothing is left but its environments.
    pub(crate) async fn lone_agent(
        &self,
        tenant: &TenantName,
        address: SocketAddr,
        token: &SecretString,
    ) -> Result<LoneAgent, SiteError> {
        let daemon = Daemon::agent(self, tenant);
        // One whose `wag` was killed may run still.
        daemon.stop().await?;
        self.clear(&daemon).map_err(|source| self.unprepared(source))?;
        let (state, address) = (self.dir().join(&daemon.name), address.to_string());
        let join = daemon.file("token");
        write_secret(&join, token.expose_secret()).map_err(|source| self.unprepared(source))?;
        let place = ["--state-dir", state.as_str(), "--manager", &address, "--join", join.as_str()];
        // With a grace it waits for the end of what runs, and leaves no supervisor behind.
        let arguments = [&place[..], &["--stop-grace", "0"]].concat();
        let (out, _) = daemon.log().map_err(|source| self.unprepared(source))?;
        let started = daemon.start(&arguments, Stdio::from(out))?;
        Ok(LoneAgent { daemon, started })
    }

    fn clear(&self, daemon: &Daemon) -> io::Result<()> {
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        gone(fs_err::remove_file(daemon.file("log")))?;
        let state = self.dir().join(&daemon.name);
        fs_err::create_dir_all(&state)?;
        for entry in state.read_dir_utf8()? {
            let entry = entry?;
            match (entry.file_name(), entry.file_type()?.is_dir()) {
                (KEPT, _) => {}
                (_, true) => gone(fs_err::remove_dir_all(entry.path()))?,
                (_, false) => gone(fs_err::remove_file(entry.path()))?,
            }
        }
        Ok(())
    }

    /// Removes the environments of the agent in `agent/`.
    pub(crate) fn forget_environments(&self, tenant: &TenantName) -> Result<(), SiteError> {
        let kept = self.dir().join(Daemon::agent(self, tenant).name).join(KEPT);
        match fs_err::remove_dir_all(kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.unprepared(error)),
            _ => Ok(()),
        }
    }
}

// === impl LoneAgent ===

impl LoneAgent {
    /// Waits until it ends by itself, and says so. Cancel safe.
    pub(crate) async fn ended(&mut self) -> SiteError {
        drop(self.started.child.wait().await);
        self.daemon.ended(&self.started)
    }

    /// Stops it, with the operation that it may run and with its supervisor, and clears away what
    /// it leaves but for the environments.
    pub(crate) async fn stop(self, site: &Site) -> Result<(), SiteError> {
        let Self { daemon, started } = self;
        let stopped = daemon.stop().await;
        drop(started);
        drop(fs_err::remove_file(daemon.file("token")));
        stopped?;
        site.clear(&daemon).map_err(|source| site.unprepared(source))
    }
}

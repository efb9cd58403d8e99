//! The manager and the agent that `wag up` starts on this host, and what it keeps about them.
//!
//! ```text
//!  DIR/profile.json                the manager's
//!  DIR/wag.json                    what `wag up` made, and whether DIR itself
//!  DIR/{manager,agent}.{pid,log}   the processes
//!  DIR/agent/                      the agent's state; agent-TENANT for another tenant
//!  DIR/cache/                      wagons of plugin sources
//! ```

use std::{fs::File, io, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use tokio::time::{Instant, sleep};

use crate::{client::ClientError, error::Exit, profile::ProfileError};

mod agent;
mod alone;
mod binary;
mod daemon;
mod detach;
mod made;
mod manager;
mod process;

use self::daemon::Daemon;
pub(crate) use self::{
    alone::LoneAgent,
    detach::detach,
    made::{Deployed, Made},
};

/// How long another `wag` may take to start what we would start.
const TURN: Duration = Duration::from_secs(90);

/// A data directory.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    dir: Utf8PathBuf,
}

/// Why the processes of a data directory are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("failed to prepare the data directory `{dir}`")]
    Prepare {
        dir: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Tenant(waggoner_types::names::InvalidName),
    #[error("failed to get a turn: another `wag` is at work in `{0}`")]
    Busy(Utf8PathBuf),
    #[error("failed to find the program `{0}`")]
    Binary(String),
    #[error("failed to start `{program}`")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("failed to start `{program}`: it ended before it was ready")]
    Ended { program: String, log: Utf8PathBuf, tail: Vec<String> },
    #[error("failed to start `{program}`: it was not ready within {after:?}")]
    Late { program: String, after: Duration, log: Utf8PathBuf, tail: Vec<String> },
    #[error(transparent)]
    Profile(ProfileError),
    #[error(transparent)]
    Client(ClientError),
    #[error("failed to stop `{program}`")]
    Stop {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("failed to read `{path}`")]
    Made {
        path: Utf8PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("failed to remove the data directory `{0}`: `wag up` did not make it")]
    Foreign(Utf8PathBuf),
}

// === impl Site ===

impl Site {
    /// Takes a data directory; a relative one is meant from here, wherever the daemons work.
    pub(crate) fn new(dir: Utf8PathBuf) -> Self {
        let absolute = std::path::absolute(&dir).ok();
        let absolute = absolute.and_then(|path| Utf8PathBuf::try_from(path).ok());
        Self { dir: absolute.unwrap_or(dir) }
    }

    pub(crate) fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// Makes the data directory, readable to its owner only, and marks it as ours if it was empty.
    pub(crate) fn prepare(&self) -> Result<(), SiteError> {
        let made = || {
            fs_err::create_dir_all(&self.dir)?;
            if self.dir.read_dir_utf8()?.next().is_none() {
                let owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
                fs_err::set_permissions(&self.dir, owner)?;
                Made { owns_directory: true, ..Made::default() }.write(self)?;
            }
            Ok(())
        };
        made().map_err(|source| self.unprepared(source))
    }

    /// Waits until no other `wag` starts or stops processes here; until the guard is dropped none
    /// does.
    pub(crate) async fn turn(&self) -> Result<File, SiteError> {
        let path = self.dir.join("wag.lock");
        let mut options = fs_err::OpenOptions::new();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(|source| self.unprepared(source))?;
        let file = file.into_parts().0;
        let deadline = Instant::now() + TURN;
        while file.try_lock().is_err() {
            if deadline < Instant::now() {
                return Err(SiteError::Busy(self.dir.clone()));
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(file)
    }

    /// Stops the agents and the manager that were started here, and returns which.
    pub(crate) async fn stop(&self) -> Result<Vec<String>, SiteError> {
        let mut stopped = Vec::new();
        for daemon in Daemon::all(self).map_err(|source| self.unprepared(source))? {
            if daemon.stop().await? {
                stopped.push(daemon.name);
            }
        }
        Ok(stopped)
    }

    /// Removes the data directory, if `wag up` made it.
    pub(crate) fn purge(&self) -> Result<(), SiteError> {
        if !Made::read(self)?.owns_directory {
            return Err(SiteError::Foreign(self.dir.clone()));
        }
        fs_err::remove_dir_all(&self.dir).map_err(|source| self.unprepared(source))
    }

    fn unprepared(&self, source: io::Error) -> SiteError {
        SiteError::Prepare { dir: self.dir.clone(), source }
    }
}

// === impl SiteError ===

impl SiteError {
    /// What the command ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(source) => source.exit(),
            Self::Profile(source) => source.exit(),
            _ => Exit::Failed,
        }
    }

    /// The end of the log of what did not start.
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::Ended { tail, .. } | Self::Late { tail, .. } => tail.clone(),
            Self::Client(source) => source.details(),
            _ => Vec::new(),
        }
    }

    /// What the reader can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Binary(_) => {
                Some("it is looked for in WAGGONER_BIN_DIR, beside `wag` and in PATH".to_owned())
            }
            Self::Ended { log, .. } | Self::Late { log, .. } => {
                Some(format!("the whole log is `{log}`"))
            }
            Self::Client(source) => source.hint().map(str::to_owned),
            Self::Profile(source) => source.hint().map(str::to_owned),
            Self::Foreign(_) => Some("stop what runs there and remove it yourself".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;

//! Where an environment is built: nobody else builds there, and what was started for it ends
//! before somebody else may.
//!
//! ```text
//!  take ── lock, end what a daemon that was killed has left ─▶ run, run, … ─▶ leave
//!                                                               │
//!                          given up, overdue, ended ─▶ the tool's whole family ends with it
//! ```

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use camino::Utf8PathBuf;
use fs_err as fs;
use tokio::time::timeout;
use tracing::warn;
use uuid::Uuid;
use waggoner_process::{Exit, Output, Source, Spawn};
use waggoner_task::CancellationToken;

use super::{Installed, lock::Lock, record};
use crate::{
    ToolFailure,
    tool::{Tool, words},
};

/// The directory of one environment, for as long as it is built.
pub(super) struct Ground {
    /// The environment's name.
    pub(super) name: String,
    /// The directory of all environments.
    pub(super) directory: Utf8PathBuf,
    lock: Lock,
    /// What everything that is started here carries.
    mark: String,
    given_up: CancellationToken,
    /// Something runs on that even a kill did not end.
    is_haunted: AtomicBool,
}

/// Whom a tool may leave behind when it has ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    Nobody,
    /// It runs what others wrote.
    Anybody,
}

/// How much of the end of what a tool says is looked at, in bytes.
const WORDS: usize = 256 * 1024;

// === impl Ground ===

impl Ground {
    /// Waits until nobody else builds there, unless it is given up first, and ends what was left
    /// to run there.
    pub(super) async fn take(
        directory: Utf8PathBuf,
        name: String,
        given_up: CancellationToken,
    ) -> io::Result<Self> {
        fs::create_dir_all(directory.as_std_path())?;
        let path = directory.join(format!("{name}.lock"));
        let taken = given_up.run_until_cancelled(Lock::take(&path)).await;
        let mut lock = taken.ok_or_else(self::given_up)??;
        lock.bury().await?;
        let mark = format!("environment-{}", Uuid::now_v7());
        lock.write(&mark)?;
        let is_haunted = AtomicBool::new(false);
        Ok(Self { name, directory, lock, mark, given_up, is_haunted })
    }

    pub(super) fn prefix(&self) -> Utf8PathBuf {
        self.directory.join(&self.name)
    }

    /// Returns what somebody else has built here.
    pub(super) fn installed(&self) -> Option<Installed> {
        record::read(&self.directory, &self.name)
    }

    /// Removes all that was built here.
    pub(super) async fn clear(&self) -> io::Result<()> {
        record::clear(&self.directory, &self.name).await
    }

    /// Lets others build here. One that is only dropped leaves a note for them.
    pub(super) fn leave(mut self) {
        if self.is_haunted.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.lock.clear() {
            warn!(environment = self.name, %error, "a note of a build that has ended stays");
        }
    }

    /// Runs a tool to its end. What it has started ends with it.
    pub(super) async fn run(&self, tool: Tool<'_>, leaves: Leaves) -> Result<(), ToolFailure> {
        let Tool { program, deadline, .. } = tool;
        let program = || program.to_owned();
        let start = |source| ToolFailure::Start { program: program(), source };
        let mut spawn = Spawn::new(tool.program, tool.directory);
        spawn.args = tool.arguments;
        spawn.env = tool.environment;
        spawn.mark = Some(self.mark.clone());
        let started = spawn.start().await;
        let (child, mut output) = started.map_err(|error| start(io::Error::other(error)))?;
        let ended = self.given_up.run_until_cancelled(timeout(deadline, async {
            let said = listen(&mut output).await;
            (child.wait().await, said)
        }));
        let ended = ended.await;
        if leaves == Leaves::Nobody && matches!(ended, Some(Ok((Exit::Code(0), _)))) {
            return Ok(());
        }
        let stopped = child.stop(Duration::ZERO).await;
        if !stopped.left.is_empty() {
            self.is_haunted.store(true, Ordering::Relaxed);
            let left = format!("what it has started cannot be ended: {:?}", stopped.left);
            return Err(start(io::Error::other(left)));
        }
        match ended {
            None => Err(ToolFailure::GivenUp { program: program() }),
            Some(Err(_)) => {
                Err(ToolFailure::Overdue { program: program(), seconds: deadline.as_secs() })
            }
            Some(Ok((Exit::Code(0), _))) => Ok(()),
            Some(Ok((exit, said))) => {
                Err(ToolFailure::Failed { words: words(tool.program, &exit, &said) })
            }
        }
    }
}

/// Why nothing is built, where nobody sees it.
pub(super) fn given_up() -> io::Error {
    io::Error::other("nobody waits for it any more")
}

/// Reads what a tool says, and returns the end of what it says of its troubles.
async fn listen(output: &mut Output) -> String {
    let mut said = Vec::new();
    while let Some(chunk) = output.next().await {
        if chunk.source == Source::Stderr {
            said.extend(chunk.bytes);
            if said.len() > 2 * WORDS {
                said.drain(..said.len() - WORDS);
            }
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

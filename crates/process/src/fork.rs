//! A process that forks itself, and what becomes of its forks.
//!
//! ```text
//!  ForkServer ── fork ──▶ Fork      it has its group, enters its cgroup, and waits for its errand
//!                          │ run
//!                          └──────▶ Child, Output      as if it had been spawned
//! ```
//!
//! The protocol is that of `waggoner_runtime/server.py`. A fork that never gets its whole errand
//! ends without having done anything, so whoever has no [`Child`] may start another one.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
    time::Duration,
};

use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use tokio::{io::AsyncWriteExt as _, net::unix::pipe, time::timeout};

use crate::{
    Child, Exit, Output, Spawn, SpawnError,
    cgroup::Cgroup,
    leader::{self, Leader},
    output::receiver,
    spawn::MARK,
    table,
};

mod aside;
mod channel;

pub(crate) use channel::Channel;

/// A process that was started to fork itself. Dropping it kills it, and none of its forks.
#[derive(Debug)]
pub struct ForkServer {
    leader: Arc<Leader>,
    channel: Arc<Channel>,
}

/// A fork that waits for its errand. Dropping it ends it.
#[derive(Debug)]
pub struct Fork {
    leader: Leader,
    stdout: OwnedFd,
    stderr: OwnedFd,
    errand: OwnedFd,
    cgroup: Option<Arc<Cgroup>>,
}

/// How long an answer may take: a server that is asked to import something large does nothing else
/// meanwhile.
const PATIENCE: Duration = Duration::from_mins(1);

// === impl ForkServer ===

impl ForkServer {
    /// Starts it, with the socket on which it is told what to do as its stdin.
    ///
    /// It takes its time until it is [`ForkServer::ready`].
    pub async fn start(spawn: &Spawn) -> Result<(Self, Output), SpawnError> {
        let fail = |error| spawn.failed(error);
        let flags = SocketFlags::CLOEXEC;
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let (near, far) = pair.map_err(|error| fail(error.into()))?;
        let channel = Channel::new(near).map_err(fail)?;
        let begun = spawn.begin(Some(&far)).await?;
        let leader = Arc::clone(&begun.leader);
        let server = Self { leader: Arc::clone(&leader), channel: Arc::new(channel) };
        let output = begun.into_output(spawn.linger).map_err(fail)?;
        Ok((server, output))
    }

    pub fn id(&self) -> i32 {
        self.leader.pid().as_raw_pid()
    }

    /// Waits until it takes orders.
    pub async fn ready(&self) -> io::Result<()> {
        match self.patiently(self.channel.hear()).await? {
            (b'w', _) => Ok(()),
            (kind, _) => Err(strange(kind)),
        }
    }

    /// Makes a fork, in a cgroup if there is one and it can enter it.
    pub async fn fork(&self, cgroup: Option<Arc<Cgroup>>) -> io::Result<Fork> {
        let (stdout, stdout_child) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, stderr_child) = pipe_with(PipeFlags::CLOEXEC)?;
        let (errand_child, errand) = pipe_with(PipeFlags::CLOEXEC)?;
        let ends = [stdout_child, stderr_child, errand_child];
        let directory = cgroup.as_ref().map_or("", |cgroup| cgroup.directory().as_str());
        let beside = ends.each_ref().map(|end| end.as_fd());
        let ask = self.channel.ask(b'f', directory, &beside);
        let pid = match self.patiently(ask).await? {
            (b'c', pid) => pid.parse().ok().and_then(Pid::from_raw).ok_or_else(|| strange(b'c'))?,
            (b'e', reason) => return Err(io::Error::other(reason)),
            (kind, _) => return Err(strange(kind)),
        };
        let _guard = leader::SPAWNING.read();
        // Nobody reaps it before we say so: it is there, alive or a zombie.
        let is_ours = table::row(pid.as_raw_pid()).is_some_and(|row| row.parent == self.id());
        if !is_ours || pidfd_open(pid, PidfdFlags::empty()).is_err() {
            return Err(io::Error::other("the fork cannot be watched"));
        }
        let leader = Leader::adopt_fork(pid, Arc::clone(&self.channel))?;
        Ok(Fork { leader, stdout, stderr, errand, cgroup })
    }

    /// Has it import a module for all forks to come. An inner error says why it should not have
    /// been: the server is of no use any more.
    pub async fn preload(&self, module: &str) -> io::Result<Result<(), String>> {
        match self.patiently(self.channel.ask(b'p', module, &[])).await? {
            (b'o', _) => Ok(Ok(())),
            (b'b', reason) => Ok(Err(reason)),
            (kind, _) => Err(strange(kind)),
        }
    }

    /// Waits until it has ended.
    pub async fn wait(&self) -> Exit {
        self.leader.exited().await
    }

    /// Kills it, and none of its forks.
    pub fn kill(&self) {
        if self.leader.exit().is_none() {
            _ = kill_process(self.leader.pid(), Signal::KILL);
        }
    }

    async fn patiently<T>(&self, answer: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        self.kill();
    }
}

// === impl Fork ===

impl Fork {
    pub fn cgroup(&self) -> Option<Arc<Cgroup>> {
        self.cgroup.clone()
    }

    /// Lets it become what is described, but for the program: that is the one that it was forked
    /// from. On an error nothing ran.
    pub async fn run(self, spawn: &Spawn) -> io::Result<(Child, Output)> {
        let Self { leader, stdout, stderr, errand, cgroup } = self;
        let word = spawn.mark.as_deref().ok_or(io::ErrorKind::InvalidInput)?;
        let text = write(spawn, word)?;
        let (stdout, stderr) = (receiver(stdout)?, receiver(stderr)?);
        let mut errand = pipe::Sender::from_owned_fd(errand)?;
        // Who is gone takes nothing.
        let begun = errand.write(&text).await?;
        // It looks for the errand once more when it has stepped aside: one of the two sees the other.
        aside::call_back(leader.pid());
        errand.write_all(&text[begun..]).await?;
        let leader = Arc::new(leader);
        let child = Child::new(Arc::clone(&leader), format!("{MARK}={word}").into(), cgroup);
        Ok((child, Output::new(leader, stdout, stderr, spawn.linger)))
    }
}

/// Writes an errand: its length, and its fields with a null between them.
fn write(spawn: &Spawn, word: &str) -> io::Result<Vec<u8>> {
    let count = spawn.args.len().to_string();
    let mut fields = vec![word.to_owned(), spawn.cwd.to_string(), count];
    fields.extend(spawn.args.iter().cloned());
    fields.extend(spawn.env.iter().map(|(name, value)| format!("{name}={value}")));
    fields.push(format!("{MARK}={word}"));
    if fields.iter().any(|field| field.contains('\0')) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let fields = fields.join("\0");
    Ok(format!("{}\n{fields}", fields.len()).into_bytes())
}

fn strange(kind: u8) -> io::Error {
    let message = format!("the fork server answers something else: `{}`", kind.escape_ascii());
    io::Error::new(io::ErrorKind::InvalidData, message)
}

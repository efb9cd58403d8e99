//! One warm server.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::{OnceCell, watch},
    time::{Instant, timeout},
};
use tracing::{debug, info};
use waggoner_process::{Cgroup, Cgroups, Fork, ForkServer, Output};
use waggoner_task::CancellationToken;
use waggoner_types::AttemptId;

use super::key::Key;
use crate::server::birth::new_mark;

/// A server that is started by who needs it first.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) key: Arc<Key>,
    process: OnceCell<ForkServer>,
    state: Mutex<State>,
    course: watch::Sender<Stage>,
    /// It is let go, started or not.
    over: CancellationToken,
}

#[derive(Debug)]
struct State {
    used: Instant,
    /// A fork that waits for its operation.
    spare: Option<Fork>,
    /// A spare is being made.
    is_preparing: bool,
    /// It has forked.
    has_forked: bool,
    /// It imports something, and does nothing else meanwhile.
    is_importing: bool,
    /// What it has imported, or is importing.
    modules: HashSet<String>,
    output: Option<Output>,
    /// The last that it wrote.
    words: Vec<u8>,
}

/// How far its life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Wanted,
    Started,
    Failed,
    Over,
}

/// How much of what it wrote an error repeats.
const WORDS: usize = 600;

/// How long the last words of one that did not start are waited for.
const LAST: Duration = Duration::from_secs(2);

// === impl Server ===

impl Server {
    pub(super) fn new(key: Arc<Key>) -> Self {
        let state = State {
            used: Instant::now(),
            spare: None,
            is_preparing: false,
            has_forked: false,
            is_importing: false,
            modules: HashSet::new(),
            output: None,
            words: Vec::new(),
        };
        let course = watch::Sender::new(Stage::Wanted);
        Self {
            key,
            process: OnceCell::new(),
            state: Mutex::new(state),
            course,
            over: CancellationToken::new(),
        }
    }

    /// Returns a fork: the one that waits, or a new one.
    pub(super) async fn fork(&self, cgroups: Option<&Cgroups>) -> io::Result<Fork> {
        let process = self.process.get_or_try_init(|| self.start()).await?;
        let spare = self.state().spare.take();
        if let Some(spare) = spare {
            return Ok(spare);
        }
        let fork = process.fork(cgroup(cgroups)).await?;
        self.state().has_forked = true;
        Ok(fork)
    }

    /// Makes a fork that waits, unless there is one.
    pub(super) async fn prepare_spare(&self, cgroups: Option<&Cgroups>) {
        let Some(process) = self.process.get() else { return };
        {
            let mut state = self.state();
            if state.is_preparing || state.spare.is_some() {
                return;
            }
            state.is_preparing = true;
        }
        let fork = process.fork(cgroup(cgroups)).await;
        let mut state = self.state();
        state.is_preparing = false;
        match fork {
            Ok(fork) if *self.course.borrow() == Stage::Started && !self.is_over() => {
                state.spare = Some(fork);
            }
            Ok(_) => {}
            Err(error) => debug!(%error, "no spare fork"),
        }
    }

    /// Puts a new fork in the place of the one that waits.
    pub(super) async fn renew_spare(&self, cgroups: Option<&Cgroups>) {
        let before = self.state().spare.take();
        drop(before);
        self.prepare_spare(cgroups).await;
    }

    /// Says whether this module is to be imported, once.
    pub(super) fn wants(&self, module: &str) -> bool {
        self.state().modules.insert(module.to_owned())
    }

    /// Imports a module. An error is a reason: it was of no good to the server.
    pub(super) async fn preload(&self, module: &str) -> Result<(), String> {
        let Some(process) = self.process.get() else { return Ok(()) };
        self.state().is_importing = true;
        let imported = process.preload(module).await;
        self.state().is_importing = false;
        imported.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Carries what it writes until it ends. Says whether it was ever started.
    pub(super) async fn live(&self) -> bool {
        let mut told = self.course.subscribe();
        let begun = told.wait_for(|stage| *stage != Stage::Wanted).await;
        drop(begun);
        let Some(mut output) = self.state().output.take() else { return false };
        while let Some(chunk) = output.next().await {
            let text = String::from_utf8_lossy(&chunk.bytes);
            debug!(program = %self.key.program, text = text.trim_end(), "a warm server writes");
            let mut state = self.state();
            state.words.extend(&chunk.bytes);
            let surplus = state.words.len().saturating_sub(WORDS);
            state.words.drain(..surplus);
        }
        self.course.send_replace(Stage::Over);
        if let Some(process) = self.process.get() {
            let exit = process.wait().await;
            info!(program = %self.key.program, %exit, "a warm server has ended");
        }
        true
    }

    /// Ends it, and the fork that waits. Those that have become operations go on.
    pub(super) fn end(&self) {
        // One that is about to be ready ends itself.
        self.over.cancel();
        if let Some(process) = self.process.get() {
            process.kill();
        }
        self.course.send_if_modified(|stage| {
            let waits = *stage == Stage::Wanted;
            *stage = if waits { Stage::Failed } else { *stage };
            waits
        });
        let spare = self.state().spare.take();
        drop(spare);
    }

    /// Says whether it was let go.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Says whether a fork of it would have to wait for what it imports.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        state.is_importing && state.spare.is_none()
    }

    /// Says whether it can do what it is for.
    pub(super) fn has_forked(&self) -> bool {
        self.state().has_forked
    }

    /// It is used.
    pub(super) fn touch(&self) {
        self.state().used = Instant::now();
    }

    pub(super) fn used(&self) -> Instant {
        self.state().used
    }

    pub(super) fn modules(&self) -> Vec<String> {
        self.state().modules.iter().cloned().collect()
    }

    /// Returns how many bytes it has to itself.
    pub(super) fn memory(&self) -> u64 {
        let Some(process) = self.process.get() else { return 0 };
        let status = fs_err::read_to_string(format!("/proc/{}/status", process.id()));
        let status = status.unwrap_or_default();
        let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }

    async fn start(&self) -> io::Result<ForkServer> {
        // Whoever waited for one that could not be started does not start it again.
        if *self.course.borrow() != Stage::Wanted {
            return Err(io::Error::other("it could not be started a moment ago"));
        }
        let Key { program, cwd, args, env, .. } = &*self.key;
        let spawn = waggoner_process::Spawn {
            args: args.clone(),
            env: env.clone(),
            // As long as that of any operation: a fork writes its own in its place.
            mark: Some(new_mark(AttemptId(uuid::Uuid::nil()))),
            ..waggoner_process::Spawn::new(program, cwd)
        };
        let (process, output) = ForkServer::start(&spawn).await.map_err(io::Error::other)?;
        self.state().output = Some(output);
        self.course.send_replace(Stage::Started);
        if let Err(error) = process.ready().await {
            process.kill();
            let mut told = self.course.subscribe();
            let over = timeout(LAST, told.wait_for(|stage| *stage == Stage::Over)).await;
            drop(over);
            let words = String::from_utf8_lossy(&self.state().words).into_owned();
            return Err(io::Error::other(format!("it did not start: {error}: {}", words.trim())));
        }
        if self.is_over() {
            process.kill();
            return Err(io::Error::other("it was let go before it was ready"));
        }
        info!(%program, pid = process.id(), "a warm server is ready");
        Ok(process)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the state of a warm server")
    }
}

fn cgroup(cgroups: Option<&Cgroups>) -> Option<Arc<Cgroup>> {
    cgroups.and_then(|cgroups| cgroups.take().ok()).map(Arc::new)
}

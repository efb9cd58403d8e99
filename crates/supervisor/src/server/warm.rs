//! Warm servers: processes that have imported what the operations of an environment need, and fork
//! themselves into them.
//!
//! ```text
//!  take ─▶ the server of the key ─▶ fork ─▶ Spare ─ (an operation) ─▶ done ─▶ preload, next spare
//!             │ there is none: it is started, once for all who wait
//!             └ it cannot be: it is not tried again for a while, and `None` is a cold start
//! ```
//!
//! A server is let go when it has been idle, when others are used more, when it has grown, when an
//! import did what only a process of its own may do, and with us: its socket ends. Forks that run
//! do not mind.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tracing::info;
use waggoner_process::{Cgroups, Fork};
use waggoner_task::Tasks;

use crate::words::Spawn;

mod key;
mod server;

use key::Key;
use server::Server;

/// The warm servers that there are.
#[derive(Debug)]
pub(super) struct Warm {
    shared: Arc<Shared>,
    tasks: Tasks,
}

/// A fork that becomes an operation.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) fork: Fork,
    pub(super) used: Used,
}

/// The server that an operation came from.
#[derive(Debug)]
pub(super) struct Used {
    server: Arc<Server>,
    preload: Option<String>,
}

#[derive(Debug)]
struct Shared {
    cgroups: Option<Cgroups>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    servers: HashMap<Arc<Key>, Arc<Server>>,
    /// Those that could not be started, or could not fork, and when.
    cold: HashMap<Arc<Key>, Instant>,
    /// Modules that are imported by each operation for itself.
    unkept: HashSet<(Arc<Key>, String)>,
}

/// The most servers at once, each of some tens of megabytes.
const SERVERS: usize = 8;

/// How long a server is kept that nobody uses.
const IDLE: Duration = Duration::from_mins(10);

/// How long it is not tried to start one that could not be.
const COLD: Duration = Duration::from_mins(5);

/// The most that a server may have to itself: beyond it, what it has imported is not worth it.
const MEMORY: u64 = 512 * 1024 * 1024;

/// What is remembered of those that failed, at the most.
const REMEMBERED: usize = 256;

/// How long the next spare waits for the end of who took the last one, so that it takes no processor
/// from it.
const AFTER: Duration = Duration::from_millis(10);

// === impl Warm ===

impl Warm {
    pub(super) fn new(cgroups: Option<Cgroups>) -> Self {
        let shared = Arc::new(Shared { cgroups, known: Mutex::default() });
        Self { shared, tasks: Tasks::default() }
    }

    /// Returns a fork for an operation; `None` where it is to be started.
    pub(super) async fn take(&self, spawn: &Spawn) -> Option<Spare> {
        let warm = spawn.warm.as_ref()?;
        let key = Arc::new(Key::of(spawn, warm)?);
        // One that has died is replaced, once.
        for _ in 0..2 {
            let server = self.server(&key)?;
            // A process of its own is there sooner.
            if server.is_busy() {
                return None;
            }
            match server.fork(self.shared.cgroups.as_ref()).await {
                Ok(fork) => {
                    self.replace_spare(&server, AFTER);
                    let used = Used { server, preload: warm.preload.clone() };
                    return Some(Spare { fork, used });
                }
                Err(error) => {
                    info!(%error, program = %key.program, "a warm server is of no use");
                    if !server.has_forked() && !server.is_over() {
                        self.shared.known().remember_cold(&key);
                    }
                    self.shared.discard(&server);
                }
            }
        }
        None
    }

    /// Hears that an operation has ended, and whether it ended well.
    pub(super) fn done(&self, used: Used, well: bool) {
        let Used { server, preload } = used;
        server.touch();
        let is_wanted = |module: &String| {
            well && self.shared.known().is_kept(&server.key, module) && server.wants(module)
        };
        let Some(module) = preload.filter(is_wanted) else {
            return self.replace_spare(&server, Duration::ZERO);
        };
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn("preload", async move {
            let imported = server.preload(&module).await;
            if server.is_over() {
                return;
            }
            if let Err(reason) = imported {
                info!(module, reason, "a module is not kept warm");
                shared.let_go(&server, Some(module));
                return;
            }
            // The one before does not have it.
            server.renew_spare(shared.cgroups.as_ref()).await;
        });
    }

    /// Looks after the servers: lets go those that are idle or have grown.
    pub(super) fn tend(&self) {
        let servers: Vec<_> = self.shared.known().servers.values().cloned().collect();
        for server in servers {
            if server.used().elapsed() > IDLE {
                self.shared.discard(&server);
            } else if server.memory() > MEMORY {
                info!(program = %server.key.program, "a warm server has grown and is let go");
                self.shared.let_go(&server, None);
            }
        }
    }

    /// Returns the server of a key, about to be started where there is none; `None` where it could
    /// not be not long ago.
    fn server(&self, key: &Arc<Key>) -> Option<Arc<Server>> {
        let mut known = self.shared.known();
        if known.cold.get(key).is_some_and(|since| since.elapsed() < COLD) {
            return None;
        }
        if let Some(server) = known.servers.get(key) {
            server.touch();
            return Some(Arc::clone(server));
        }
        let server = Arc::new(Server::new(Arc::clone(key)));
        known.servers.insert(Arc::clone(key), Arc::clone(&server));
        let oldest = known.servers.values().min_by_key(|server| server.used()).cloned();
        let oldest = oldest.filter(|_| known.servers.len() > SERVERS);
        drop(known);
        if let Some(oldest) = oldest {
            self.shared.discard(&oldest);
        }
        let (shared, watched) = (Arc::clone(&self.shared), Arc::clone(&server));
        self.tasks.spawn("warm", async move {
            if watched.live().await {
                shared.discard(&watched);
            }
        });
        Some(server)
    }

    fn replace_spare(&self, server: &Arc<Server>, after: Duration) {
        let (shared, server) = (Arc::clone(&self.shared), Arc::clone(server));
        self.tasks.spawn("spare", async move {
            sleep(after).await;
            server.prepare_spare(shared.cgroups.as_ref()).await;
        });
    }
}

// === impl Shared ===

impl Shared {
    /// Lets a server go. Whoever needs the next one starts it.
    fn discard(&self, server: &Arc<Server>) {
        let mut known = self.known();
        if known.servers.get(&server.key).is_some_and(|known| Arc::ptr_eq(known, server)) {
            known.servers.remove(&server.key);
        }
        drop(known);
        server.end();
    }

    /// Lets a server go for what it has imported, or for this module, which is not kept any more.
    fn let_go(&self, server: &Arc<Server>, module: Option<String>) {
        let modules = module.map_or_else(|| server.modules(), |module| vec![module]);
        let mut known = self.known();
        if known.unkept.len() + modules.len() > REMEMBERED {
            known.unkept.clear();
        }
        known.unkept.extend(modules.into_iter().map(|module| (Arc::clone(&server.key), module)));
        drop(known);
        self.discard(server);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while it holds the warm servers")
    }
}

// === impl Known ===

impl Known {
    fn remember_cold(&mut self, key: &Arc<Key>) {
        if self.cold.len() == REMEMBERED {
            self.cold.clear();
        }
        self.cold.insert(Arc::clone(key), Instant::now());
    }

    fn is_kept(&self, key: &Arc<Key>, module: &str) -> bool {
        !self.unkept.contains(&(Arc::clone(key), module.to_owned()))
    }
}

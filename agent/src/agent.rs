//! The wiring: everything that can be refused, then everything that runs.

use std::{convert::Infallible, sync::Arc, time::Duration};

use camino::Utf8PathBuf;
use tokio::{
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_stream::{Stream, StreamExt as _};
use tracing::{info, warn};
use waggoner_identity::JoinToken;
use waggoner_link::AgentListener;
use waggoner_python::Environments;
use waggoner_supervisor::Leave;
use waggoner_task::{Group, Tasks};

use crate::{
    api::{AgentApi, IdentityApi},
    artifacts::Artifacts,
    attempt::Cancel,
    attempts::Attempts,
    config::Config,
    context::CtxProxy,
    enrol,
    environments::{self, Installs},
    error::StartError,
    facade::Facade,
    host,
    house::{Conversations, HEARTBEAT, House},
    identity::Keeper,
    journal::Journal,
    link::{self, Services},
    state::StateDir,
    supervise::{home, launch},
};

/// An agent with all it needs and nothing running yet.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    program: Utf8PathBuf,
    state: StateDir,
    artifacts: Artifacts,
    environments: Environments,
    keeper: Arc<Keeper>,
    way: Way,
}

/// Which way the link comes up.
#[derive(Debug)]
enum Way {
    Dial(String),
    Listen(AgentListener),
}

/// How long the last records may take to reach the manager, once nothing runs any more.
const LAST_WORDS: Duration = Duration::from_secs(5);

// === impl Agent ===

impl Agent {
    /// Takes everything that can be refused, also by the manager, so that [`Agent::run`] starts
    /// whole or not at all.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let program = std::env::current_exe().map_err(StartError::Program)?;
        let program = Utf8PathBuf::try_from(program)
            .map_err(|error| StartError::Program(error.into_io_error()))?;
        let runtime = config.runtime_dir.as_deref();
        let state = StateDir::open(&config.state_dir, runtime, program.as_std_path())?;
        let artifacts = Artifacts::open(state.artifacts()).map_err(StartError::Artifacts)?;
        let environments = Environments::new(state.python(), None);
        let keeper = match Keeper::load(state.identity()).map_err(StartError::Identity)? {
            Some(keeper) => keeper,
            None => Keeper::join(state.identity(), join_token(&config)?, config.name.clone())
                .map_err(StartError::Key)?,
        };
        let keeper = Arc::new(keeper);
        let way = match (&config.manager, config.listen) {
            (_, Some(address)) => Way::Listen(
                link::bind(address, &keeper)
                    .await
                    .map_err(|source| StartError::Listen { address, source })?,
            ),
            (Some(address), None) => {
                if keeper.joined().is_none() {
                    // Finding the interpreters takes seconds where there are many.
                    let joining = enrol::enrol(&keeper, address);
                    tokio::join!(joining, environments.interpreters()).0?;
                }
                Way::Dial(address.clone())
            }
            (None, None) => return Err(StartError::NoManager),
        };
        Ok(Self { config, program, state, artifacts, environments, keeper, way })
    }

    /// Serves the manager until the first of the orders to stop; then takes nothing new, gives what runs its grace,
    /// cancels what is left, and lets the manager hear of it.
    /// A second order cuts the grace short.
    pub async fn run(self, mut orders: impl Stream<Item = ()> + Unpin) -> Result<(), StartError> {
        let Self { config, program, state, artifacts, environments, keeper, way } = self;
        let (facade, receiving) = Facade::open(&state.facade()).await?;
        let (ctx_proxy, proxying) = CtxProxy::open(&state.facade().join("ctx-port")).await?;
        let (journal, news, known) = Journal::open(home(&state), launch(program, &state)).await?;
        let journal = Arc::new(journal);
        let attempts = Attempts::recover(Arc::clone(&journal), known);
        sweep(&state, &attempts);
        let house = Arc::new(House {
            name: keeper.name().unwrap_or_default(),
            state,
            artifacts,
            installs: Installs::of(&environments),
            environments,
            facade,
            ctx_proxy,
            left: Arc::default(),
            journal,
            attempts,
            slots: Semaphore::new(config.slots as usize),
            slot_count: config.slots,
            heartbeat: watch::Sender::new(HEARTBEAT),
            conversations: Conversations::default(),
            hellos: watch::Sender::new(0),
        });
        let tasks = Arc::new(Tasks::default());
        let mut group = Group::default();
        let host = host::look(&house.environments).await;
        let services = Services {
            agent: AgentApi::new(house.clone(), host, tasks.clone()),
            identity: IdentityApi::new(keeper.clone()),
            stop: group.token(),
        };
        let stop = group.token();
        services.agent.resume();
        let following = {
            let house = Arc::clone(&house);
            async move { house.journal.follow(news, &house.attempts).await }
        };
        group.spawn("supervisor", until(stop.clone(), forever(following)));
        group.spawn("facade", until(stop.clone(), receiving));
        group.spawn("ctx proxy", until(stop.clone(), proxying));
        let keeping = {
            let (house, unused_for) = (Arc::clone(&house), config.keep_unused());
            async move { environments::keep(&house, unused_for).await }
        };
        let leaving = Arc::clone(&house.left).keep();
        group.spawn("left", until(stop.clone(), forever(leaving)));
        group.spawn("upkeep", until(stop.clone(), forever(keeping)));
        match way {
            Way::Listen(listener) => {
                let address = listener.address().map(|address| address.to_string());
                info!(address = address.unwrap_or_default(), "waiting for the manager to dial");
                let listening = Box::pin(link::listen(services, listener, keeper));
                group.spawn("link", until(stop, forever(listening)));
            }
            Way::Dial(address) => {
                let joined = keeper.joined().ok_or(StartError::NotJoined)?;
                let dialling = Box::pin(link::dial(services, address, joined));
                group.spawn("link", until(stop, forever(dialling)));
            }
        }
        let drained = async {
            orders.next().await;
            match config.stop_grace() {
                Some(grace) => drain(&house, grace, &mut orders).await,
                None => leave(&house),
            }
        };
        let ended = group.run(drained, LAST_WORDS).await.map_err(StartError::Run);
        if let Err(overdue) = tasks.stop(Duration::ZERO).await {
            warn!(%overdue, "some were cut off");
        }
        house.left.clear();
        ended
    }
}

/// Clears away what belongs to operations that have ended.
fn sweep(state: &StateDir, attempts: &Attempts) {
    let unended = attempts.list().into_iter().filter(|attempt| !attempt.is_ended());
    let unended: Vec<_> = unended.map(|attempt| attempt.id).collect();
    if let Err(error) = state.sweep(&unended) {
        warn!(%error, "what ended operations have left cannot be cleared away");
    }
}

/// Runs something until the order to stop.
async fn until(stop: waggoner_task::CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

pub(crate) async fn forever(work: impl Future<Output = Infallible>) {
    match work.await {}
}

/// Takes no new attempts, and leaves those that run to the supervisor and to the next daemon.
fn leave(house: &House) {
    house.attempts.drain();
    info!(running = house.attempts.running(), "stopping; what runs goes on");
}

/// Takes no new attempts, and ends those that run: after their grace by an order. Then the
/// supervisor ends as well.
async fn drain(house: &House, grace: Duration, orders: &mut (impl Stream<Item = ()> + Unpin)) {
    house.attempts.drain();
    info!(running = house.attempts.running(), "stopping");
    let kill = tokio::select! {
        () = idle(house) => None,
        () = sleep(grace) => Some(false),
        Some(()) = orders.next() => Some(true),
    };
    if let Some(kill) = kill {
        let reason = "the agent is stopping".to_owned();
        house.attempts.cancel_all(&Cancel { kill, reason });
        if timeout(2 * LAST_WORDS, idle(house)).await.is_err() {
            warn!(running = house.attempts.running(), "operations do not end");
        }
    }
    // What ended has to reach the manager; it may be out of reach.
    let told = async {
        while house.attempts.list().iter().any(|attempt| !attempt.is_done()) {
            sleep(GLANCE).await;
        }
    };
    if timeout(LAST_WORDS, told).await.is_err() {
        warn!("the manager has not heard of the end of every operation: the next daemon tells it");
    }
    if timeout(LAST_WORDS, house.journal.shut_down(Leave::Now)).await.is_err() {
        warn!("the supervisor does not answer");
    }
}

/// How often an agent that stops looks whether it may.
const GLANCE: Duration = Duration::from_millis(20);

async fn idle(house: &House) {
    while house.attempts.running() > 0 {
        sleep(GLANCE).await;
    }
}

fn join_token(config: &Config) -> Result<JoinToken, StartError> {
    let path = config.join.as_ref().ok_or(StartError::NoJoinToken)?;
    let text = fs_err::read_to_string(path).map_err(StartError::JoinFile)?;
    text.parse().map_err(|source| StartError::JoinToken { path: path.clone(), source })
}

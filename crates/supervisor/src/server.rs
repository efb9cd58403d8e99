//! The process that is the parent of all operations of a host.
//!
//! ```text
//!  supervise ─ journal (lock) ─ recover ─ listen ─┬─ daemon     requests, answers, news
//!                                                 └─ operation  one actor per process:
//!                                                     limits and orders │ pump: pipes ─▶ journal
//! ```

use std::{error::Error, io, sync::Arc, time::Duration};

use camino::Utf8PathBuf;
use tokio::{
    net::{UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
    time::{Instant, interval, sleep, sleep_until},
};
use tracing::{info, warn};
use waggoner_journal::{Journal, OpenError, Recovered, Writer};
use waggoner_process::{BOOT_ID, Cgroups, Orphans, boot_id, lead_session};
use waggoner_task::Tasks;

use crate::home::Home;

mod answer;
mod attempt;
mod birth;
mod daemon;
mod fault;
mod house;
mod limits;
mod lines;
mod list;
mod operation;
mod pump;
mod recover;
mod tail;
mod warm;

use house::House;

/// How a supervisor runs.
#[derive(Clone, Debug)]
pub struct Config {
    pub home: Home,
    pub journal: waggoner_journal::Settings,
    /// How long the output of a process stays open after its exit for a descendant that holds it,
    /// when nothing else was asked for.
    pub linger: Duration,
    /// How long it waits for a daemon when nothing runs, before it ends by itself.
    pub idle: Duration,
    /// Whether processes are born in cgroups where that can be.
    pub cgroups: bool,
    /// The file that tells the id of the host's boot.
    pub boot_id: Utf8PathBuf,
    /// What it says of itself, for people.
    pub version: String,
}

/// Why a supervisor did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    #[error("failed to make the directory `{directory}`")]
    Home {
        directory: Utf8PathBuf,
        #[source]
        source: io::Error,
    },

    #[error("another supervisor runs in `{directory}`")]
    Running { directory: Utf8PathBuf },

    #[error("failed to open the journal")]
    Journal(#[source] OpenError),

    #[error("failed to become the parent of operations")]
    Parent(#[source] io::Error),

    #[error("failed to listen on `{socket}`")]
    Listen {
        socket: Utf8PathBuf,
        #[source]
        source: io::Error,
    },

    #[error("the journal has failed: what ended since is not on record")]
    Broken,
}

/// How long the connections get to say their last words.
const GRACE: Duration = Duration::from_secs(2);

/// How long a supervisor that is about to end may still hold the journal, and how often we look.
const LEAVING: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(20);

/// How often what has gathered is looked after.
const ROUND: Duration = Duration::from_secs(5);

/// How large the log may become while we write it.
const LOG: u64 = 4 * 1024 * 1024;

// === impl Config ===

impl Config {
    /// The usual settings for a home.
    pub fn new(home: Home) -> Self {
        Self {
            home,
            journal: waggoner_journal::Settings::default(),
            linger: Duration::from_secs(2),
            idle: Duration::from_mins(1),
            cgroups: true,
            boot_id: BOOT_ID.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Runs a supervisor until it is told to end, or nothing has run and no daemon was there for a
/// while.
///
/// It leaves the session of who started it and becomes the parent of orphans, so it has to have a
/// process for itself, and a current-thread runtime. SIGTERM ends what runs, as a
/// cancel does, and then the supervisor.
pub async fn supervise(config: Config) -> Result<(), SuperviseError> {
    lead_session();
    let Config { home, idle, .. } = &config;
    home.prepare().map_err(|source| {
        let directory = home.directory().to_owned();
        SuperviseError::Home { directory, source }
    })?;
    let (journal, recovered) = open(&config).await?;
    let orphans = Orphans::adopt().map_err(SuperviseError::Parent)?;
    let (writer, thread) = Writer::start(journal).map_err(SuperviseError::Parent)?;
    let house = Arc::new(house(&config, writer)?);
    let listener = take_up(&house, home, recovered).await?;
    info!(home = %home.directory(), cgroups = house.cgroups.is_some(), "supervisor ready");
    let ended = tokio::select! {
        ended = attend(&house, &listener, *idle, home) => ended,
        () = orphans.reap() => Ok(()),
        () = house.keep() => Ok(()),
    };
    // A daemon that comes now starts another supervisor, which waits for the journal.
    fs_err::remove_file(home.socket()).ok();
    drop(listener);
    if let Some(cgroups) = &house.cgroups {
        cgroups.close();
    }
    let synced = house.writer.sync().await;
    drop(house);
    tokio::task::spawn_blocking(|| thread.join()).await.ok();
    info!("supervisor ended");
    if synced.is_err() { Err(SuperviseError::Broken) } else { ended }
}

/// Opens the journal, of which there is one writer: this is the lock as well.
async fn open(config: &Config) -> Result<(Journal, Vec<Recovered>), SuperviseError> {
    let deadline = Instant::now() + LEAVING;
    loop {
        match Journal::open(&config.home.journal(), config.journal.clone()) {
            Ok(opened) => return Ok(opened),
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => sleep(AGAIN).await,
            Err(OpenError::InUse { .. }) => {
                let directory = config.home.directory().to_owned();
                return Err(SuperviseError::Running { directory });
            }
            Err(error @ OpenError::Io { .. }) => return Err(SuperviseError::Journal(error)),
        }
    }
}

fn house(config: &Config, writer: Writer) -> Result<House, SuperviseError> {
    let boot_id = boot_id(&config.boot_id).map_err(SuperviseError::Parent)?;
    let cgroups = if config.cgroups { Cgroups::find(&cgroup_name(&config.home)) } else { None };
    Ok(House::new(writer, cgroups, boot_id, config.version.clone(), config.linger))
}

/// The name of our cgroup: the same in each life, and another for each home on the host.
fn cgroup_name(home: &Home) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let directory = fs_err::metadata(home.directory());
    let (device, inode) = directory.map_or((0, 0), |home| (home.dev(), home.ino()));
    format!("waggoner-{device:x}-{inode:x}")
}

/// Looks after what the life before has left, and opens the door.
async fn take_up(
    house: &House,
    home: &Home,
    recovered: Vec<Recovered>,
) -> Result<UnixListener, SuperviseError> {
    recover::recover(house, recovered).await;
    let socket = home.socket();
    // Nobody else is there: we have the journal.
    fs_err::remove_file(&socket).ok();
    UnixListener::bind(&socket).map_err(|source| SuperviseError::Listen { socket, source })
}

/// Serves daemons until it is time to end.
async fn attend(
    house: &Arc<House>,
    listener: &UnixListener,
    idle: Duration,
    home: &Home,
) -> Result<(), SuperviseError> {
    let mut terminated = signal(SignalKind::terminate()).map_err(SuperviseError::Parent)?;
    let (works, daemons) = (Arc::new(Tasks::default()), Tasks::default());
    let (mut round, mut quiet) = (interval(ROUND), Instant::now());
    loop {
        let is_quiet = !house.is_busy();
        // Nobody can come any more to a home that is gone.
        let is_over = house.is_leaving() || house.is_broken() || !home.socket().exists();
        if is_quiet && is_over {
            break;
        }
        if !is_quiet || house.has_daemon() {
            quiet = Instant::now();
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => admit(house, &works, &daemons, stream),
                Err(error) => warn!(%error, "failed to accept a daemon"),
            },
            _ = terminated.recv() => {
                house.leave();
                house.end_all("the supervisor was told to end");
            }
            () = house.changed() => {}
            _ = round.tick() => tend(house, home),
            () = sleep_until(quiet + idle), if is_quiet && !house.has_daemon() => break,
        }
    }
    // What was asked for last is done before it is answered for the last time.
    for tasks in [&*works, &daemons] {
        if let Err(overdue) = tasks.stop(GRACE).await {
            warn!(error = &overdue as &dyn Error, "stopped in the middle of something");
        }
    }
    if house.is_broken() { Err(SuperviseError::Broken) } else { Ok(()) }
}

fn admit(house: &Arc<House>, works: &Arc<Tasks>, daemons: &Tasks, stream: UnixStream) {
    let own = rustix::process::getuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own || peer.uid() == 0 => {
            let (house, works) = (Arc::clone(house), Arc::clone(works));
            daemons.spawn("daemon", daemon::serve(house, works, stream, daemons.token()));
        }
        Ok(peer) => warn!(uid = peer.uid(), "another user's process knocks"),
        Err(error) => warn!(%error, "failed to learn who knocks"),
    }
}

/// Looks after what gathers: empty cgroups, and our log.
fn tend(house: &House, home: &Home) {
    if let Some(cgroups) = &house.cgroups {
        cgroups.sweep();
    }
    house.warm.tend();
    // Tells it when it is not so any more.
    house.is_full();
    let log = home.log();
    if fs_err::metadata(&log).is_ok_and(|log| log.len() > LOG) {
        // It is appended to: what comes next stands at its beginning.
        let emptied = fs_err::OpenOptions::new().write(true).open(&log);
        emptied.and_then(|log| log.set_len(0)).ok();
    }
}

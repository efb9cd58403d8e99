//! Connecting, and starting the supervisor when none answers.

use std::{collections::BTreeMap, io, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use tokio::{
    net::UnixStream,
    process::Child,
    time::{Instant, sleep, timeout},
};
use tracing::info;

use crate::{
    client::{CallError, Events, Supervisor},
    home::Home,
    refusal::Refused,
    words::Greeting,
};

/// How a supervisor is started: a program that calls [`supervise`](crate::supervise).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    pub program: Utf8PathBuf,
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
}

/// Why there is no connection to a supervisor.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("failed to connect to the supervisor at `{socket}`")]
    Connect {
        socket: Utf8PathBuf,
        #[source]
        source: io::Error,
    },

    #[error("failed to start the supervisor `{program}`")]
    Start {
        program: Utf8PathBuf,
        #[source]
        source: io::Error,
    },

    #[error(
        "the supervisor `{program}` was started and does not answer; the end of its log `{log}`: {words}"
    )]
    Silent { program: Utf8PathBuf, log: Utf8PathBuf, words: String },

    #[error("the supervisor does not take the connection")]
    Refused(#[source] Refused),
}

/// How long a supervisor may take from its start to its first word: it reads its journal first.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a supervisor that listens may take to greet.
const GREETING: Duration = Duration::from_secs(20);

/// How often one is started that ends before it answers. Its predecessor may hold the lock for a
/// moment while it is leaving.
const STARTS: u32 = 5;

/// The pauses between tries: doubling from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// How large the log of the supervisors before may be when a new one begins.
const LOG: u64 = 1024 * 1024;

/// How much of the log an error repeats.
const WORDS: usize = 600;

// === impl Supervisor ===

impl Supervisor {
    /// Connects to the supervisor that runs in a home. Another connection to it is closed.
    pub async fn connect(home: &Home) -> Result<(Self, Events, Greeting), ConnectError> {
        let socket = home.socket();
        let fail = |source| ConnectError::Connect { socket: socket.clone(), source };
        let stream = UnixStream::connect(&socket).await.map_err(fail)?;
        match timeout(GREETING, Self::greet(stream)).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(CallError::Refused(refused))) => Err(ConnectError::Refused(refused)),
            // It was about to end.
            Ok(Err(CallError::Lost)) => Err(fail(io::ErrorKind::ConnectionReset.into())),
            Err(_) => Err(fail(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Connects to the supervisor of a home, and starts it first when there is none.
    ///
    /// It gets a session of its own, no descriptor of ours, and a log for its stderr.
    pub async fn connect_or_start(
        home: &Home,
        launch: &Launch,
    ) -> Result<(Self, Events, Greeting), ConnectError> {
        let deadline = Instant::now() + PATIENCE;
        let (mut pause, mut starts, mut running) = (PAUSES.0, 0, None::<Child>);
        loop {
            match Self::connect(home).await {
                Err(ConnectError::Connect { source, .. }) if is_absence(&source) => {}
                connected => return connected,
            }
            let is_running = match &mut running {
                Some(child) => matches!(child.try_wait(), Ok(None)),
                None => false,
            };
            if deadline <= Instant::now() || !is_running && starts == STARTS {
                return Err(silent(home, launch));
            }
            if !is_running {
                let fail = |source| ConnectError::Start { program: launch.program.clone(), source };
                running = Some(start(home, launch).map_err(fail)?);
                starts += 1;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

fn start(home: &Home, launch: &Launch) -> io::Result<Child> {
    home.prepare()?;
    let log = home.log();
    let is_long = fs_err::metadata(&log).is_ok_and(|log| log.len() > LOG);
    let mut options = fs_err::OpenOptions::new();
    // Appended to, so that it can be emptied while somebody writes it.
    let stderr = options.append(true).create(true).mode(0o600).open(&log)?;
    if is_long {
        stderr.set_len(0)?;
    }
    let Launch { program, args, env } = launch;
    let child = waggoner_process::detach(program, args, env, stderr.into_file().into())?;
    info!(%program, pid = child.id(), "supervisor started");
    Ok(child)
}

/// Says whether nobody serves the socket.
fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound};
    matches!(error.kind(), NotFound | ConnectionRefused | ConnectionReset | BrokenPipe)
}

fn silent(home: &Home, launch: &Launch) -> ConnectError {
    let log = home.log();
    let words = last_words(&log);
    ConnectError::Silent { program: launch.program.clone(), log, words }
}

fn last_words(log: &Utf8Path) -> String {
    let text = fs_err::read(log).unwrap_or_default();
    let end = &text[text.len().saturating_sub(WORDS)..];
    match String::from_utf8_lossy(end).trim() {
        "" => "(it is empty)".to_owned(),
        words => words.to_owned(),
    }
}

//! An environment that is made, or was: what those who want it share.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{OnceCell, watch},
    time::Instant,
};

use super::Environment;

/// How far an installation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has its turn after others that were first, here or in another process.
    Queued,
    /// The wagon is read, and its wheels are put where all environments find them.
    Unpacking,
    /// The wheels are put into the environment.
    Installing {
        /// How many there are.
        wheels: usize,
        /// What does it: uv or pip.
        tool: &'static str,
    },
    /// The plugin's sources are built and put into the environment, with what they ask for.
    Building {
        /// What does it: pip or uv.
        tool: &'static str,
    },
}

/// Says that an environment is in use, for as long as it lives. All are equal.
#[derive(Clone, Debug, Default)]
pub struct Lease {
    _held: Option<Arc<()>>,
}

/// One environment, from the first who wants it.
#[derive(Debug)]
pub(super) struct Making {
    pub(super) ready: OnceCell<Environment>,
    pub(super) progress: watch::Sender<Option<Progress>>,
    lease: Arc<()>,
    /// When its use was noted last.
    noted: Mutex<Option<Instant>>,
}

/// How often it is noted that an environment is used, at the most: what nobody uses goes after
/// days.
const NOTED: Duration = Duration::from_mins(1);

// === impl Progress ===

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued => f.write_str("waiting for other installations"),
            Self::Unpacking => f.write_str("unpacking"),
            Self::Installing { wheels: 1, tool } => write!(f, "installing 1 wheel with {tool}"),
            Self::Installing { wheels, tool } => {
                write!(f, "installing {wheels} wheels with {tool}")
            }
            Self::Building { tool } => write!(f, "building its sources with {tool}"),
        }
    }
}

// === impl Lease ===

impl PartialEq for Lease {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Lease {}

// === impl Making ===

impl Making {
    pub(super) fn new() -> Self {
        Self {
            ready: OnceCell::new(),
            progress: watch::Sender::new(None),
            lease: Arc::default(),
            noted: Mutex::default(),
        }
    }

    /// Keeps the environment from being removed.
    pub(super) fn lease(&self) -> Lease {
        Lease { _held: Some(Arc::clone(&self.lease)) }
    }

    /// Whether anybody holds it.
    pub(super) fn is_leased(&self) -> bool {
        Arc::strong_count(&self.lease) > 1
    }

    /// Says whether it is time to note that it is used, which the caller does then.
    pub(super) fn is_to_be_noted(&self) -> bool {
        let now = Instant::now();
        let mut noted = self.noted.lock().expect("nobody panics while holding it");
        let is_time = noted.is_none_or(|noted| now.duration_since(noted) >= NOTED);
        if is_time {
            *noted = Some(now);
        }
        is_time
    }

    pub(super) fn tell(&self, progress: Progress) {
        self.progress.send_replace(Some(progress));
    }
}

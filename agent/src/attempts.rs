//! The attempts that the agent knows: what runs, and what ended not long ago.

use std::{
    collections::{HashMap, VecDeque},
    future::ready,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;
use tracing::{info, warn};
use waggoner_supervisor::{Event, Opened, Refusal};
use waggoner_types::AttemptId;
use waggoner_wire::{Reason, Refused};

use crate::{
    attempt::{Attempt, Cancel},
    journal::{Journal, Listener},
};

/// The attempts, of this life of the daemon and of those before.
#[derive(Debug)]
pub(crate) struct Attempts {
    journal: Arc<Journal>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    attempts: HashMap<AttemptId, Arc<Attempt>>,
    /// Ended and acknowledged, oldest first, each with the time when it was.
    done: VecDeque<(Instant, AttemptId)>,
    draining: bool,
}

/// What a start found.
#[derive(Debug)]
enum Opening {
    /// Nobody has heard of the attempt.
    New(Arc<Attempt>),
    /// It runs, or ran, already.
    Known(Arc<Attempt>),
}

/// How many attempts may be open at once, running or queued. A manager keeps its queue to itself.
const OPEN: usize = 10_000;

/// How long, and how many, ended attempts can be talked about. The journal remembers for longer
/// that they ran.
const REMEMBERED: (Duration, usize) = (Duration::from_hours(1), 4096);

// === impl Attempts ===

impl Attempts {
    /// Takes over what the journal knows, but for what it has forgotten.
    pub(crate) fn recover(
        journal: Arc<Journal>,
        listed: Vec<waggoner_supervisor::Attempt>,
    ) -> Self {
        let mut known = Known::default();
        for attempt in listed.into_iter().filter(|attempt| !attempt.forgotten) {
            let attempt = Arc::new(Attempt::recovered(Arc::clone(&journal), attempt));
            known.attempts.insert(attempt.id, attempt);
        }
        Self { journal, known: Mutex::new(known) }
    }

    /// Makes an attempt known, once, and for good before this returns.
    ///
    /// It begins while it is on its way to the journal, where what it asks for stands behind it:
    /// its process shares the way to the disk, and is not started if the attempt is refused.
    pub(crate) async fn open(
        &self,
        id: AttemptId,
        epoch: u64,
        start: Bytes,
        begin: impl FnOnce(Arc<Attempt>),
    ) -> Result<Arc<Attempt>, Refused> {
        let attempt = match self.admit(id, epoch, start.clone())? {
            Opening::New(attempt) => attempt,
            Opening::Known(attempt) => {
                attempt.is_open().await.map_err(|refused| refusal(&refused))?;
                return Ok(attempt);
            }
        };
        let mut opening = pin!(self.journal.open_attempt(id, epoch, start));
        let asked = tokio::select! {
            biased;
            opened = &mut opening => Some(opened),
            // It was polled: it is on its way.
            () = ready(()) => None,
        };
        begin(Arc::clone(&attempt));
        let opened = match asked {
            Some(opened) => opened,
            None => opening.await,
        };
        let refused = match opened {
            Ok(Opened::New) => {
                attempt.opened(Ok(()));
                return Ok(attempt);
            }
            Ok(Opened::Known { .. }) => waggoner_supervisor::Refused {
                refusal: Refusal::Known { epoch },
                message: "the attempt ran here before, and its records are not kept any more"
                    .to_owned(),
            },
            Err(refused) => refused,
        };
        self.known().attempts.remove(&id);
        let answer = refusal(&refused);
        attempt.opened(Err(refused));
        Err(answer)
    }

    fn admit(&self, id: AttemptId, epoch: u64, start: Bytes) -> Result<Opening, Refused> {
        let mut known = self.known();
        if let Some(attempt) = known.attempts.get(&id) {
            return Ok(Opening::Known(Arc::clone(attempt)));
        }
        if known.draining {
            return Err(Refused::new(
                Reason::Unavailable,
                "the agent takes no new operations because it is stopping: send it elsewhere, or \
                 again once it is back",
            ));
        }
        known.forget(Instant::now());
        if known.attempts.len().saturating_sub(known.done.len()) >= OPEN {
            return Err(Refused::new(
                Reason::Exhausted,
                format!("the agent has {OPEN} operations running or waiting: send it later"),
            ));
        }
        let attempt = Arc::new(Attempt::new(Arc::clone(&self.journal), id, epoch, start));
        known.attempts.insert(id, Arc::clone(&attempt));
        Ok(Opening::New(attempt))
    }

    /// Returns an attempt that is known.
    pub(crate) fn get(&self, id: AttemptId) -> Result<Arc<Attempt>, Refused> {
        self.known().attempts.get(&id).cloned().ok_or_else(|| Refused::not_found("attempt", id))
    }

    /// Notes that the manager holds an attempt's outcome.
    pub(crate) fn done(&self, id: AttemptId) {
        let now = Instant::now();
        let mut known = self.known();
        known.done.push_back((now, id));
        known.forget(now);
    }

    /// Lists all that are known.
    pub(crate) fn list(&self) -> Vec<Arc<Attempt>> {
        self.known().attempts.values().cloned().collect()
    }

    /// Counts those whose outcome is not there yet.
    pub(crate) fn running(&self) -> usize {
        self.known().attempts.values().filter(|attempt| !attempt.is_ended()).count()
    }

    /// Takes no new attempts from now on.
    pub(crate) fn drain(&self) {
        self.known().draining = true;
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.known().draining
    }

    /// Orders the end of all that run.
    pub(crate) fn cancel_all(&self, order: &Cancel) {
        for attempt in self.list() {
            attempt.cancel(order.clone());
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while it holds the attempts")
    }
}

impl Listener for Attempts {
    fn hear(&self, event: Event) {
        match event {
            Event::Advanced { lasts, .. } => {
                for (id, last) in lasts {
                    if let Ok(attempt) = self.get(id) {
                        attempt.grow(last, false);
                    }
                }
            }
            Event::Ended { attempt, exited, last } => {
                if let Ok(attempt) = self.get(attempt) {
                    attempt.grow(last, false);
                    attempt.hear_exited(exited);
                }
            }
            Event::Disk { full: true } => {
                warn!("the agent's disk is full: what operations write waits for space");
            }
            Event::Disk { full: false } => info!("the agent's disk has space again"),
        }
    }

    fn take_stock(&self, attempts: Vec<waggoner_supervisor::Attempt>) {
        for known in attempts {
            let Ok(attempt) = self.get(known.id) else { continue };
            attempt.grow(known.last, known.ended);
            if let Some(exited) = known.exited {
                attempt.hear_exited(exited);
            }
        }
    }
}

/// The supervisor's no to a start, as the manager hears it.
fn refusal(refused: &waggoner_supervisor::Refused) -> Refused {
    match refused.refusal {
        Refusal::StaleEpoch { .. } => Refused::field("start.epoch", &refused.message),
        Refusal::Known { .. } => Refused::new(Reason::HistoryMismatch, &refused.message),
        Refusal::Full | Refusal::OverQuota => Refused::new(Reason::Exhausted, &refused.message),
        _ => Refused::new(Reason::Unavailable, &refused.message),
    }
}

// === impl Known ===

impl Known {
    fn forget(&mut self, now: Instant) {
        while let Some((since, id)) = self.done.front() {
            if self.done.len() <= REMEMBERED.1 && now.duration_since(*since) < REMEMBERED.0 {
                return;
            }
            self.attempts.remove(id);
            self.done.pop_front();
        }
    }
}

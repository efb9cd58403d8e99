//! The attempts that the agent knows: what runs, and what ended not long ago.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;
use waggoner_types::AttemptId;
use waggoner_wire::{Reason, Refused};

use crate::attempt::{Attempt, Cancel};

/// The attempts of one life of the daemon.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
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
pub(crate) enum Opening {
    /// Nobody has heard of the attempt: run it.
    New(Arc<Attempt>),
    /// It runs, or ran, already.
    Known(Arc<Attempt>),
}

/// How many attempts may be open at once, running or queued. A manager keeps its queue to itself.
const OPEN: usize = 10_000;

/// How long, and how many, ended attempts are remembered so that a repeated start does not run
/// again. A manager that lost its link asks again within minutes.
const REMEMBERED: (Duration, usize) = (Duration::from_hours(1), 4096);

// === impl Attempts ===

impl Attempts {
    /// Makes an attempt known, once.
    pub(crate) fn open(&self, id: AttemptId, epoch: u64) -> Result<Opening, Refused> {
        let mut known = self.known();
        if let Some(attempt) = known.attempts.get(&id) {
            if epoch < attempt.epoch {
                let newest = attempt.epoch;
                return Err(Refused::field(
                    "start.epoch",
                    format!("{epoch} is older than {newest}, which this agent has seen"),
                ));
            }
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
        let attempt = Arc::new(Attempt::new(id, epoch));
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
        self.known().attempts.values().filter(|attempt| !attempt.records.is_ended()).count()
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

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use uuid::Uuid;
    use waggoner_types::Outcome;

    use super::*;

    fn finish(attempts: &Attempts, attempt: &Attempt) {
        attempt.records.end(Outcome { result: Ok(Value::Null), exit: None });
        if attempt.records.ack(1) {
            attempts.done(attempt.id);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_is_new_once_and_for_an_hour() {
        let attempts = Attempts::default();
        let id = AttemptId(Uuid::now_v7());
        let Ok(Opening::New(attempt)) = attempts.open(id, 2) else { panic!("it is new") };
        assert!(matches!(attempts.open(id, 2), Ok(Opening::Known(_))));
        assert!(attempts.open(id, 1).unwrap_err().to_string().contains("1 is older than 2"));
        finish(&attempts, &attempt);
        tokio::time::advance(Duration::from_mins(59)).await;
        assert!(matches!(attempts.open(id, 2), Ok(Opening::Known(_))));
        tokio::time::advance(Duration::from_mins(1)).await;
        attempts.done(AttemptId(Uuid::now_v7()));
        assert!(attempts.get(id).is_err(), "it is forgotten");
    }

    #[tokio::test]
    async fn only_so_many_ended_attempts_are_remembered() {
        let attempts = Attempts::default();
        let ids: Vec<_> = (0..=REMEMBERED.1).map(|_| AttemptId(Uuid::now_v7())).collect();
        for id in &ids {
            let Ok(Opening::New(attempt)) = attempts.open(*id, 0) else { panic!("it is new") };
            finish(&attempts, &attempt);
        }
        assert!(attempts.get(ids[0]).is_err() && attempts.get(ids[1]).is_ok());
    }

    #[tokio::test]
    async fn an_agent_that_stops_takes_nothing_new() {
        let attempts = Attempts::default();
        attempts.drain();
        let refused = attempts.open(AttemptId(Uuid::now_v7()), 0).unwrap_err();
        assert_eq!(refused.reason, Reason::Unavailable);
    }
}

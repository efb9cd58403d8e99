//! Where the records of an attempt live until the manager has them: in memory, bounded.
//!
//! ```text
//!  append ──(waits for credits)──▶ [ acked+1 … last ] ── read(after) ──▶ conversation
//!                                        ▲
//!                       ack(upto) ───────┘ gives the credits back
//! ```
//!
//! Nothing outside this module knows how records are kept, so that a journal on disk can take its
//! place.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use waggoner_types::{Body, Outcome, Record};

/// The records of one attempt, in one sequence.
#[derive(Debug)]
pub(crate) struct Records {
    kept: Mutex<Kept>,
    /// The sequence of the last record.
    last: watch::Sender<u64>,
    /// Bytes that may still be appended before the manager acknowledges some.
    credits: Semaphore,
}

#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<Entry>,
    /// The manager holds all up to this one.
    acked: u64,
    /// The sequence of the outcome, once there is one.
    ended: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    record: Arc<Record>,
    /// The credits that it took.
    weight: usize,
}

/// How many bytes of an attempt may be unacknowledged.
///
/// Three full chunks: below what a stream of the link takes unread (`waggoner-link`'s
/// `STREAM_WINDOW`), so that an attempt never waits inside HTTP/2, where it would hold up others.
/// Beyond it the process's own pipe fills.
const CREDITS: usize = 192 * 1024;

/// What a record costs beside its text.
const OVERHEAD: usize = 64;

// === impl Records ===

impl Records {
    pub(crate) fn new() -> Self {
        let (kept, credits) = (Mutex::default(), Semaphore::new(CREDITS));
        Self { kept, last: watch::Sender::new(0), credits }
    }

    /// Appends a record once there is room for it; in the order of the calls. Cancel safe.
    pub(crate) async fn append(&self, body: Body) {
        let weight = weight(&body).min(CREDITS);
        let permits = u32::try_from(weight).expect("no more than the credits, which fit");
        let permit = self.credits.acquire_many(permits).await;
        permit.expect("the credits are never closed").forget();
        self.push(body, weight);
    }

    /// Appends a record of the attempt's own course, of which there are few: it takes no credits.
    pub(crate) fn append_now(&self, body: Body) {
        self.push(body, 0);
    }

    /// Appends the outcome, which is the last record. A second outcome is not taken.
    pub(crate) fn end(&self, outcome: Outcome) {
        if self.kept().ended.is_none() {
            self.push(Body::Outcome(outcome), 0);
        }
    }

    /// Returns the first record after one that the manager holds.
    pub(crate) fn after(&self, after: u64) -> Option<Arc<Record>> {
        let kept = self.kept();
        let first = kept.records.front()?.record.sequence;
        let at = usize::try_from(after.saturating_add(1).saturating_sub(first)).ok()?;
        kept.records.get(at).map(|entry| Arc::clone(&entry.record))
    }

    /// Drops what the manager holds for good. Of an ended attempt the outcome is kept, for a
    /// manager that asks once more. Returns whether this acknowledged the outcome.
    pub(crate) fn ack(&self, upto: u64) -> bool {
        let mut kept = self.kept();
        let upto = upto.min(*self.last.borrow());
        if upto <= kept.acked {
            return false;
        }
        kept.acked = upto;
        let mut freed = 0;
        while let Some(entry) = kept.records.front() {
            if entry.record.sequence > upto || Some(entry.record.sequence) == kept.ended {
                break;
            }
            freed += entry.weight;
            kept.records.pop_front();
        }
        self.credits.add_permits(freed);
        Some(upto) == kept.ended
    }

    /// Returns the sequence of the last record; 0 for none.
    pub(crate) fn last(&self) -> u64 {
        *self.last.borrow()
    }

    /// Follows the sequence of the last record.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Says whether the outcome is among the records.
    pub(crate) fn is_ended(&self) -> bool {
        self.kept().ended.is_some()
    }

    /// Says whether the manager holds the outcome.
    pub(crate) fn is_done(&self) -> bool {
        let kept = self.kept();
        kept.ended == Some(kept.acked)
    }

    fn push(&self, body: Body, weight: usize) {
        let mut kept = self.kept();
        if kept.ended.is_some() {
            // A straggler of the plugin's, after the end of its attempt.
            self.credits.add_permits(weight);
            return;
        }
        let sequence = *self.last.borrow() + 1;
        if matches!(body, Body::Outcome(_)) {
            kept.ended = Some(sequence);
        }
        let record = Arc::new(Record { sequence, time: Timestamp::now(), body });
        kept.records.push_back(Entry { record, weight });
        // Under the lock, so that the watchers see the records in order.
        self.last.send_replace(sequence);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nothing panics while it holds the records")
    }
}

fn weight(body: &Body) -> usize {
    OVERHEAD
        + match body {
            Body::Output { data, .. } => data.len(),
            Body::Log { logger, message, .. } => logger.len() + message.len(),
            Body::Event { event_type, message } => event_type.len() + message.len(),
            Body::ProcessStarted { .. } | Body::Outcome(_) | Body::Gap { .. } => 0,
        }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;
    use tokio::time::timeout;
    use waggoner_types::OutputStream;

    use super::*;

    fn output(bytes: usize) -> Body {
        Body::Output {
            stream: OutputStream::Stdout,
            offset: 0,
            lines: false,
            data: vec![b'x'; bytes],
        }
    }

    fn outcome() -> Outcome {
        Outcome { result: Ok(Value::Null), exit: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_acknowledge_stops_the_writer_at_the_bound() {
        let records = Records::new();
        let mut written = 0;
        while timeout(Duration::from_secs(1), records.append(output(65_536))).await.is_ok() {
            written += 1;
        }
        assert_eq!(written, 2, "with what records cost beside their bytes");
        records.ack(1);
        timeout(Duration::from_secs(1), records.append(output(65_536))).await.unwrap();
        assert_eq!(records.last(), 3);
    }

    #[tokio::test]
    async fn a_record_larger_than_the_bound_passes_alone() {
        let records = Records::new();
        records.append(output(3 * CREDITS)).await;
        records.ack(1);
        records.append(output(3 * CREDITS)).await;
        assert_eq!(records.last(), 2);
    }

    #[tokio::test]
    async fn the_outcome_is_kept_after_its_acknowledgement() {
        let records = Records::new();
        records.append(output(1)).await;
        records.end(outcome());
        assert!(records.is_ended() && !records.is_done());
        assert!(!records.ack(1));
        assert!(records.ack(2));
        assert!(!records.ack(2), "it is said once");
        assert!(records.is_done());
        assert_eq!(records.after(0).unwrap().sequence, 2);
        assert_eq!(records.after(1).unwrap().sequence, 2);
        assert!(records.after(2).is_none());
    }

    #[tokio::test]
    async fn nothing_follows_the_outcome() {
        let records = Records::new();
        records.end(outcome());
        records.append(output(1)).await;
        records.end(outcome());
        assert_eq!(records.last(), 1);
    }

    #[test]
    fn an_acknowledgement_of_what_is_not_there_yet_frees_only_what_is() {
        let records = Records::new();
        records.append_now(Body::ProcessStarted { pid: 1 });
        records.ack(99);
        records.append_now(Body::ProcessStarted { pid: 2 });
        assert_eq!(records.after(0).unwrap().sequence, 2);
        assert_eq!(records.after(1).unwrap().sequence, 2);
    }
}

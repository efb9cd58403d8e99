//! Records on their way to the store.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::{sync::oneshot, time};
use tracing::warn;
use waggoner_attempt::Prefix;
use waggoner_store::{
    Error, Store,
    attempt::{Batch, End, Watermark},
    event::{Entry, EntryKind, Origin},
};
use waggoner_task::Backoff;
use waggoner_types::{AttemptId, Body, Chain, LogLevel, Outcome, OutputStream, Record};

use crate::{executions::outcome::told, home::Home};

/// What the entries of an attempt's records have in common.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    pub(crate) origin: Arc<Origin>,
    /// The name of the logger that the operation's `ctx.logger` is.
    pub(crate) logger: String,
}

/// Records that were taken and are not being stored yet.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    entries: Vec<Entry>,
    records: usize,
    outcome: Option<Outcome>,
    /// Answered when the attempt's start is stored as an event, which comes before what it says.
    pub(super) begun: Option<oneshot::Receiver<()>>,
}

/// How a transaction ended.
#[derive(Debug)]
pub(super) enum Kept {
    Stored,
    /// It may have failed: the store holds this.
    Unknown {
        stored: Prefix,
    },
    /// The attempt is not in the store any more.
    Gone,
}

// === impl Gathered ===

impl Gathered {
    pub(super) fn len(&self) -> usize {
        self.records
    }

    /// Says whether there is anything that somebody waits for: output, an event, the outcome.
    pub(super) fn is_awaited(&self) -> bool {
        !self.entries.is_empty() || self.outcome.is_some()
    }

    pub(super) fn take(&mut self, speaker: &Speaker, record: Record) {
        self.records += 1;
        let Record { sequence, time, body } = record;
        let mut log = |kind, message| {
            let (origin, causes) = (Arc::clone(&speaker.origin), Vec::new());
            self.entries.push(Entry { origin, time, kind, message, causes, sequence });
        };
        match body {
            Body::ProcessStarted { .. } => {}
            Body::Outcome(outcome) => self.outcome = Some(outcome),
            Body::Output { stream, data, lines: false, .. } => {
                log(EntryKind::raw(stream, data), String::new());
            }
            Body::Output { stream, data, lines: true, .. } => {
                let logger = speaker.logger.clone();
                log(EntryKind::lines(logger, stream, data), String::new());
            }
            Body::Gap { stream, from, to, reason } => {
                let logger = stream_name(stream).to_owned();
                let bytes = to.saturating_sub(from);
                let message = format!("{bytes} bytes of output were not kept: {reason}");
                log(EntryKind::Log { level: LogLevel::Warning, logger }, message);
            }
            Body::Lost { reason, .. } if reason.is_empty() => {}
            Body::Lost { first, reason } => {
                let (level, logger) = (LogLevel::Warning, speaker.logger.clone());
                let message =
                    format!("records {first} to {sequence} of the operation are lost: {reason}");
                log(EntryKind::Log { level, logger }, message);
            }
            Body::Log { level, logger, message } => log(EntryKind::Log { level, logger }, message),
            Body::Event { event_type, message } => log(EntryKind::Event { event_type }, message),
        }
    }

    /// Forgets what was taken: it comes again.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.outcome = None;
        self.records = 0;
    }

    /// Stores what was taken. Returns the outcome that is among it.
    pub(super) fn keep(
        &mut self,
        home: &Home,
        attempt: AttemptId,
        upto: Prefix,
    ) -> (BoxFuture<'static, Kept>, Option<Outcome>) {
        let now = Timestamp::now();
        let outcome = self.outcome.take();
        let end = outcome.as_ref().map(|outcome| End { at: now, outcome: told(outcome) });
        let entries = std::mem::take(&mut self.entries);
        self.records = 0;
        let begun = if entries.is_empty() { None } else { self.begun.take() };
        let upto = Watermark { upto: upto.length, chain: upto.chain };
        let batch = Batch { attempt, upto, entries, end };
        (Box::pin(keep(home.store.clone(), batch, now, begun)), outcome)
    }
}

async fn keep(
    store: Store,
    batch: Batch,
    now: Timestamp,
    begun: Option<oneshot::Receiver<()>>,
) -> Kept {
    if let Some(begun) = begun {
        // It fails when the actor has ended, and nobody tells of the start any more.
        drop(begun.await);
    }
    let Batch { attempt, upto, .. } = batch;
    match store.ingest(batch, now).await {
        Ok(stored) if stored == upto => return Kept::Stored,
        Ok(Watermark { upto, chain }) => {
            return Kept::Unknown { stored: Prefix { length: upto, chain } };
        }
        Err(Error::Missing(_)) => return Kept::Gone,
        Err(error) => warn!(%attempt, error = %Chain(&error), "failed to store records"),
    }
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    loop {
        time::sleep(backoff.next()).await;
        match store.attempt(attempt).await {
            Ok(held) => {
                let Watermark { upto, chain } = held.watermark;
                return Kept::Unknown { stored: Prefix { length: upto, chain } };
            }
            Err(Error::Missing(_)) => return Kept::Gone,
            Err(error) => warn!(%attempt, error = %Chain(&error), "failed to read the watermark"),
        }
    }
}

fn stream_name(stream: OutputStream) -> &'static str {
    match stream {
        OutputStream::Stdout => "stdout",
        OutputStream::Stderr => "stderr",
    }
}

#[cfg(test)]
mod tests {
    use waggoner_types::OperationError;

    use super::*;

    fn told(body: Body) -> Vec<(String, String)> {
        let origin = Arc::new(Origin::of("t".parse().unwrap()));
        let speaker = Speaker { origin, logger: "ctx.task".to_owned() };
        let mut gathered = Gathered::default();
        gathered.take(&speaker, Record { sequence: 7, time: Timestamp::UNIX_EPOCH, body });
        assert_eq!(gathered.len(), 1);
        let entries = gathered.entries.into_iter();
        let tell = |entry: Entry| match entry.kind {
            EntryKind::Log { level, logger } => (format!("{level} {logger}"), entry.message),
            EntryKind::Event { event_type } => (event_type, entry.message),
            EntryKind::Output { level, logger, lines, data, .. } => {
                let text = String::from_utf8(data).unwrap();
                (format!("{level} {logger}{}", if lines { ", by line" } else { "" }), text)
            }
        };
        entries.inspect(|entry| assert_eq!(entry.sequence, 7)).map(tell).collect()
    }

    fn output(stream: OutputStream, lines: bool, text: &[u8]) -> Vec<(String, String)> {
        told(Body::Output { stream, offset: 0, lines, data: text.to_vec() })
    }

    fn said(kind: &str, message: &str) -> (String, String) {
        (kind.to_owned(), message.to_owned())
    }

    #[test]
    fn output_is_stored_as_it_came() {
        let (out, err) = (OutputStream::Stdout, OutputStream::Stderr);
        assert_eq!(output(out, false, b"a\nb\n"), [said("debug stdout", "a\nb\n")]);
        assert_eq!(output(out, true, b"a\r\nb"), [said("info ctx.task, by line", "a\r\nb")]);
        assert_eq!(output(err, true, b"\n"), [said("info ctx.task, by line", "\n")]);
    }

    #[test]
    fn nobody_waits_for_the_record_of_a_start() {
        let is_awaited = |body| {
            let origin = Arc::new(Origin::of("t".parse().unwrap()));
            let speaker = Speaker { origin, logger: "ctx.task".to_owned() };
            let mut gathered = Gathered::default();
            gathered.take(&speaker, Record { sequence: 1, time: Timestamp::UNIX_EPOCH, body });
            gathered.is_awaited()
        };
        assert!(!is_awaited(Body::ProcessStarted { pid: 7 }));
        let message = "said".to_owned();
        let log = Body::Log { level: LogLevel::Info, logger: "ctx".to_owned(), message };
        assert!(is_awaited(log));
        let result = Err(OperationError::recoverable("failed"));
        assert!(is_awaited(Body::Outcome(Outcome { result, exit: None })));
    }

    #[test]
    fn a_gap_is_on_record() {
        let reason = "the quota is used up".to_owned();
        let gap = Body::Gap { stream: OutputStream::Stderr, from: 10, to: 52, reason };
        let message = "42 bytes of output were not kept: the quota is used up";
        assert_eq!(told(gap), [said("warning stderr", message)]);
        // Of records in a row the last one tells.
        let lost = |reason: &str| told(Body::Lost { first: 3, reason: reason.to_owned() });
        assert_eq!(lost(""), []);
        let message = "records 3 to 7 of the operation are lost: the disk has spoilt them";
        assert_eq!(lost("the disk has spoilt them"), [said("warning ctx.task", message)]);
    }
}

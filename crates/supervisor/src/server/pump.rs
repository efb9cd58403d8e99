//! The output of a process, on its way into the journal.
//!
//! ```text
//!  chunk ─▶ tail ─▶ whole lines? ─▶ record ──┬─ written
//!                                            ├─ over quota ─▶ a gap, until something is acknowledged
//!                                            └─ disk full ──▶ wait: the pipe fills, the process waits
//! ```

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::info;
use waggoner_journal::{Class, Refused as Unwritten};
use waggoner_process::{Output, Source};
use waggoner_task::CancellationToken;
use waggoner_types::{Body, OutputStream};

use crate::{
    server::{
        attempt::Attempt,
        house::{FULL, House, encode},
        lines::Lines,
        tail::Tailing,
    },
    words::{Mode, Tail},
};

/// Carries the output of one process.
pub(super) struct Pump<'a> {
    house: &'a House,
    attempt: &'a Attempt,
    stdout: Stream,
    stderr: Stream,
    /// The process was ended by us: nothing waits long any more.
    stopped: CancellationToken,
    /// Whether the records tell that the disk is full.
    is_full: bool,
}

/// What is known at the end of the output.
pub(super) struct Heard {
    pub(super) stdout: Tail,
    pub(super) stderr: Tail,
    /// A descendant still held a pipe.
    pub(super) cut: bool,
}

struct Stream {
    name: OutputStream,
    mode: Mode,
    lines: Lines,
    tail: Tailing,
    /// How many bytes the records, or the gaps among them, tell of.
    told: u64,
    gap: Option<Gap>,
}

/// Output that was not kept, so far.
struct Gap {
    from: u64,
    reason: &'static str,
    /// How often something had been acknowledged when it began.
    acks: u64,
    since: Instant,
}

/// How long a gap is at least: each costs a record, and those have to fit too.
const GAP: Duration = Duration::from_secs(1);

/// How long the output of a process that was ended waits for space on the disk.
const PATIENCE: Duration = Duration::from_secs(10);

const QUOTA: &str = "more output waits for the manager than the agent may keep";
const DISK: &str = "the agent's disk was full when the operation was ended";
const BROKEN: &str = "the agent's disk has failed";

// === impl Pump ===

impl<'a> Pump<'a> {
    pub(super) fn new(
        house: &'a House,
        attempt: &'a Attempt,
        (stdout, stderr): (Mode, Mode),
        stopped: CancellationToken,
    ) -> Self {
        let stdout = Stream::new(OutputStream::Stdout, stdout);
        let stderr = Stream::new(OutputStream::Stderr, stderr);
        Self { house, attempt, stdout, stderr, stopped, is_full: false }
    }

    /// Carries all output. A future that is dropped loses nothing but what it held.
    pub(super) async fn run(&mut self, output: &mut Output) {
        while let Some(chunk) = output.next().await {
            self.attempt.hear();
            let stream = self.stream(chunk.source);
            stream.tail.push(&chunk.bytes);
            match stream.mode {
                Mode::Raw => self.record(chunk.source, chunk.bytes).await,
                Mode::Lines => {
                    for piece in stream.lines.push(&chunk.bytes) {
                        self.record(chunk.source, piece).await;
                    }
                }
                Mode::Discard => {}
            }
        }
    }

    /// Writes what is left: lines that have not ended, and gaps.
    pub(super) async fn finish(mut self, cut: bool) -> Heard {
        if cut {
            info!(attempt = %self.attempt.id, "a descendant holds the output; what it writes is lost");
        }
        for source in [Source::Stdout, Source::Stderr] {
            let rest = self.stream(source).lines.finish();
            if !rest.is_empty() {
                self.record(source, rest).await;
            }
            let to = self.stream(source).told;
            self.close_gap(source, to).await;
        }
        let Self { stdout, stderr, .. } = self;
        Heard { stdout: stdout.tail.into_tail(), stderr: stderr.tail.into_tail(), cut }
    }

    fn stream(&mut self, source: Source) -> &mut Stream {
        match source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        }
    }

    /// Writes bytes as a record, or counts them as missing.
    async fn record(&mut self, source: Source, data: Vec<u8>) {
        let acks = self.house.acks();
        let stream = self.stream(source);
        let offset = stream.told;
        stream.told += data.len() as u64;
        if let Some(gap) = &stream.gap {
            if gap.acks == acks || gap.since.elapsed() < GAP {
                return;
            }
            self.close_gap(source, offset).await;
        }
        let stream = self.stream(source);
        if stream.gap.is_some() {
            return;
        }
        let lines = stream.mode == Mode::Lines;
        let body = Body::Output { stream: stream.name, offset, lines, data };
        if let Err(reason) = self.append(body).await {
            let gap = Gap { from: offset, reason, acks, since: Instant::now() };
            self.stream(source).gap = Some(gap);
        }
    }

    /// Tells what is missing up to an offset, if it can be told.
    async fn close_gap(&mut self, source: Source, to: u64) {
        let stream = self.stream(source);
        let Some(Gap { from, reason, .. }) = stream.gap else { return };
        let (stream, reason) = (stream.name, reason.to_owned());
        let body = Body::Gap { stream, from, to, reason };
        if self.house.append(self.attempt, Class::Kept, body).await.is_ok() {
            self.stream(source).gap = None;
        }
    }

    /// Appends output; waits while the disk is full. Says why it was not kept.
    async fn append(&mut self, body: Body) -> Result<(), &'static str> {
        let (bytes, mut patience) = (encode(body), None);
        loop {
            let written = self.house.write_record(self.attempt, Class::Log, bytes.clone(), false);
            match written.await {
                Ok(_) => {
                    self.tell_full(false).await;
                    return Ok(());
                }
                Err(Unwritten::OverQuota | Unwritten::TooLarge { .. }) => return Err(QUOTA),
                Err(Unwritten::Full) => {}
                Err(
                    Unwritten::Io(_)
                    | Unwritten::Stopped
                    | Unwritten::Unknown
                    | Unwritten::Ended(_)
                    | Unwritten::Known { .. }
                    | Unwritten::StaleEpoch { .. },
                ) => return Err(BROKEN),
            }
            self.tell_full(true).await;
            // It is silent because we do not listen.
            self.attempt.hear();
            if self.stopped.is_cancelled() || self.attempt.is_ordered() {
                let until = *patience.get_or_insert_with(|| Instant::now() + PATIENCE);
                if until <= Instant::now() {
                    return Err(DISK);
                }
            }
            sleep(FULL).await;
        }
    }

    /// Tells the attempt's reader, once, why its output pauses or goes on.
    async fn tell_full(&mut self, full: bool) {
        if self.is_full == full {
            return;
        }
        self.is_full = full;
        let message = if full {
            "the disk of the agent is full: the operation waits until there is space"
        } else {
            "the disk of the agent has space again: the operation goes on"
        };
        let event_type = if full { "agent_disk_full" } else { "agent_disk_freed" };
        let body = Body::Event { event_type: event_type.to_owned(), message: message.to_owned() };
        // What does not fit even in the reserve is said by the daemon's own news.
        self.house.append(self.attempt, Class::Kept, body).await.ok();
    }
}

// === impl Stream ===

impl Stream {
    fn new(name: OutputStream, mode: Mode) -> Self {
        Self { name, mode, lines: Lines::default(), tail: Tailing::default(), told: 0, gap: None }
    }
}

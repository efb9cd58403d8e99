//! What a child writes, as bytes, in chunks.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    io::ioctl_fionread,
    pipe::fcntl_setpipe_size,
};
use tokio::{
    net::unix::pipe,
    time::{Instant, sleep_until},
};
use tracing::debug;

use crate::leader::Leader;

/// Stdout and stderr of a child, pulled by whoever reads them.
///
/// Dropping it closes the pipes: what still writes to them gets SIGPIPE.
#[derive(Debug)]
pub struct Output {
    leader: Arc<Leader>,
    streams: [Stream; 2],
    linger: Duration,
    end: End,
}

/// Consecutive bytes of one of the two streams: one to 131,072 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub source: Source,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Stdout,
    Stderr,
}

/// How near the end of the output is.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The leader runs.
    Open,
    /// The leader has ended; whoever else holds the pipes has until then.
    Lingering { until: Instant },
    /// Only what is in the pipes already is still read.
    Draining,
}

#[derive(Debug)]
struct Stream {
    source: Source,
    /// `None` once the end was read, or the rest was cut.
    pipe: Option<pipe::Receiver>,
    /// Zeroed beyond `filled`.
    buffer: Vec<u8>,
    filled: usize,
    /// When the first byte of the buffer was read.
    since: Option<Instant>,
    /// How often little was read into the buffer, and until when more may gather in the pipe.
    sips: u32,
    rests_until: Option<Instant>,
    /// More was written at once than fits into a small buffer: the pipe is as large as it gets.
    is_wide: bool,
    /// The most that is still read of it, when draining.
    left: usize,
    /// It was closed with a writer at the other end.
    cut: bool,
}

/// The most bytes in a chunk: what becomes of each costs as much as many of its bytes.
const CHUNK: usize = 128 * 1024;

/// How much a child that writes much may write while nobody reads: more than a chunk, so that it
/// goes on while one is carried away. Each pipe counts against what the pipes of a user may hold.
const PIPE: usize = 2 * CHUNK;

/// The first size of a buffer. Most operations write less.
const SMALL: usize = 4 * 1024;

/// How long a byte may wait for company. A person does not notice it in a live log, and it keeps
/// a child that writes line by line from costing a message per line.
const COMPANY: Duration = Duration::from_millis(20);

/// What is little to read at once.
const SIP: usize = 16 * 1024;

/// After how many sips of a chunk, and for how long, more may gather in the pipe first: to read
/// each line by itself costs both sides more than the line, and its chunk waits for company anyway.
const SIPS: u32 = 8;
const REST: Duration = Duration::from_millis(1);

/// Makes a pipe that was just opened one that is awaited.
pub(crate) fn receiver(pipe: OwnedFd) -> io::Result<pipe::Receiver> {
    // What kind of file it is, and that no other of these flags is set, nobody has to ask.
    fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
    pipe::Receiver::from_owned_fd_unchecked(pipe)
}

// === impl Output ===

impl Output {
    pub(crate) fn new(
        leader: Arc<Leader>,
        stdout: pipe::Receiver,
        stderr: pipe::Receiver,
        linger: Duration,
    ) -> Self {
        let streams = [Stream::new(Source::Stdout, stdout), Stream::new(Source::Stderr, stderr)];
        Self { leader, streams, linger, end: End::Open }
    }

    /// Returns the next chunk, or `None` at the end.
    ///
    /// The end is when both pipes are closed at their other ends; or, if a descendant keeps one
    /// open, the `linger` of the [`Spawn`](crate::Spawn) after the leader's exit. Everything that
    /// was written before that is returned, however late it is asked for. Cancel safe.
    pub async fn next(&mut self) -> Option<Chunk> {
        loop {
            let now = Instant::now();
            if let Some(chunk) = self.streams.iter_mut().find_map(|stream| stream.ready(now)) {
                return Some(chunk);
            }
            if self.streams.iter().all(|stream| stream.pipe.is_none()) {
                return None;
            }
            match self.end {
                End::Lingering { until } if until <= now => self.drain(),
                End::Draining => self.streams.iter_mut().for_each(Stream::drain),
                End::Open | End::Lingering { .. } => self.advance().await,
            }
        }
    }

    /// Says whether a descendant still held a pipe at the end, so that what it writes later is
    /// lost.
    pub fn is_cut(&self) -> bool {
        self.streams.iter().any(|stream| stream.cut)
    }

    /// Waits for the next thing to happen.
    async fn advance(&mut self) {
        let wakes_at = self.wakes_at();
        let running = matches!(self.end, End::Open);
        let [stdout, stderr] = &mut self.streams;
        tokio::select! {
            () = stdout.fill(), if stdout.pipe.is_some() => {}
            () = stderr.fill(), if stderr.pipe.is_some() => {}
            _ = self.leader.exited(), if running => {
                self.end = End::Lingering { until: Instant::now() + self.linger };
            }
            () = sleep_until(wakes_at.unwrap_or_else(Instant::now)), if wakes_at.is_some() => {}
        }
    }

    fn wakes_at(&self) -> Option<Instant> {
        let until = match self.end {
            End::Lingering { until } => Some(until),
            End::Open | End::Draining => None,
        };
        let flushes = self.streams.iter().filter_map(|stream| Some(stream.since? + COMPANY));
        flushes.chain(until).min()
    }

    fn drain(&mut self) {
        self.end = End::Draining;
        for stream in &mut self.streams {
            let waiting = stream.pipe.as_ref().map_or(Ok(0), ioctl_fionread);
            stream.left = waiting.ok().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        }
    }
}

// === impl Stream ===

impl Stream {
    fn new(source: Source, pipe: pipe::Receiver) -> Self {
        Self {
            source,
            pipe: Some(pipe),
            buffer: Vec::new(),
            filled: 0,
            since: None,
            sips: 0,
            rests_until: None,
            is_wide: false,
            left: usize::MAX,
            cut: false,
        }
    }

    /// Takes the chunk if it is full, old enough, or the last.
    fn ready(&mut self, now: Instant) -> Option<Chunk> {
        let since = self.since?;
        let due = self.filled == CHUNK || self.pipe.is_none() || since + COMPANY <= now;
        due.then(|| {
            // The next chunk is likely to be as large as this one.
            let mut bytes = std::mem::replace(&mut self.buffer, vec![0; self.filled.max(SMALL)]);
            bytes.truncate(self.filled);
            (self.filled, self.since, self.sips) = (0, None, 0);
            Chunk { source: self.source, bytes }
        })
    }

    /// Waits until there is something to read, and reads it. Cancel safe.
    async fn fill(&mut self) {
        if let Some(until) = self.rests_until {
            sleep_until(until).await;
            self.rests_until = None;
        }
        let Some(pipe) = &self.pipe else { return };
        let readable = pipe.readable().await;
        match readable.and_then(|()| self.read(pipe::Receiver::try_read)) {
            Ok(0) => self.pipe = None,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.fail(&error),
        }
    }

    /// Reads what was in the pipe when draining began; then closes it, and notes whether
    /// somebody still held it.
    fn drain(&mut self) {
        if self.pipe.is_none() {
            return;
        }
        let is_last = self.left == 0;
        self.left = self.left.max(1);
        // Past the reactor, which may not have heard yet that there is something to read.
        let read = self.read(|pipe, buffer| Ok(rustix::io::read(pipe, buffer)?));
        match read {
            Ok(0) => self.pipe = None,
            Ok(_) if !is_last => {}
            Ok(_) => (self.pipe, self.cut) = (None, true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                (self.pipe, self.cut) = (None, true);
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Reads once, without waiting. `Ok(0)` is the end.
    fn read(
        &mut self,
        read: impl FnOnce(&pipe::Receiver, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let Some(pipe) = &self.pipe else { return Ok(0) };
        if self.buffer.len() == self.filled {
            self.buffer.resize((self.filled * 2).clamp(SMALL, CHUNK), 0);
        }
        let room = (self.buffer.len() - self.filled).min(self.left);
        let count = read(pipe, &mut self.buffer[self.filled..self.filled + room])?;
        if count == room && !self.is_wide {
            // A user's pipes may have reached their limit: then it stays as large as it is.
            _ = fcntl_setpipe_size(pipe, PIPE);
            self.is_wide = true;
        }
        if count > 0 {
            self.since.get_or_insert_with(Instant::now);
            self.filled += count;
            self.sips += u32::from(count < SIP);
            self.rests_until = (count < SIP && self.sips > SIPS).then(|| Instant::now() + REST);
            self.left = if self.left == usize::MAX { self.left } else { self.left - count };
        }
        Ok(count)
    }

    fn fail(&mut self, error: &io::Error) {
        debug!(%error, source = ?self.source, "failed to read from the child");
        (self.pipe, self.cut) = (None, true);
    }
}

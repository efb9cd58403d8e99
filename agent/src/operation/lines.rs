//! The output of a script, line by line, as Cloudify logs it (`OutputConsumer`,
//! `cloudify/utils.py`).

use std::collections::VecDeque;

use waggoner_process::{Chunk, Source};
use waggoner_types::LogLevel;

use crate::{
    attempt::Attempt,
    context::HostApi,
    operation::oversee::{Raw, Sink},
};

/// How a script's streams are logged (`script_runner/tasks.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) stdout: bool,
    pub(super) stderr: bool,
}

/// Turns chunks into log lines, and keeps the end of each stream for a failure.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    api: &'a HostApi,
    raw: Raw<'a>,
    logged: Logged,
    stdout: Stream,
    stderr: Stream,
}

#[derive(Debug, Default)]
struct Stream {
    /// The line that has not ended yet.
    begun: Vec<u8>,
    tail: Tail,
}

/// The last bytes of a stream.
#[derive(Debug, Default)]
struct Tail {
    bytes: VecDeque<u8>,
    cut: bool,
}

/// A line that does not end is logged in pieces of this size: with what is put before each of them
/// it fits into one log record.
const LONGEST: usize = 32 * 1024 - 64;

/// How much of a stream a failure repeats: what a person reads, and a fraction of a message.
const KEPT: usize = 16 * 1024;

// === impl Lines ===

impl<'a> Lines<'a> {
    pub(super) fn new(attempt: &'a Attempt, api: &'a HostApi, logged: Logged) -> Self {
        let (stdout, stderr) = Default::default();
        Self { api, raw: Raw(attempt), logged, stdout, stderr }
    }

    /// Logs what did not end with a line feed, and returns the ends of both streams.
    pub(super) async fn finish(mut self) -> (String, String) {
        for source in [Source::Stdout, Source::Stderr] {
            let begun = std::mem::take(&mut self.stream(source).begun);
            if !begun.is_empty() {
                self.log(source, &begun).await;
            }
        }
        (self.stdout.tail.text(), self.stderr.tail.text())
    }

    fn stream(&mut self, source: Source) -> &mut Stream {
        match source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        }
    }

    async fn log(&self, source: Source, line: &[u8]) {
        let prefix = match source {
            Source::Stdout => "<out> ",
            Source::Stderr => "<err> ",
        };
        let line = String::from_utf8_lossy(line);
        let message = format!("{prefix}{}", line.trim_end_matches(['\r', '\n']));
        self.api.log(LogLevel::Info, None, message).await;
    }
}

impl Sink for Lines<'_> {
    async fn begin(&mut self, pid: i32) {
        let message = format!("Process created, PID: {pid}");
        self.api.log(LogLevel::Info, None, message).await;
    }

    async fn take(&mut self, chunk: Chunk) {
        let source = chunk.source;
        let is_logged = match source {
            Source::Stdout => self.logged.stdout,
            Source::Stderr => self.logged.stderr,
        };
        if !is_logged {
            return self.raw.take(chunk).await;
        }
        let stream = self.stream(source);
        stream.tail.push(&chunk.bytes);
        for line in stream.lines(&chunk.bytes) {
            self.log(source, &line).await;
        }
    }
}

// === impl Stream ===

impl Stream {
    /// Returns the lines that end in these bytes.
    fn lines(&mut self, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end + 1);
            self.begun.extend_from_slice(line);
            self.cut(&mut lines);
            lines.push(std::mem::take(&mut self.begun));
            bytes = rest;
        }
        self.begun.extend_from_slice(bytes);
        self.cut(&mut lines);
        lines
    }

    /// Takes whole pieces off a line that is too long.
    fn cut(&mut self, lines: &mut Vec<Vec<u8>>) {
        while self.begun.len() > LONGEST {
            let end = boundary(&self.begun);
            let rest = self.begun.split_off(end);
            lines.push(std::mem::replace(&mut self.begun, rest));
        }
    }
}

/// Returns where to cut a long line so that no letter is split.
fn boundary(bytes: &[u8]) -> usize {
    let is_inside = |at: &usize| bytes[*at] & 0b1100_0000 == 0b1000_0000;
    (LONGEST - 3..=LONGEST).rev().find(|at| !is_inside(at)).unwrap_or(LONGEST)
}

// === impl Tail ===

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(KEPT);
        if excess > 0 {
            self.bytes.drain(..excess);
            self.cut = true;
        }
    }

    fn text(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        if self.cut { format!("[…]{text}") } else { text.into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However the output is cut into chunks, the same lines come of it, and no byte is lost.
        #[test]
        fn chunks_do_not_matter(chunks in prop::collection::vec(prop::collection::vec(
            prop_oneof![Just(b'\n'), any::<u8>()], 0..40), 0..20)) {
            let mut stream = Stream::default();
            let mut lines: Vec<_> = chunks.iter().flat_map(|chunk| stream.lines(chunk)).collect();
            lines.push(stream.begun);
            let whole = chunks.concat();
            prop_assert_eq!(lines.concat(), whole.clone());
            let expected: Vec<_> = whole.split_inclusive(|byte| *byte == b'\n').collect();
            let lines: Vec<_> = lines.iter().filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(lines, expected);
        }
    }

    #[test]
    fn a_line_without_end_is_cut_between_letters() {
        let mut stream = Stream::default();
        let text = format!("x{}", "é".repeat(LONGEST));
        let lines = stream.lines(text.as_bytes());
        assert!(
            lines.iter().all(|line| line.len() <= LONGEST && std::str::from_utf8(line).is_ok())
        );
        assert_eq!([lines.concat(), stream.begun].concat(), text.as_bytes());
    }

    #[test]
    fn a_line_that_comes_at_once_is_cut_like_one_that_comes_bit_by_bit() {
        let mut stream = Stream::default();
        let text = format!("{}\n", "x".repeat(3 * LONGEST + 7));
        let lines = stream.lines(text.as_bytes());
        let lengths: Vec<_> = lines.iter().map(Vec::len).collect();
        assert_eq!(lengths, [LONGEST, LONGEST, LONGEST, 8]);
    }

    #[test]
    fn only_the_end_of_much_output_is_kept() {
        let mut tail = Tail::default();
        tail.push(&vec![b'a'; KEPT]);
        tail.push(b"end");
        assert!(tail.text().starts_with("[…]aaa") && tail.text().ends_with("aend"));
        assert_eq!(tail.bytes.len(), KEPT);
    }
}

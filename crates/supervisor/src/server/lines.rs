//! Bytes, cut into pieces of whole lines.

use std::mem::take;

/// The line of a stream that has not ended yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

/// A line that is longer is cut into pieces of this size: with what is put before each of them it
/// fits into one log record of 32 KiB.
const LONGEST: usize = 32 * 1024 - 64;

/// The most bytes of a piece: a chunk of output and the line that had begun before it, so that a
/// chunk becomes one piece, and not one and a little more.
const PIECE: usize = 128 * 1024 + LONGEST;

/// The most lines of a piece: what becomes of each costs more than its bytes, and who reads them
/// back gets a whole piece at once.
const MOST: usize = 2048;

// === impl Lines ===

impl Lines {
    /// Returns the pieces that end in these bytes.
    ///
    /// A piece holds whole lines; or its last line is a part of one that is too long, and has no
    /// line feed. Where lines are cut does not depend on how the bytes come.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut pieces = Pieces::of(self.begun.len() + bytes.len());
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut part = part;
            while self.begun.len() + part.len() > LONGEST {
                // Enough to see where a letter ends.
                let (now, later) = part.split_at((LONGEST + 1).saturating_sub(self.begun.len()));
                self.begun.extend_from_slice(now);
                let rest = self.begun.split_off(boundary(&self.begun));
                pieces.add(&take(&mut self.begun));
                pieces.end();
                self.begun = rest;
                part = later;
            }
            if part.ends_with(b"\n") {
                if self.begun.is_empty() {
                    pieces.add(part);
                } else {
                    self.begun.extend_from_slice(part);
                    pieces.add(&self.begun);
                    self.begun.clear();
                }
            } else {
                self.begun.extend_from_slice(part);
            }
        }
        pieces.end();
        pieces.done
    }

    /// Returns what has not ended with a line feed; empty if nothing has not.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        take(&mut self.begun)
    }
}

/// Returns where to cut a long line so that no letter is split.
fn boundary(bytes: &[u8]) -> usize {
    let is_inside = |at: &usize| bytes[*at] & 0b1100_0000 == 0b1000_0000;
    (LONGEST - 3..=LONGEST).rev().find(|at| !is_inside(at)).unwrap_or(LONGEST)
}

struct Pieces {
    done: Vec<Vec<u8>>,
    open: Vec<u8>,
    lines: usize,
    /// How many bytes may come.
    left: usize,
}

// === impl Pieces ===

impl Pieces {
    fn of(left: usize) -> Self {
        Self { done: Vec::new(), open: Vec::new(), lines: 0, left }
    }

    fn add(&mut self, line: &[u8]) {
        if self.lines == MOST || self.open.len() + line.len() > PIECE {
            self.end();
        }
        if self.open.is_empty() {
            self.open.reserve(self.left.min(PIECE));
        }
        self.open.extend_from_slice(line);
        self.left = self.left.saturating_sub(line.len());
        self.lines += 1;
    }

    fn end(&mut self) {
        self.lines = 0;
        if !self.open.is_empty() {
            self.done.push(take(&mut self.open));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a reader of the pieces sees.
    fn lines(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let lines = pieces.iter().flat_map(|piece| piece.split_inclusive(|byte| *byte == b'\n'));
        lines.map(<[u8]>::to_vec).collect()
    }

    fn cut(whole: &[u8], chunk: usize) -> Vec<Vec<u8>> {
        let mut cutter = Lines::default();
        let mut pieces: Vec<_> =
            whole.chunks(chunk.max(1)).flat_map(|chunk| cutter.push(chunk)).collect();
        pieces.extend(Some(cutter.finish()).filter(|rest| !rest.is_empty()));
        pieces
    }

    proptest! {
        /// However the output comes, the same lines come of it, and no byte is lost.
        #[test]
        fn chunks_do_not_matter(
            lengths in prop::collection::vec(prop_oneof![0..90_usize, LONGEST - 3..LONGEST + 3, 3 * LONGEST..3 * LONGEST + 9], 0..8),
            letter in prop_oneof![Just("x"), Just("é"), Just("漢"), Just("🚚")],
            chunk in prop_oneof![1..64_usize, 10_000..140_000_usize],
        ) {
            let whole = lengths.iter().map(|length| letter.repeat(length / letter.len())).collect::<Vec<_>>().join("\n");
            let pieces = cut(whole.as_bytes(), chunk);
            prop_assert_eq!(pieces.concat(), whole.as_bytes());
            prop_assert_eq!(lines(&pieces), lines(&cut(whole.as_bytes(), whole.len())));
            for piece in &pieces {
                prop_assert!(str::from_utf8(piece).is_ok(), "a letter is cut");
                prop_assert!(piece.len() <= PIECE);
            }
        }

        #[test]
        fn bytes_that_are_no_text_are_kept(whole in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..400), chunk in 1..50_usize) {
            prop_assert_eq!(cut(&whole, chunk).concat(), whole);
        }
    }

    #[test]
    fn a_piece_has_2048_lines_at_the_most() {
        let counts: Vec<_> = cut(&b"\n".repeat(5000), 131_072).iter().map(Vec::len).collect();
        assert_eq!(counts, [2048, 2048, 904]);
    }

    #[test]
    fn a_long_line_is_cut_and_its_pieces_stand_alone() {
        let text = format!("a\n{}\nb\nc", "x".repeat(2 * LONGEST + 7));
        let lengths: Vec<_> = cut(text.as_bytes(), 70_000).iter().map(Vec::len).collect();
        assert_eq!(lengths, [2 + LONGEST, LONGEST, 10, 1]);
    }

    #[test]
    fn a_full_chunk_is_one_piece_wherever_its_lines_end() {
        let line = format!("{}\n", "x".repeat(99));
        let whole = line.repeat(5 * 128 * 1024 / line.len());
        let mut lines = Lines::default();
        let chunks = whole.as_bytes().chunks_exact(128 * 1024);
        assert!(chunks.map(|chunk| lines.push(chunk).len()).all(|pieces| pieces == 1));
    }

    #[test]
    fn what_has_not_ended_waits_for_its_end() {
        let mut lines = Lines::default();
        assert!(lines.push(b"be").is_empty());
        assert_eq!(lines.push(b"gun\nen"), [b"begun\n"]);
        assert_eq!(lines.finish(), b"en");
        assert!(lines.finish().is_empty());
    }
}

//! Keeps the directory small: segments that nothing is needed of are removed, and out of those that
//! little is needed of, that little is written again at the front.
//!
//! So there are never more bytes than twice what is needed, and some segments.

use std::io;

use tracing::error;

use super::{Cause, Journal, Staged};
use crate::{
    frame::{Header, PREFIX},
    front::Stuck,
    state::{Due, Spot},
    walk::{Look, Step, Walk},
};

/// How far a segment has been gone through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cleaning {
    segment: u64,
    offset: u64,
}

/// The bytes that one step writes again beyond twice those that were asked for since the last one,
/// so that cleaning keeps up with writing and never holds it up for long.
const STEP: u64 = 256 << 10;

enum Live {
    Whole { header: Header, payload: Vec<u8> },
    Spoilt(Header),
}

// === impl Journal ===

impl Journal {
    /// Does a step of what there is to tidy. Says whether there is more.
    pub fn tidy(&mut self) -> io::Result<bool> {
        self.unbroken()?;
        let last = self.place().segment;
        let now = self.disk.now().as_secs();
        let pinned = self.state.forget_due(Due {
            before: now.saturating_sub(self.settings.remembered.as_secs()),
            most: self.settings.remembered_count,
            oldest: self.closed.keys().next().copied().unwrap_or(last),
        });
        self.remove_what_is_dead()?;

        let cleaning = self.cleaning.filter(|cleaning| self.closed.contains_key(&cleaning.segment));
        let Some(cleaning) = cleaning.or_else(|| self.choose(pinned)) else {
            self.cleaning = None;
            return Ok(false);
        };
        let most = 2 * std::mem::take(&mut self.written) + STEP;
        self.cleaning = self.clean(cleaning, most)?;
        let more = self.cleaning.is_some() || self.needs_nothing_of(cleaning.segment);
        Ok(more)
    }

    fn needs_nothing_of(&self, segment: u64) -> bool {
        self.state.needed_of(segment) == 0
    }

    /// Removes the segments that nothing is needed of, the oldest first and each for good: a
    /// tombstone must not go before the frames it stands for.
    fn remove_what_is_dead(&mut self) -> io::Result<()> {
        let dead: Vec<_> =
            self.closed.keys().copied().filter(|segment| self.needs_nothing_of(*segment)).collect();
        if dead.is_empty() {
            return Ok(());
        }
        // What made them dead: acknowledgements, tombstones, frames written again.
        self.sync()?;
        for segment in dead {
            self.disk.remove(segment)?;
            self.disk.sync()?;
            self.closed.remove(&segment);
        }
        Ok(())
    }

    /// The segment that least is needed of, if there is too much that is not needed.
    fn choose(&self, pinned: bool) -> Option<Cleaning> {
        let size: u64 = self.closed.values().sum();
        let slack = 2 * self.front.segment();
        let segment = if size > 2 * self.state.needed() + slack {
            let share = |(segment, size): &(&u64, &u64)| {
                self.state.needed_of(**segment) * 1000 / (**size).max(1)
            };
            self.closed.iter().min_by_key(share).map(|(segment, _)| *segment)?
        } else if pinned {
            *self.closed.keys().next()?
        } else {
            return None;
        };
        Some(Cleaning { segment, offset: PREFIX as u64 })
    }

    /// Writes what is needed of a segment again, `most` bytes of it. `None` at its end, or if there
    /// is no room now.
    fn clean(&mut self, from: Cleaning, most: u64) -> io::Result<Option<Cleaning>> {
        let Cleaning { segment, mut offset } = from;
        let file = self.disk.open(segment)?;
        let walk = Walk::begin(file, segment, u64::MAX, Look::Whole)?;
        let Some(mut walk) = walk else {
            self.state.abandon(segment);
            return Ok(None);
        };
        walk.seek(offset);
        let mut moved = 0;
        while moved < most {
            let Some((live, spot)) = self.next_live(&mut walk, segment)? else {
                if self.flush_moved()? {
                    // What was not met cannot be read any more.
                    self.state.abandon(segment);
                }
                return Ok(None);
            };
            match live {
                Live::Whole { header, payload } => {
                    if !self.write_again(header, spot, &payload)? {
                        self.flush_moved()?;
                        return Ok(None);
                    }
                    moved += spot.size;
                }
                Live::Spoilt(header) => {
                    error!(segment, attempt = %header.attempt, "a part of the journal is spoilt");
                    self.state.give_up(&header, spot);
                }
            }
            offset = spot.offset + spot.size;
        }
        Ok(self.flush_moved()?.then_some(Cleaning { segment, offset }))
    }

    fn next_live(&self, walk: &mut Walk, segment: u64) -> io::Result<Option<(Live, Spot)>> {
        while let Some(step) = walk.next()? {
            let (header, offset) = match &step {
                Step::Frame { header, offset, .. } => (*header, *offset),
                Step::Spoilt { header: Some(header), from, .. } => (*header, *from),
                Step::Spoilt { header: None, .. } => continue,
            };
            let spot = Spot { segment, offset, size: header.end(offset) - offset };
            if !self.state.needs(&header, spot) {
                continue;
            }
            let live = match step {
                Step::Frame { payload, .. } => Live::Whole { header, payload: payload.to_vec() },
                Step::Spoilt { .. } => Live::Spoilt(header),
            };
            return Ok(Some((live, spot)));
        }
        Ok(None)
    }

    /// Says whether there was room.
    fn write_again(&mut self, mut header: Header, from: Spot, payload: &[u8]) -> io::Result<bool> {
        if self.front.is_over(from.size) && self.roll(from.size, &mut []).is_err() {
            return self.unbroken().map(|()| false);
        }
        match self.front.room(from.size, self.front.reserve() / 2) {
            Ok(()) => {}
            Err(Stuck::Full) => return Ok(false),
            Err(Stuck::Io(error)) => return Err(error),
        }
        let spot = self.front.push(&mut header, payload);
        self.staged.push(Staged { header, spot, cause: Cause::Moved { from } });
        Ok(true)
    }

    /// Says whether what was written again is in the file.
    fn flush_moved(&mut self) -> io::Result<bool> {
        let written = self.written;
        let flushed = self.flush(&mut []);
        self.written = written;
        self.unbroken().map(|()| flushed.is_ok())
    }
}

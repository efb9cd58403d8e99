//! What the frames written so far come to: which attempts there are, and which frames are needed.
//!
//! The same function takes in a frame that was just written and one that is found at the start, so
//! that a journal knows after a crash what it knew before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use waggoner_types::AttemptId;

use crate::{
    frame::{Header, Kind},
    runs::{Freed, Runs},
};

mod tombstone;
mod usage;

pub(crate) use tombstone::Due;
use tombstone::Tombstone;
use usage::Usage;

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    /// The bytes of the whole frame.
    pub(crate) size: u64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    attempts: HashMap<AttemptId, Attempt>,
    tombstones: HashMap<AttemptId, Tombstone>,
    /// The tombstones by age.
    ages: BTreeSet<(u64, AttemptId)>,
    usage: Usage,
}

/// An attempt that has not both ended and been acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) tip: Tip,
    pub(crate) notes: BTreeMap<u8, Spot>,
    pub(crate) runs: Runs,
    ack: Option<Spot>,
}

/// Where an attempt stands: all that deciding needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) epoch: u64,
    pub(crate) last: u64,
    pub(crate) chain: u64,
    pub(crate) acked: u64,
    pub(crate) ended: bool,
    /// The bytes of records that are decided upon and not written yet.
    pub(crate) pending: u64,
}

// === impl Tip ===

impl Tip {
    /// Nothing of the attempt is needed but the fact.
    pub(crate) fn is_tombstone(&self) -> bool {
        self.ended && self.acked == self.last
    }
}

// === impl State ===

impl State {
    pub(crate) fn tip(&self, id: AttemptId) -> Option<Tip> {
        let live = self.attempts.get(&id).map(|attempt| attempt.tip);
        live.or_else(|| self.tombstones.get(&id).map(Tombstone::tip))
    }

    /// Sets where an attempt is going to stand, once what was decided is written. Gives back where
    /// it stood.
    pub(crate) fn decide(&mut self, id: AttemptId, tip: Tip) -> Option<Tip> {
        if let Some(attempt) = self.attempts.get_mut(&id) {
            return Some(std::mem::replace(&mut attempt.tip, tip));
        }
        self.attempts.insert(id, Attempt::new(tip));
        None
    }

    /// Undoes [`Self::decide`].
    pub(crate) fn undo(&mut self, id: AttemptId, tip: Option<Tip>) {
        match (tip, self.attempts.get_mut(&id)) {
            (Some(tip), Some(attempt)) => attempt.tip = tip,
            _ => {
                self.attempts.remove(&id);
            }
        }
    }

    pub(crate) fn attempts(&self) -> &HashMap<AttemptId, Attempt> {
        &self.attempts
    }

    /// The bytes of all frames that are needed.
    pub(crate) fn needed(&self) -> u64 {
        self.usage.total()
    }

    /// The bytes of the frames of a segment that are needed.
    pub(crate) fn needed_of(&self, segment: u64) -> u64 {
        self.usage.of(segment)
    }

    /// Takes in a frame that is in its segment.
    pub(crate) fn replay(&mut self, header: &Header, spot: Spot) {
        if header.kind == Kind::Tombstone {
            self.entomb(header, spot);
            return;
        }
        let Some(attempt) = attempt_of(&mut self.attempts, &self.tombstones, header) else {
            return;
        };
        match header.kind {
            Kind::Open | Kind::Note => {
                let old = attempt.notes.insert(header.slot, spot);
                self.usage.replace(old, spot);
            }
            Kind::Record | Kind::End => {
                attempt.tip.pending = attempt.tip.pending.saturating_sub(spot.size);
                attempt.saw(header);
                let needed = header.number > attempt.tip.acked;
                if needed && attempt.runs.insert(header.number, spot.segment, spot.size) {
                    self.usage.add(spot.segment, spot.size);
                }
            }
            Kind::Ack | Kind::Tombstone => {
                self.usage.replace(attempt.ack.replace(spot), spot);
                attempt.acked(header);
                self.usage.free(attempt.runs.trim(attempt.tip.acked));
            }
        }
    }

    /// Takes in what is left of a frame whose payload is spoilt.
    pub(crate) fn spoilt(&mut self, header: &Header) {
        let Some(attempt) = attempt_of(&mut self.attempts, &self.tombstones, header) else {
            return;
        };
        match header.kind {
            // An older note of the slot is not what stood there.
            Kind::Open | Kind::Note => {
                let old = attempt.notes.remove(&header.slot);
                self.usage.free(old.map(Spot::freed));
            }
            Kind::Record | Kind::End => attempt.saw(header),
            Kind::Ack | Kind::Tombstone => {}
        }
    }

    /// Says whether a frame is needed.
    pub(crate) fn needs(&self, header: &Header, spot: Spot) -> bool {
        let attempt = self.attempts.get(&header.attempt);
        match header.kind {
            Kind::Tombstone => {
                self.tombstones.get(&header.attempt).is_some_and(|tombstone| tombstone.spot == spot)
            }
            Kind::Open | Kind::Note => {
                attempt.is_some_and(|attempt| attempt.notes.get(&header.slot) == Some(&spot))
            }
            Kind::Record | Kind::End => {
                attempt.is_some_and(|attempt| attempt.runs.holds(header.number, spot.segment))
            }
            Kind::Ack => attempt.is_some_and(|attempt| attempt.ack == Some(spot)),
        }
    }

    /// Takes in that a frame was written again elsewhere.
    pub(crate) fn moved(&mut self, header: &Header, from: Spot, to: Spot) {
        if !self.needs(header, from) {
            return;
        }
        if let Kind::Record | Kind::End = header.kind {
            self.drop_record(header, from);
        }
        self.replay(header, to);
    }

    /// Gives up a frame that is needed and was found to be spoilt.
    pub(crate) fn give_up(&mut self, header: &Header, spot: Spot) {
        match header.kind {
            Kind::Record | Kind::End => self.drop_record(header, spot),
            Kind::Open | Kind::Note => self.spoilt(header),
            Kind::Ack | Kind::Tombstone => {}
        }
    }

    /// Gives up what is still said to lie in a segment.
    pub(crate) fn abandon(&mut self, segment: u64) {
        for attempt in self.attempts.values_mut() {
            attempt.notes.retain(|_, spot| spot.segment != segment);
            attempt.ack = attempt.ack.filter(|spot| spot.segment != segment);
            attempt.runs.abandon(segment);
        }
        let gone: Vec<_> = self.tombstones_of(segment).collect();
        for id in gone {
            self.forget(id);
        }
        self.usage.drop_segment(segment);
    }

    /// Ends the start: an acknowledgement may have outlived the records it names.
    pub(crate) fn settle(&mut self) {
        for attempt in self.attempts.values_mut() {
            attempt.tip.last = attempt.tip.last.max(attempt.tip.acked);
        }
    }

    fn drop_record(&mut self, header: &Header, spot: Spot) {
        if let Some(attempt) = self.attempts.get_mut(&header.attempt) {
            self.usage.free(attempt.runs.take(header.number, spot.segment, spot.size));
        }
    }
}

// === impl Attempt ===

impl Attempt {
    fn new(tip: Tip) -> Self {
        Self { tip, notes: BTreeMap::new(), runs: Runs::default(), ack: None }
    }

    fn saw(&mut self, header: &Header) {
        if header.number > self.tip.last {
            self.tip.last = header.number;
            self.tip.chain = header.chain;
        }
        self.tip.ended |= header.kind == Kind::End;
    }

    fn acked(&mut self, header: &Header) {
        self.tip.acked = self.tip.acked.max(header.number);
        if header.before > self.tip.last {
            self.tip.last = header.before;
            self.tip.chain = header.chain;
        }
    }

    fn freed(self) -> impl Iterator<Item = Freed> {
        let mut runs = self.runs;
        let records = runs.trim(u64::MAX);
        let others = self.notes.into_values().chain(self.ack).map(Spot::freed);
        others.chain(records)
    }
}

// === impl Spot ===

impl Spot {
    fn freed(self) -> Freed {
        Freed { segment: self.segment, bytes: self.size }
    }
}

/// The attempt of a frame, which may be the first that is found of it. `None` if nothing of it is
/// needed.
fn attempt_of<'a>(
    attempts: &'a mut HashMap<AttemptId, Attempt>,
    tombstones: &HashMap<AttemptId, Tombstone>,
    header: &Header,
) -> Option<&'a mut Attempt> {
    if tombstones.contains_key(&header.attempt) {
        return None;
    }
    let new = || Attempt::new(Tip { epoch: header.epoch, ..Tip::default() });
    Some(attempts.entry(header.attempt).or_insert_with(new))
}

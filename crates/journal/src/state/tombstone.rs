//! That an attempt was: kept for longer than anybody asks for it again.

use waggoner_types::AttemptId;

use super::{Attempt, Spot, State, Tip};
use crate::frame::Header;

#[derive(Clone, Copy, Debug)]
pub(super) struct Tombstone {
    epoch: u64,
    last: u64,
    chain: u64,
    /// Seconds since 1970.
    since: u64,
    /// Behind this segment there is no other frame of the attempt.
    origin: u64,
    pub(super) spot: Spot,
}

/// Which tombstones may be forgotten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    /// Those from before this time, in seconds since 1970,
    pub(crate) before: u64,
    /// and the oldest above this number.
    pub(crate) most: usize,
    /// The oldest segment there is. A segment before a tombstone's may hold frames of its attempt,
    /// which would be taken for a living one were the tombstone gone.
    pub(crate) oldest: u64,
}

// === impl Tombstone ===

impl Tombstone {
    pub(super) fn tip(&self) -> Tip {
        let Self { epoch, last, chain, since: _, origin: _, spot: _ } = *self;
        Tip { epoch, last, chain, acked: last, ended: true, pending: 0 }
    }
}

// === impl State ===

impl State {
    pub(crate) fn tombstones(&self) -> impl Iterator<Item = (AttemptId, Tip)> {
        self.tombstones.iter().map(|(id, tombstone)| (*id, tombstone.tip()))
    }

    /// Forgets what is due. Says whether older segments have to go before more than `most` can.
    pub(crate) fn forget_due(&mut self, due: Due) -> bool {
        while let Some(&(since, id)) = self.ages.first() {
            let over = self.ages.len() > due.most;
            if !over && since >= due.before {
                return false;
            }
            if self.tombstones.get(&id).is_some_and(|tombstone| tombstone.origin > due.oldest) {
                return over;
            }
            self.forget(id);
        }
        false
    }

    pub(super) fn tombstones_of(&self, segment: u64) -> impl Iterator<Item = AttemptId> {
        let here = self.tombstones.iter().filter(move |(_, stone)| stone.spot.segment == segment);
        here.map(|(id, _)| *id)
    }

    pub(super) fn entomb(&mut self, header: &Header, spot: Spot) {
        if let Some(attempt) = self.attempts.remove(&header.attempt) {
            self.usage.free(Attempt::freed(attempt));
        }
        self.forget(header.attempt);
        let Header { epoch, number: last, chain, before: since, extra: origin, .. } = *header;
        let tombstone = Tombstone { epoch, last, chain, since, origin, spot };
        self.tombstones.insert(header.attempt, tombstone);
        self.ages.insert((since, header.attempt));
        self.usage.add(spot.segment, spot.size);
    }

    pub(super) fn forget(&mut self, id: AttemptId) {
        if let Some(tombstone) = self.tombstones.remove(&id) {
            self.ages.remove(&(tombstone.since, id));
            self.usage.free([tombstone.spot.freed()]);
        }
    }
}

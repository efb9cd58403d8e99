//! How many bytes of each segment are needed.

use std::collections::BTreeMap;

use super::Spot;
use crate::runs::Freed;

#[derive(Debug, Default)]
pub(super) struct Usage {
    by_segment: BTreeMap<u64, u64>,
    total: u64,
}

// === impl Usage ===

impl Usage {
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn of(&self, segment: u64) -> u64 {
        self.by_segment.get(&segment).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, segment: u64, bytes: u64) {
        *self.by_segment.entry(segment).or_default() += bytes;
        self.total += bytes;
    }

    pub(super) fn free(&mut self, freed: impl IntoIterator<Item = Freed>) {
        for Freed { segment, bytes } in freed {
            if let Some(of) = self.by_segment.get_mut(&segment) {
                let bytes = bytes.min(*of);
                *of -= bytes;
                self.total -= bytes;
            }
        }
    }

    pub(super) fn replace(&mut self, old: Option<Spot>, new: Spot) {
        self.free(old.map(Spot::freed));
        self.add(new.segment, new.size);
    }

    pub(super) fn drop_segment(&mut self, segment: u64) {
        self.total -= self.by_segment.remove(&segment).unwrap_or(0);
    }
}

//! Where the records of an attempt lie, by segment.

use std::{collections::BTreeMap, ops::RangeInclusive};

/// Records that are needed, as runs without a hole. A sequence is in one run at the most.
///
/// The bytes of a run are exact as long as all of it is needed. Once a part is not, the rest is
/// estimated, until the run is gone and with it the exact remainder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    by_first: BTreeMap<u64, Run>,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    last: u64,
    segment: u64,
    bytes: u64,
}

/// Bytes of a segment that are not needed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freed {
    pub(crate) segment: u64,
    pub(crate) bytes: u64,
}

// === impl Runs ===

impl Runs {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Says whether the record was not there before.
    pub(crate) fn insert(&mut self, sequence: u64, segment: u64, bytes: u64) -> bool {
        match self.by_first.range_mut(..=sequence).next_back() {
            Some((_, run)) if run.last >= sequence => return false,
            Some((_, run)) if run.last + 1 == sequence && run.segment == segment => {
                run.last = sequence;
                run.bytes += bytes;
            }
            _ => {
                self.by_first.insert(sequence, Run { last: sequence, segment, bytes });
            }
        }
        self.bytes += bytes;
        true
    }

    pub(crate) fn holds(&self, sequence: u64, segment: u64) -> bool {
        let run = self.by_first.range(..=sequence).next_back();
        run.is_some_and(|(_, run)| run.last >= sequence && run.segment == segment)
    }

    /// Drops what is not needed after `upto` was acknowledged.
    pub(crate) fn trim(&mut self, upto: u64) -> Vec<Freed> {
        let mut freed = vec![];
        while let Some((&first, &run)) = self.by_first.first_key_value() {
            if first > upto {
                break;
            }
            self.by_first.remove(&first);
            let gone = upto.min(run.last) - first + 1;
            let share = u128::from(run.bytes) * u128::from(gone) / u128::from(run.last - first + 1);
            let bytes = u64::try_from(share).unwrap_or(run.bytes);
            if run.last > upto {
                self.by_first.insert(upto + 1, Run { bytes: run.bytes - bytes, ..run });
            }
            self.bytes -= bytes;
            freed.push(Freed { segment: run.segment, bytes });
        }
        freed
    }

    /// Drops a record, which takes `bytes`, and what its run has before it: who goes through the
    /// segment in order and has not met those cannot read them.
    pub(crate) fn take(&mut self, sequence: u64, segment: u64, bytes: u64) -> Option<Freed> {
        let (&first, &run) = self.by_first.range(..=sequence).next_back()?;
        if run.last < sequence || run.segment != segment {
            return None;
        }
        self.by_first.remove(&first);
        let bytes = if run.last == sequence {
            run.bytes
        } else {
            let bytes = bytes.min(run.bytes - 1);
            self.by_first.insert(sequence + 1, Run { bytes: run.bytes - bytes, ..run });
            bytes
        };
        self.bytes -= bytes;
        Some(Freed { segment, bytes })
    }

    /// Drops what lies in a segment that cannot be read.
    pub(crate) fn abandon(&mut self, segment: u64) {
        self.by_first.retain(|_, run| run.segment != segment);
        self.bytes = self.by_first.values().map(|run| run.bytes).sum();
    }

    /// What is missing after `after` and up to `last`.
    pub(crate) fn holes(&self, after: u64, last: u64) -> Vec<RangeInclusive<u64>> {
        let mut holes = vec![];
        let mut next = after + 1;
        for (first, run) in &self.by_first {
            if next < *first {
                holes.push(next..=first - 1);
            }
            next = next.max(run.last + 1);
        }
        if next <= last {
            holes.push(next..=last);
        }
        holes
    }
}

//! Records that the disk has spoilt: what is said in their place.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use waggoner_attempt::agent::Held;
use waggoner_proto::agent::v1 as pb;
use waggoner_types::{Body, Record};
use waggoner_wire::{Reason, Refused, to_record};

/// Records in a row that cannot be read any more.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) records: RangeInclusive<u64>,
    /// The digest of the last of them; 0 where it is not known.
    pub(super) chain: u64,
}

const REASON: &str = "the agent's disk has spoilt them";

// === impl Lost ===

impl Lost {
    /// Says whether the attempt can go on without them: with its outcome, nobody can tell how it
    /// ended.
    pub(super) fn is_bearable(&self, held: &Held) -> Result<(), Refused> {
        if held.ended && self.records.contains(&held.last) {
            let why = format!("the outcome of the attempt is lost: {REASON}");
            return Err(Refused::new(Reason::HistoryMismatch, why));
        }
        Ok(())
    }

    pub(super) fn holds(&self, sequence: u64) -> bool {
        self.records.contains(&sequence)
    }

    /// What is said in the place of one of them. The last one tells of all.
    pub(super) fn stand_in(&self, sequence: u64) -> pb::Record {
        let is_last = sequence == *self.records.end();
        let reason = if is_last { REASON.to_owned() } else { String::new() };
        let body = Body::Lost { first: *self.records.start(), reason };
        let record = to_record(Record { sequence, time: Timestamp::now(), body });
        pb::Record { chain: if is_last { self.chain } else { 0 }, ..record }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_outcome_may_be_lost_and_the_last_of_a_row_tells_of_it() {
        let lost = Lost { records: 3..=4, chain: 7 };
        for (last, ended, bearable) in [(4, false, true), (5, true, true), (4, true, false)] {
            let held = Held { last, ended, ..Held::default() };
            assert_eq!(lost.is_bearable(&held).is_ok(), bearable, "{held:?}");
        }
        let said = [3, 4].map(|sequence| lost.stand_in(sequence));
        assert_eq!(said.each_ref().map(|record| (record.sequence, record.chain)), [(3, 0), (4, 7)]);
        let reasons = said.map(|record| match record.body {
            Some(pb::record::Body::Lost(pb::Lost { first: 3, reason })) => reason,
            other => panic!("{other:?}"),
        });
        assert_eq!(reasons, ["", REASON]);
    }
}

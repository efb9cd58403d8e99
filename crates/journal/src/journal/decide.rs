//! Whether a write is taken, as which frame, and where its attempt stands then.

use super::Journal;
use crate::{
    Class, Refused, Write, Written,
    frame::{self, Header, Kind},
    state::Tip,
};

pub(super) struct Decision {
    /// `None` if there is nothing to write.
    pub(super) header: Option<Header>,
    pub(super) tip: Tip,
    /// The bytes of the reserve that the frame may not touch.
    pub(super) left: u64,
}

/// How many attempts there may be at a time: it bounds the memory.
const MOST_ATTEMPTS: usize = 10_000;

// === impl Decision ===

impl Decision {
    pub(super) fn written(&self) -> Written {
        Written { sequence: self.tip.last, chain: self.tip.chain }
    }
}

// === impl Journal ===

impl Journal {
    pub(super) fn decide(&self, write: &Write, known: Option<Tip>) -> Result<Decision, Refused> {
        let reserve = self.front.reserve();
        let blank = blank(write);
        match (write, known) {
            (Write::Open { epoch, .. }, Some(known)) if *epoch < known.epoch => {
                Err(Refused::StaleEpoch { newest: known.epoch })
            }
            (Write::Open { .. }, Some(known)) => Err(Refused::Known { epoch: known.epoch }),
            (Write::Open { epoch, .. }, None) => {
                if self.is_over(Class::Log) || self.state.attempts().len() >= MOST_ATTEMPTS {
                    return Err(Refused::OverQuota);
                }
                let tip = Tip { epoch: *epoch, ..Tip::default() };
                let header = Header { epoch: *epoch, ..blank };
                Ok(Decision { header: Some(header), tip, left: reserve })
            }
            (_, None) => Err(Refused::Unknown),

            (Write::Note { slot, .. }, Some(tip)) => {
                if tip.is_tombstone() {
                    return Err(Refused::Ended(stands(&tip)));
                }
                let header = Header { slot: *slot, epoch: tip.epoch, ..blank };
                Ok(Decision { header: Some(header), tip, left: 0 })
            }
            (Write::Record { .. } | Write::End { .. }, Some(tip)) if tip.ended => {
                Err(Refused::Ended(stands(&tip)))
            }
            (Write::Record { attempt, class, .. }, Some(tip)) => {
                let own = self.state.attempts().get(attempt);
                let own = own.map_or(0, |own| own.runs.bytes()) + tip.pending;
                if own >= most(self.settings.per_attempt, *class) || self.is_over(*class) {
                    return Err(Refused::OverQuota);
                }
                let left = match class {
                    Class::Log => reserve,
                    Class::Kept => reserve / 2,
                };
                Ok(record(write, blank, tip, left))
            }
            (Write::End { .. }, Some(tip)) => Ok(record(write, blank, tip, 0)),
            (Write::Ack { upto, .. }, Some(tip)) => Ok(self.ack(*upto, blank, tip)),
        }
    }

    fn is_over(&self, class: Class) -> bool {
        self.state.needed() + self.front.gathered() >= most(self.settings.total, class)
    }

    fn ack(&self, upto: u64, blank: Header, tip: Tip) -> Decision {
        let upto = upto.min(tip.last);
        let header = Header { epoch: tip.epoch, chain: tip.chain, ..blank };
        let header = if upto <= tip.acked {
            // An outcome is not acknowledged before it is there.
            None
        } else if tip.ended && upto == tip.last {
            Some(Header {
                kind: Kind::Tombstone,
                number: tip.last,
                before: self.disk.now().as_secs(),
                extra: self.place().segment,
                ..header
            })
        } else {
            Some(Header { number: upto, before: tip.last, ..header })
        };
        Decision { header, tip: Tip { acked: tip.acked.max(upto), ..tip }, left: 0 }
    }
}

fn most(quota: u64, class: Class) -> u64 {
    match class {
        Class::Log => quota,
        Class::Kept => quota.saturating_add(quota / 8),
    }
}

fn record(write: &Write, blank: Header, tip: Tip, left: u64) -> Decision {
    let payload = write.payload();
    let chain = frame::digest(payload, tip.chain);
    let number = tip.last + 1;
    let header = Header { epoch: tip.epoch, number, before: tip.chain, chain, ..blank };
    let tip = Tip {
        last: number,
        chain,
        ended: header.kind == Kind::End,
        pending: tip.pending + frame::size(payload.len()),
        ..tip
    };
    Decision { header: Some(header), tip, left }
}

/// A header that says nothing but whose and what kind it is.
fn blank(write: &Write) -> Header {
    let payload = write.payload();
    Header {
        kind: match write {
            Write::Open { .. } => Kind::Open,
            Write::Note { .. } => Kind::Note,
            Write::Record { .. } => Kind::Record,
            Write::End { .. } => Kind::End,
            Write::Ack { .. } => Kind::Ack,
        },
        slot: 0,
        attempt: write.attempt(),
        epoch: 0,
        number: 0,
        before: 0,
        chain: match write {
            Write::Open { .. } | Write::Note { .. } => frame::digest(payload, 0),
            // It continues the one before, or is that of a record that is there.
            Write::Record { .. } | Write::End { .. } | Write::Ack { .. } => 0,
        },
        extra: 0,
        length: u32::try_from(payload.len()).expect("`write` has measured the payload"),
        synced: 0,
    }
}

fn stands(tip: &Tip) -> Written {
    Written { sequence: tip.last, chain: tip.chain }
}

//! The attempts that the journal knows, told in pages.

use std::collections::VecDeque;

use prost::Message as _;
use tokio::sync::Mutex;
use waggoner_journal::Recovered;
use waggoner_proto::supervisor::v1 as pb;

use crate::{
    message::from_id,
    refusal::Refused,
    server::{
        birth::{self, FREE, Slot},
        house::House,
    },
};

/// What of a list has not been asked for yet.
#[derive(Debug, Default)]
pub(super) struct Listing {
    rest: Mutex<VecDeque<Recovered>>,
}

/// The bytes of a page, unless one attempt alone has more.
const PAGE: usize = 1024 * 1024;

// === impl Listing ===

impl Listing {
    /// Returns the attempts after one; from the first, if it is empty.
    pub(super) async fn page(&self, house: &House, after: &str) -> Result<pb::Listed, Refused> {
        let mut rest = self.rest.lock().await;
        if after.is_empty() {
            // In the order of their ids.
            *rest = house.writer.snapshot().await?.into();
        } else {
            let after = from_id(after)?;
            while rest.front().is_some_and(|known| known.attempt <= after) {
                rest.pop_front();
            }
        }
        let (mut attempts, mut size) = (Vec::new(), 0);
        while let Some(known) = rest.pop_front() {
            let attempt = to_attempt(&known);
            size += attempt.encoded_len();
            if size > PAGE && !attempts.is_empty() {
                rest.push_front(known);
                break;
            }
            attempts.push(attempt);
        }
        Ok(pb::Listed { attempts, more: !rest.is_empty() })
    }
}

fn to_attempt(known: &Recovered) -> pb::Attempt {
    let note = |slot: Slot| known.notes.get(&slot.number()).map(|note| &note[..]);
    let free = known.notes.range(FREE..);
    pb::Attempt {
        attempt_id: known.attempt.to_string(),
        epoch: known.epoch,
        start: note(Slot::Start).unwrap_or_default().to_vec(),
        birth: birth::read(note(Slot::Birth)),
        exited: note(Slot::Exited).map(|note| pb::Exited::decode(note).unwrap_or_default()),
        cancel: note(Slot::Cancel).map(|note| pb::Cancel::decode(note).unwrap_or_default()),
        notes: free.map(|(slot, note)| (u32::from(*slot), note.to_vec())).collect(),
        last: known.last,
        chain: known.chain,
        acked: known.acked,
        ended: known.ended,
        forgotten: known.tombstone,
        lost: known
            .lost
            .iter()
            .map(|range| pb::Range { first: *range.start(), last: *range.end() })
            .collect(),
    }
}

//! The network of the model: conversations, each with a queue in either direction, that keep their
//! order and may be cut at any place.

use std::collections::VecDeque;

use waggoner_attempt::{
    Order, Prefix,
    agent::Talk,
    manager::{Opening, Refusal},
};

/// A record of the model's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) payload: u64,
    pub(crate) bytes: usize,
    pub(crate) ends: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Down {
    Open(Opening),
    Ack(u64),
    Answer { question: u64, verdict: u64 },
    Cancel(Order),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Up {
    Accepted,
    Record {
        sequence: u64,
        chain: u64,
        entry: Entry,
    },
    Question {
        question: u64,
        key: u64,
    },
    Heartbeat {
        said: u64,
    },
    Refused(Refusal),
    /// The agent closed it, or refused it as one that was taken over.
    End,
}

/// One conversation on the wire.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) down: VecDeque<Down>,
    pub(crate) up: VecDeque<Up>,
    /// Nothing that is said from now on arrives; what is on its way may.
    pub(crate) cut: bool,
    pub(crate) manager_left: bool,
    pub(crate) agent_left: bool,
    pub(crate) talk: Option<Talk>,
    /// Records said and not acknowledged, as the agent's end knows it.
    pub(crate) flight: VecDeque<(u64, usize)>,
}

/// How many messages wait in one direction before the other end must take one.
pub(crate) const QUEUE: usize = 16;

// === impl Line ===

impl Line {
    pub(crate) fn say_down(&mut self, message: Down) {
        if !self.cut {
            self.down.push_back(message);
        }
    }

    pub(crate) fn say_up(&mut self, message: Up) {
        if !self.cut {
            self.up.push_back(message);
        }
    }

    /// Says whether the agent's end may say more.
    pub(crate) fn has_room(&self) -> bool {
        self.up.len() < QUEUE
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.flight.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// The digest of a record and all before it.
pub(crate) fn chain(before: u64, entry: Entry) -> u64 {
    let Entry { payload, ends, .. } = entry;
    let mixed = before.rotate_left(23) ^ payload.wrapping_mul(2).wrapping_add(u64::from(ends));
    mixed.wrapping_mul(0x0100_0000_01B3).wrapping_add(0x9E37_79B9) | 1
}

/// The digest of records from the first on.
pub(crate) fn prefix(entries: &[Entry]) -> Prefix {
    let digest = entries.iter().fold(0, |before, entry| chain(before, *entry));
    Prefix { length: entries.len() as u64, chain: digest }
}

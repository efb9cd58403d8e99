//! What one step answers with, in the making.

use jiff::{SignedDuration, Timestamp};

use crate::{Effect, EventType, Told};

#[derive(Debug)]
pub(super) struct Turn {
    pub(super) now: Timestamp,
    pub(super) effects: Vec<Effect>,
    /// The turn goes through what has happened before.
    pub(super) is_replay: bool,
}

// === impl Turn ===

impl Turn {
    pub(super) fn at(now: Timestamp) -> Self {
        Self { now, effects: Vec::new(), is_replay: false }
    }

    pub(super) fn replay() -> Self {
        Self { now: Timestamp::UNIX_EPOCH, effects: Vec::new(), is_replay: true }
    }

    /// Tells of the execution as a whole.
    pub(super) fn tell(&mut self, event_type: EventType, message: String) {
        self.emit(Told {
            event_type,
            message,
            instance: None,
            target: None,
            operation: None,
            task: None,
            retry_number: 0,
            total_retries: 0,
            causes: Vec::new(),
        });
    }

    pub(super) fn emit(&mut self, told: Told) {
        self.effects.push(Effect::Emit(Box::new(told)));
    }
}

/// A time later by a duration, or the last there is.
pub(super) fn later(time: Timestamp, after: SignedDuration) -> Timestamp {
    time.checked_add(after).unwrap_or(Timestamp::MAX)
}

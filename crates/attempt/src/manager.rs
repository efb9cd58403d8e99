//! The manager's half: from a link to the stored outcome, over as many links as it takes.
//!
//! ```text
//!             linked                    record, flush           stored
//!  Waiting ───────────▶ Talking ───────────────────▶ storing ───────────▶ ack
//!   ▲   │  open, cancel    │                                       │
//!   │   │                  │ cut; a hole; a wrong chain;           │ the outcome is stored
//!   │   │                  │ a store that failed                   ▼
//!   └───┼──────────────────┘                                     Over: told
//!       │ the agent forgot it, holds another history, refused the start,
//!       │ or patience is over
//!       ▼
//!     Over: given up, with the reason
//! ```
//!
//! Nothing is acknowledged before it is stored. A record that does not continue what was taken is
//! not taken: the conversation is begun again where the store has it, a bounded number of times
//! without progress. So it is when a heartbeat tells that records were said which did not come.

use crate::{Order, Prefix};

mod words;

pub use words::{Batch, Input, Opening, Output, Reason, Record, Refusal};

/// How many times in a row a conversation is begun again because of wrong records.
pub const REWINDS: u32 = 8;

/// The manager's half.
#[derive(Clone, Debug)]
pub struct Half {
    stored: Prefix,
    taken: Prefix,
    /// Whether the outcome is among what was taken.
    ends: bool,
    storing: Option<Batch>,
    agent: Agent,
    order: Option<Order>,
    rewinds: u32,
    phase: Phase,
}

/// What the agent may have heard of the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agent {
    Nothing,
    /// A start, if it arrived.
    Sent,
    /// A start of an earlier manager, if there was one: it is asked first.
    Asked,
    /// It accepted it.
    Accepted,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Whether a link came while records were being stored.
    Waiting {
        linked: bool,
    },
    Talking,
    Over,
}

// === impl Half ===

impl Half {
    /// The half of an attempt that was never sent.
    pub fn new() -> Self {
        Self {
            stored: Prefix::default(),
            taken: Prefix::default(),
            ends: false,
            storing: None,
            agent: Agent::Nothing,
            order: None,
            rewinds: 0,
            phase: Phase::Waiting { linked: false },
        }
    }

    /// The half of an attempt that an earlier manager may have sent, and of which it stored this.
    /// It starts nothing: where the agent never heard of the attempt it says so.
    pub fn restored(stored: Prefix) -> Self {
        let agent = if stored.length > 0 { Agent::Accepted } else { Agent::Asked };
        Self { stored, taken: stored, agent, ..Self::new() }
    }

    /// Returns what was taken: the next record's digest continues it.
    pub fn taken(&self) -> Prefix {
        self.taken
    }

    /// Returns what is stored.
    pub fn stored(&self) -> Prefix {
        self.stored
    }

    /// Says whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Takes an input. One that comes after its time changes nothing.
    pub fn step(&mut self, input: Input) -> Vec<Output> {
        if self.is_over() {
            return Vec::new();
        }
        match input {
            Input::Linked => self.linked(),
            Input::Cut => self.cut(Vec::new()),
            Input::Refused(refusal) => self.refused(refusal),
            Input::Accepted => {
                if self.is_talking() {
                    self.agent = Agent::Accepted;
                }
                Vec::new()
            }
            Input::Record(record) => self.record(record),
            Input::Heartbeat { said } if self.is_talking() && said > self.taken.length => {
                self.rewind()
            }
            Input::Heartbeat { .. } => Vec::new(),
            Input::Unreadable if self.is_talking() => self.rewind(),
            Input::Unreadable => Vec::new(),
            Input::Flush => self.flush(),
            Input::Stored => self.stored_now(),
            Input::StoreFailed { stored } => self.store_failed(stored),
            Input::Question(question) if self.is_talking() => vec![Output::Answer { question }],
            Input::Answered(question) if self.is_talking() => vec![Output::Reply { question }],
            Input::Question(_) | Input::Answered(_) => Vec::new(),
            Input::Cancel(order) => self.cancel(order),
            Input::PatienceOver => match self.phase {
                Phase::Waiting { linked: false } if self.storing.is_none() => {
                    let unsent = self.agent == Agent::Nothing;
                    self.give_up(if unsent { Reason::Unsent } else { Reason::Absent })
                }
                Phase::Waiting { .. } | Phase::Talking | Phase::Over => Vec::new(),
            },
        }
    }

    fn linked(&mut self) -> Vec<Output> {
        if let Phase::Waiting { linked } = &mut self.phase {
            *linked = true;
        }
        self.proceed()
    }

    /// Opens the conversation once there is a link and nothing is being stored: what is stored
    /// then is what it goes on after. An agent that knows the attempt takes a start as a resume.
    fn proceed(&mut self) -> Vec<Output> {
        if !matches!(self.phase, Phase::Waiting { linked: true }) || self.storing.is_some() {
            return Vec::new();
        }
        let opening = match self.agent {
            Agent::Nothing | Agent::Sent => {
                self.agent = Agent::Sent;
                Opening::Start
            }
            Agent::Asked | Agent::Accepted => Opening::Resume(self.stored),
        };
        self.phase = Phase::Talking;
        let mut outputs = vec![Output::Open(opening)];
        // The agent may not have heard of it; to hear it twice changes nothing.
        outputs.extend(self.order.map(Output::Cancel));
        outputs
    }

    fn cut(&mut self, mut outputs: Vec<Output>) -> Vec<Output> {
        if self.is_talking() {
            self.forget();
            self.phase = Phase::Waiting { linked: false };
            outputs.push(Output::Wait);
        }
        outputs
    }

    fn refused(&mut self, refusal: Refusal) -> Vec<Output> {
        if !self.is_talking() {
            return Vec::new();
        }
        if self.storing.is_some() {
            // What is on its way may be the outcome: a refusal that stands comes again.
            return self.cut(Vec::new());
        }
        match (refusal, self.agent) {
            (Refusal::Unknown, Agent::Accepted) => self.give_up(Reason::Forgotten),
            (Refusal::Unknown, Agent::Asked) => self.give_up(Reason::Unheard),
            (Refusal::Declined, Agent::Sent) => self.give_up(Reason::Declined),
            (Refusal::OtherHistory, _) => self.give_up(Reason::OtherHistory),
            (Refusal::Rebooted, _) => self.give_up(Reason::Rebooted),
            (Refusal::Unknown | Refusal::Declined, _) => self.cut(Vec::new()),
        }
    }

    fn record(&mut self, record: Record) -> Vec<Output> {
        if !self.is_talking() {
            return Vec::new();
        }
        self.agent = Agent::Accepted;
        let Record { sequence, said, computed, ends } = record;
        if sequence <= self.taken.length {
            return Vec::new();
        }
        let next = Prefix { length: self.taken.length + 1, chain: computed };
        if self.ends || sequence != next.length || next.contradicts(said) {
            return self.rewind();
        }
        self.taken = next;
        self.ends = ends;
        vec![Output::Take]
    }

    fn rewind(&mut self) -> Vec<Output> {
        self.rewinds += 1;
        if self.rewinds > REWINDS && self.storing.is_none() {
            return self.give_up(Reason::Broken);
        }
        self.cut(vec![Output::Close])
    }

    fn flush(&mut self) -> Vec<Output> {
        if self.storing.is_some() || self.taken == self.stored {
            return Vec::new();
        }
        let batch = Batch { upto: self.taken, ends: self.ends };
        self.storing = Some(batch);
        vec![Output::Store(batch)]
    }

    fn stored_now(&mut self) -> Vec<Output> {
        let Some(batch) = self.storing.take() else { return Vec::new() };
        self.stored = batch.upto;
        self.rewinds = 0;
        let mut outputs = Vec::new();
        if self.is_talking() {
            outputs.push(Output::Ack { upto: batch.upto.length });
        }
        if batch.ends {
            self.phase = Phase::Over;
            outputs.push(Output::Tell);
            return outputs;
        }
        outputs.extend(self.flush());
        outputs.extend(self.proceed());
        outputs
    }

    fn store_failed(&mut self, stored: Prefix) -> Vec<Output> {
        if self.storing.is_some_and(|batch| batch.upto == stored) {
            return self.stored_now();
        }
        self.storing = None;
        self.stored = stored;
        if self.is_talking() {
            return self.cut(vec![Output::Close]);
        }
        self.forget();
        self.proceed()
    }

    fn cancel(&mut self, order: Order) -> Vec<Output> {
        if self.order >= Some(order) {
            return Vec::new();
        }
        self.order = Some(order);
        match self.phase {
            Phase::Talking => vec![Output::Cancel(order)],
            Phase::Waiting { .. } if self.agent == Agent::Nothing => self.give_up(Reason::Unsent),
            Phase::Waiting { .. } | Phase::Over => Vec::new(),
        }
    }

    fn give_up(&mut self, reason: Reason) -> Vec<Output> {
        let close = self.is_talking().then_some(Output::Close);
        self.phase = Phase::Over;
        close.into_iter().chain([Output::GiveUp(reason)]).collect()
    }

    /// Forgets what was taken and is not on its way to the store.
    fn forget(&mut self) {
        self.taken = self.storing.map_or(self.stored, |batch| batch.upto);
        self.ends = self.storing.is_some_and(|batch| batch.ends);
    }

    fn is_talking(&self) -> bool {
        matches!(self.phase, Phase::Talking)
    }
}

impl Default for Half {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;

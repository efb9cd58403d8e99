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
//! without progress.

use std::collections::BTreeSet;

use crate::{Order, Prefix};

/// How many times in a row a conversation is begun again because of wrong records.
pub const REWINDS: u32 = 8;

/// What a link tells of an attempt before anything new is sent over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roll {
    /// The agent has the attempt.
    Holds,
    /// The agent does not know it.
    Lacks,
    /// The roll is older than what was said over the link.
    Unsaid,
}

/// A record as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place, from 1.
    pub sequence: u64,
    /// The digest that the agent says; 0 for none.
    pub said: u64,
    /// The digest that continues [`Half::taken`].
    pub computed: u64,
    /// Whether it is the outcome.
    pub ends: bool,
}

/// What happens to the manager's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The agent has a link.
    Linked(Roll),
    /// The conversation was lost.
    Cut,
    /// The agent refused the conversation.
    Refused(Refusal),
    /// The agent knows the attempt from here on.
    Accepted,
    /// A record came.
    Record(Record),
    /// No more records are there at the moment.
    Flush,
    /// What was told to be stored is.
    Stored,
    /// What was told to be stored is not, as far as is known.
    StoreFailed,
    /// The agent asks.
    Question(u64),
    /// The answer is ready.
    Answered(u64),
    /// The attempt is to end early.
    Cancel(Order),
    /// The agent was waited for long enough.
    PatienceOver,
}

/// Why the agent refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not know the attempt.
    Unknown,
    /// It holds other records, or has dropped those that are missing here.
    OtherHistory,
    /// It does not run this operation.
    Declined,
}

/// What the manager must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Begin a conversation.
    Open(Opening),
    /// Hang up; records that were taken and not told to be stored are forgotten.
    Close,
    /// Wait for a link, with patience; not at once where the last one may be dead.
    Wait,
    /// Keep the record that came for the next batch.
    Take,
    /// Store the records that were taken, up to here.
    Store(Batch),
    /// Acknowledge.
    Ack { upto: u64 },
    /// Order the end.
    Cancel(Order),
    /// Work out the answer.
    Answer { question: u64 },
    /// Send the answer.
    Reply { question: u64 },
    /// Tell the outcome: it is stored. The conversation may be left to its end.
    Tell,
    /// End the attempt without an outcome of the agent's.
    GiveUp(Reason),
}

/// How a conversation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Runs the operation, once.
    Start,
    /// Goes on after what is stored.
    Resume(Prefix),
}

/// What one transaction stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The records up to here.
    pub upto: Prefix,
    /// Whether the last one is the outcome.
    pub ends: bool,
}

/// Why an attempt ends without an outcome of the agent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was cancelled, or nobody came for it, before it was sent.
    Unsent,
    /// The agent does not run it.
    Declined,
    /// The agent had it and does not know it any more.
    Forgotten,
    /// The agent holds other records than those that are stored.
    OtherHistory,
    /// The agent's records do not continue those that are stored, however often they are sent.
    Broken,
    /// The agent did not come back.
    Absent,
}

/// The manager's half.
#[derive(Clone, Debug)]
pub struct Half {
    stored: Prefix,
    taken: Prefix,
    /// Whether the outcome is among what was taken.
    ends: bool,
    storing: Option<Batch>,
    /// Whether the agent may have heard of the attempt.
    sent: bool,
    /// Whether the agent is known to have accepted it.
    accepted: bool,
    order: Option<Order>,
    rewinds: u32,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// With the link that came while records were being stored.
    Waiting(Option<Roll>),
    /// With the questions that were asked in this conversation.
    Talking(BTreeSet<u64>),
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
            sent: false,
            accepted: false,
            order: None,
            rewinds: 0,
            phase: Phase::Waiting(None),
        }
    }

    /// The half of an attempt that an earlier manager may have sent, and of which it stored this.
    pub fn restored(stored: Prefix) -> Self {
        let accepted = stored.length > 0;
        Self { stored, taken: stored, sent: true, accepted, ..Self::new() }
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
            Input::Linked(roll) => self.linked(roll),
            Input::Cut => self.cut(Vec::new()),
            Input::Refused(refusal) => self.refused(refusal),
            Input::Accepted => {
                self.accepted |= self.is_talking();
                Vec::new()
            }
            Input::Record(record) => self.record(record),
            Input::Flush => self.flush(),
            Input::Stored => self.stored_now(),
            Input::StoreFailed => {
                self.storing = None;
                self.forget();
                if self.is_talking() { self.cut(vec![Output::Close]) } else { self.proceed() }
            }
            Input::Question(question) => match &mut self.phase {
                Phase::Talking(questions) => {
                    questions.insert(question);
                    vec![Output::Answer { question }]
                }
                Phase::Waiting(_) | Phase::Over => Vec::new(),
            },
            Input::Answered(question) => {
                let open = match &mut self.phase {
                    Phase::Talking(questions) => questions.remove(&question),
                    Phase::Waiting(_) | Phase::Over => false,
                };
                open.then_some(Output::Reply { question }).into_iter().collect()
            }
            Input::Cancel(order) => self.cancel(order),
            Input::PatienceOver => match self.phase {
                Phase::Waiting(None) if self.storing.is_none() => {
                    self.give_up(if self.sent { Reason::Absent } else { Reason::Unsent })
                }
                Phase::Waiting(_) | Phase::Talking(_) | Phase::Over => Vec::new(),
            },
        }
    }

    fn linked(&mut self, roll: Roll) -> Vec<Output> {
        match &mut self.phase {
            Phase::Waiting(link) => {
                *link = Some(roll);
                self.proceed()
            }
            Phase::Talking(_) | Phase::Over => Vec::new(),
        }
    }

    /// Opens the conversation once there is a link and nothing is being stored: what is stored
    /// then is what it goes on after.
    fn proceed(&mut self) -> Vec<Output> {
        let Phase::Waiting(Some(roll)) = self.phase else { return Vec::new() };
        if self.storing.is_some() {
            return Vec::new();
        }
        match roll {
            Roll::Lacks if self.accepted => return self.give_up(Reason::Forgotten),
            Roll::Holds => self.accepted = true,
            Roll::Lacks | Roll::Unsaid => {}
        }
        let opening = if self.accepted { Opening::Resume(self.stored) } else { Opening::Start };
        self.sent = true;
        self.phase = Phase::Talking(BTreeSet::new());
        let mut outputs = vec![Output::Open(opening)];
        // The agent may not have heard of it; to hear it twice changes nothing.
        outputs.extend(self.order.map(Output::Cancel));
        outputs
    }

    fn cut(&mut self, mut outputs: Vec<Output>) -> Vec<Output> {
        if self.is_talking() {
            self.forget();
            self.phase = Phase::Waiting(None);
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
        match refusal {
            Refusal::Unknown if self.accepted => self.give_up(Reason::Forgotten),
            Refusal::Declined if !self.accepted => self.give_up(Reason::Declined),
            Refusal::OtherHistory => self.give_up(Reason::OtherHistory),
            Refusal::Unknown | Refusal::Declined => self.cut(Vec::new()),
        }
    }

    fn record(&mut self, record: Record) -> Vec<Output> {
        if !self.is_talking() {
            return Vec::new();
        }
        self.accepted = true;
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

    fn cancel(&mut self, order: Order) -> Vec<Output> {
        if self.order >= Some(order) {
            return Vec::new();
        }
        self.order = Some(order);
        match self.phase {
            Phase::Talking(_) => vec![Output::Cancel(order)],
            Phase::Waiting(_) if !self.sent => self.give_up(Reason::Unsent),
            Phase::Waiting(_) | Phase::Over => Vec::new(),
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
        matches!(self.phase, Phase::Talking(_))
    }
}

impl Default for Half {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;

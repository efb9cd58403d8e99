//! The agent's half: who speaks for an attempt, and what is said next.
//!
//! ```text
//!                 began                          said: accepted
//!   (no talk) ───────────▶ talk n, mute ─────────────────────────▶ talk n
//!       ▲                      │                                     │ next(n):
//!       │ cut n                │ began                               │   a question not asked yet
//!       │                      ▼                                     │   record said+1, in the window
//!       └───────────────── talk n+1; next(n) = superseded            │   a heartbeat, if quiet
//!                                                                    │   end, once all is acked
//! ```
//!
//! A half lives as long as its attempt is known, over all conversations about it. A conversation
//! asks [`Half::next`] whenever its link can take more, so a slow manager holds up nobody, and
//! what it has not taken stays in the journal.

use std::collections::{BTreeSet, VecDeque};

use crate::{Order, Prefix};

mod words;

pub use words::{First, Held, Input, Next, Output, Piece, Refusal, Say, Talk};

/// How many bytes may be said and unacknowledged when another record is begun, at the least.
///
/// An acknowledgement is as long away as a transaction of the manager takes, so that the window is
/// what bounds the speed of one attempt. With one record on top it stays below what a stream of the
/// link takes unread, so that an attempt never waits inside HTTP/2, where it would hold up others.
pub const WINDOW: usize = 128 * 1024;

/// The widest window, for who is alone.
pub const WIDEST: usize = 2 * 1024 * 1024;

/// What all conversations of an agent together may have unacknowledged, beyond their least windows.
const SHARED: usize = 4 * 1024 * 1024;

/// The window of each of so many conversations.
pub fn window(conversations: usize) -> usize {
    (SHARED / conversations.max(1)).clamp(WINDOW, WIDEST)
}

/// The agent's half.
#[derive(Clone, Debug)]
pub struct Half {
    window: usize,
    epoch: u64,
    held: Held,
    /// Whether it was known before the conversation.
    known: bool,
    /// Whether the last of what was said may not be in the journal any more.
    rebooted: bool,
    order: Option<Order>,
    questions: BTreeSet<u64>,
    talks: u64,
    floor: Option<Floor>,
}

/// The conversation that has the floor.
#[derive(Clone, Debug)]
struct Floor {
    talk: Talk,
    /// What is to be said first, until it is.
    accepted: Option<Say>,
    /// The last record said, or held by the manager from the start.
    said: u64,
    /// The last question asked here.
    asked: u64,
    /// Records said and not acknowledged, with their bytes.
    flight: VecDeque<(u64, usize)>,
    in_flight: usize,
    quiet: bool,
}

// === impl Half ===

impl Half {
    /// The half of an attempt that nobody has heard of before.
    pub fn new(epoch: u64, window: usize) -> Self {
        let known = false;
        Self { known, ..Self::recovered(epoch, window, Held::default()) }
    }

    /// The half of an attempt that the journal knows.
    pub fn recovered(epoch: u64, window: usize, held: Held) -> Self {
        Self {
            window,
            epoch,
            held,
            known: true,
            rebooted: false,
            order: None,
            questions: BTreeSet::new(),
            talks: 0,
            floor: None,
        }
    }

    /// The same after the host was started anew while the operation ran: records may be said before
    /// they are on the disk, so that the manager may hold some that the journal lost.
    #[must_use]
    pub fn rebooted(self) -> Self {
        Self { rebooted: true, ..self }
    }

    /// Sets how many bytes may be said and unacknowledged when another record is begun.
    pub fn widen(&mut self, window: usize) {
        self.window = window;
    }

    /// Returns what the journal holds, as far as it was told.
    pub fn held(&self) -> Held {
        self.held
    }

    /// Says whether the manager holds the outcome.
    pub fn is_done(&self) -> bool {
        self.held.ended && self.held.acked == self.held.last
    }

    /// Takes an input. One of a conversation that has not the floor changes nothing.
    pub fn step(&mut self, input: Input) -> Vec<Output> {
        match input {
            Input::Began(first) => self.began(first),
            Input::Said(talk, say, bytes) => {
                if let Some(floor) = self.floor(talk) {
                    floor.said(say, bytes);
                }
                Vec::new()
            }
            Input::Ack(talk, upto) => match self.floor(talk) {
                Some(floor) => {
                    floor.acked(upto);
                    self.acked(upto)
                }
                None => Vec::new(),
            },
            Input::Answer(talk, question, piece) => {
                let asked = self.floor(talk).is_some_and(|floor| question <= floor.asked);
                if !asked || !self.questions.contains(&question) {
                    return Vec::new();
                }
                if piece == Piece::Last {
                    self.questions.remove(&question);
                }
                vec![Output::Hand { question }]
            }
            Input::Cancel(talk, order) => {
                let heard = self.floor(talk).is_some();
                if !heard || self.order >= Some(order) || self.held.ended {
                    return Vec::new();
                }
                self.order = Some(order);
                vec![Output::Cancel(order)]
            }
            Input::Quiet(talk) => {
                if let Some(floor) = self.floor(talk) {
                    floor.quiet = true;
                }
                Vec::new()
            }
            Input::Cut(talk) => {
                self.floor.take_if(|floor| floor.talk == talk);
                Vec::new()
            }
            Input::Appended { last, ended } => {
                self.held.last = self.held.last.max(last);
                self.held.ended |= ended;
                Vec::new()
            }
            Input::Asked(question) => {
                self.questions.insert(question);
                Vec::new()
            }
            Input::TakenBack(question) => {
                self.questions.remove(&question);
                Vec::new()
            }
        }
    }

    /// Says what a conversation does next. It stays so until the next [`Half::step`].
    pub fn next(&self, talk: Talk) -> Next {
        let floor = match &self.floor {
            Some(floor) if floor.talk == talk => floor,
            Some(_) => return Next::Superseded,
            None => return Next::End,
        };
        if let Some(accepted) = floor.accepted {
            return Next::Say(accepted);
        }
        // A question goes before records, which may be many.
        if let Some(question) = self.questions.range(floor.asked + 1..).next() {
            return Next::Say(Say::Question(*question));
        }
        if floor.said < self.held.last && floor.in_flight < self.window {
            return Next::Say(Say::Record(floor.said + 1));
        }
        if self.is_done() {
            return Next::End;
        }
        if floor.quiet { Next::Say(Say::Heartbeat { said: floor.said }) } else { Next::Wait }
    }

    fn began(&mut self, first: First) -> Vec<Output> {
        let (manager, journal) = match first {
            First::Start { epoch } if epoch < self.epoch => {
                return vec![Output::Refuse(Refusal::StaleEpoch { newest: self.epoch })];
            }
            First::Start { .. } => (Prefix::default(), 0),
            First::Resume { manager, journal } => (manager, journal),
        };
        if manager.length > self.held.last || manager.contradicts(journal) {
            let lost = if self.rebooted { Refusal::Rebooted } else { Refusal::OtherHistory };
            return vec![Output::Refuse(lost)];
        }
        if manager.length < self.held.acked {
            return vec![Output::Refuse(Refusal::Dropped { acked: self.held.acked })];
        }
        self.talks += 1;
        let talk = Talk(self.talks);
        self.floor = Some(Floor {
            talk,
            accepted: Some(Say::Accepted { resumed: self.known }),
            said: manager.length,
            asked: 0,
            flight: VecDeque::new(),
            in_flight: 0,
            quiet: false,
        });
        self.known = true;
        let again = self.questions.iter().map(|&question| Output::Again { question });
        let mut outputs = vec![Output::Begin(talk)];
        outputs.extend(again);
        // What the manager holds is acknowledged, also where the word for it was lost.
        outputs.extend(self.acked(manager.length));
        outputs
    }

    fn acked(&mut self, upto: u64) -> Vec<Output> {
        let upto = upto.min(self.held.last);
        if upto <= self.held.acked {
            return Vec::new();
        }
        self.held.acked = upto;
        let mut outputs = vec![Output::Drop { upto }];
        outputs.extend(self.is_done().then_some(Output::Done));
        outputs
    }

    fn floor(&mut self, talk: Talk) -> Option<&mut Floor> {
        self.floor.as_mut().filter(|floor| floor.talk == talk)
    }
}

// === impl Floor ===

impl Floor {
    fn said(&mut self, say: Say, bytes: usize) {
        self.quiet = false;
        match say {
            Say::Accepted { .. } => self.accepted = None,
            Say::Question(question) => self.asked = self.asked.max(question),
            Say::Record(sequence) if sequence == self.said + 1 => {
                self.said = sequence;
                self.flight.push_back((sequence, bytes));
                self.in_flight += bytes;
            }
            Say::Record(_) | Say::Heartbeat { .. } => {}
        }
    }

    fn acked(&mut self, upto: u64) {
        while let Some((_, bytes)) = self.flight.pop_front_if(|(sequence, _)| *sequence <= upto) {
            self.in_flight -= bytes;
        }
    }
}

#[cfg(test)]
mod tests;

//! The model of a manager: a store with transactions, and a life that drives the manager's half.

use std::collections::{BTreeMap, VecDeque};

use waggoner_attempt::{
    Order,
    manager::{Batch, Half, Input, Opening, Output, Reason, Record},
};

use crate::wire::{Down, Entry, Line, Up, chain, prefix};

#[derive(Debug, Default)]
pub(crate) struct Manager {
    pub(crate) store: Store,
    pub(crate) life: Option<Life>,
    /// How many managers there were.
    pub(crate) lives: u32,
    pub(crate) told: u32,
}

/// What a crash leaves.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) entries: Vec<Entry>,
    pub(crate) end: Option<End>,
    pub(crate) order: Option<Order>,
    verdicts: BTreeMap<u64, u64>,
    pub(crate) effects: u64,
}

/// How the attempt ended in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Outcome,
    GivenUp(Reason),
}

#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) half: Half,
    pub(crate) line: Option<usize>,
    /// The conversation is one that stores nothing.
    farewell: bool,
    batch: Vec<Entry>,
    /// The transaction that is under way: the records after how many.
    pub(crate) writing: Option<(usize, Vec<Entry>, Batch)>,
    /// Questions that are being answered, with the verdict once it is stored.
    pub(crate) answering: VecDeque<(u64, u64, Option<u64>)>,
    /// What is to be opened.
    pub(crate) opening: Vec<Down>,
}

// === impl Manager ===

impl Manager {
    pub(crate) fn start(&mut self) {
        let half = match self.lives {
            0 => Half::new(),
            _ => Half::restored(prefix(&self.store.entries)),
        };
        self.lives += 1;
        self.life = Some(Life {
            half,
            line: None,
            farewell: false,
            batch: Vec::new(),
            writing: None,
            answering: VecDeque::new(),
            opening: Vec::new(),
        });
        if let Some(order) = self.store.order
            && self.store.end.is_none()
        {
            self.step(Input::Cancel(order), &mut Line::default());
        }
    }

    /// Says whether a link would be used for the attempt.
    pub(crate) fn wants_link(&self) -> bool {
        self.life.as_ref().is_some_and(|alive| alive.line.is_none() && alive.opening.is_empty())
    }

    pub(crate) fn linked(&mut self) {
        self.step(Input::Linked, &mut Line::default());
    }

    /// Says farewell over a new link.
    pub(crate) fn farewell(&mut self, after: u64, kill: bool) {
        let Some(alive) = &mut self.life else { return };
        let after = waggoner_attempt::Prefix { length: after, chain: 0 };
        alive.farewell = true;
        alive.opening.push(Down::Open(Opening::Resume(after)));
        if kill {
            alive.opening.push(Down::Cancel(Order::Kill));
        }
    }

    pub(crate) fn cancel(&mut self, order: Order, line: &mut Line) {
        self.store.order = self.store.order.max(Some(order));
        if self.store.end.is_none() {
            self.step(Input::Cancel(order), line);
        }
    }

    pub(crate) fn hear(&mut self, message: Up, line: &mut Line) {
        let Some(alive) = &mut self.life else { return };
        if alive.farewell {
            match message {
                Up::Record { sequence, .. } => line.say_down(Down::Ack(sequence)),
                Up::End | Up::Refused(_) => self.lost(line),
                Up::Accepted | Up::Question { .. } | Up::Heartbeat { .. } => {}
            }
            return;
        }
        match message {
            Up::Accepted => self.step(Input::Accepted, line),
            Up::Heartbeat { said } => self.step(Input::Heartbeat { said }, line),
            Up::Record { sequence, chain: said, entry } => {
                let computed = chain(alive.half.taken().chain, entry);
                let record = Record { sequence, said, computed, ends: entry.ends };
                for output in alive.half.step(Input::Record(record)) {
                    match output {
                        Output::Take => self.life.as_mut().expect("it hears").batch.push(entry),
                        output => self.perform(output, line),
                    }
                }
            }
            Up::Question { question, key } => {
                for output in alive.half.step(Input::Question(question)) {
                    if let Output::Answer { question } = output {
                        alive.answering.push_back((question, key, None));
                    }
                }
            }
            Up::Refused(refusal) => {
                alive.line = None;
                line.manager_left = true;
                self.step(Input::Refused(refusal), line);
            }
            Up::End => self.lost(line),
        }
    }

    /// Notices that the conversation is over.
    pub(crate) fn lost(&mut self, line: &mut Line) {
        let Some(alive) = &mut self.life else { return };
        line.manager_left = true;
        alive.line = None;
        alive.farewell = false;
        self.step(Input::Cut, line);
    }

    pub(crate) fn flush(&mut self, line: &mut Line) {
        self.step(Input::Flush, line);
    }

    /// Ends the transaction under way.
    pub(crate) fn commit(&mut self, is_done: bool, is_known: bool, line: &mut Line) {
        let Some(alive) = &mut self.life else { return };
        let Some((after, entries, batch)) = alive.writing.take() else { return };
        if is_done {
            self.store.ingest(after, entries, batch);
        }
        let stored = prefix(&self.store.entries);
        self.step(if is_known { Input::Stored } else { Input::StoreFailed { stored } }, line);
    }

    /// Works out an answer, in one transaction with its effect.
    pub(crate) fn decide(&mut self, at: usize) {
        let Some(alive) = &mut self.life else { return };
        let Some((_, key, verdict)) = alive.answering.get_mut(at) else { return };
        *verdict = Some(self.store.decide(*key));
    }

    pub(crate) fn reply(&mut self, at: usize, line: &mut Line) {
        let Some(alive) = &mut self.life else { return };
        let Some((question, _, verdict)) = alive.answering.remove(at) else { return };
        let verdict = verdict.expect("it is decided");
        for output in alive.half.step(Input::Answered(question)) {
            if let Output::Reply { question } = output {
                line.say_down(Down::Answer { question, verdict });
            }
        }
    }

    pub(crate) fn crash(&mut self, committed: bool) {
        let Some(alive) = self.life.take() else { return };
        if let (Some((after, entries, batch)), true) = (alive.writing, committed) {
            self.store.ingest(after, entries, batch);
        }
    }

    pub(crate) fn step(&mut self, input: Input, line: &mut Line) {
        let Some(alive) = &mut self.life else { return };
        for output in alive.half.step(input) {
            self.perform(output, line);
        }
    }

    fn perform(&mut self, output: Output, line: &mut Line) {
        let alive = self.life.as_mut().expect("it steps");
        match output {
            Output::Open(opening) => alive.opening.push(Down::Open(opening)),
            Output::Cancel(order) if alive.line.is_none() => {
                alive.opening.push(Down::Cancel(order));
            }
            Output::Cancel(order) => line.say_down(Down::Cancel(order)),
            Output::Ack { upto } => line.say_down(Down::Ack(upto)),
            Output::Close => {
                line.manager_left = true;
                alive.line = None;
            }
            Output::Wait => {
                alive.batch.clear();
                alive.answering.clear();
            }
            Output::Store(batch) => {
                let entries = std::mem::take(&mut alive.batch);
                let after = usize::try_from(batch.upto.length).expect("it fits") - entries.len();
                alive.writing = Some((after, entries, batch));
            }
            Output::Tell => self.told += 1,
            Output::GiveUp(Reason::Unheard) => {
                alive.half = Half::new();
                if let Some(order) = self.store.order {
                    self.step(Input::Cancel(order), line);
                }
            }
            Output::GiveUp(reason) => {
                self.told += 1;
                self.store.end.get_or_insert(End::GivenUp(reason));
            }
            Output::Take | Output::Answer { .. } | Output::Reply { .. } => {}
        }
    }
}

// === impl Store ===

impl Store {
    fn ingest(&mut self, after: usize, entries: Vec<Entry>, batch: Batch) {
        let held = self.entries.len();
        assert!(after <= held, "a batch after {after} where {held} are stored");
        self.entries.extend(entries.into_iter().skip(held - after));
        if batch.ends {
            self.end.get_or_insert(End::Outcome);
        }
    }

    fn decide(&mut self, key: u64) -> u64 {
        if let Some(verdict) = self.verdicts.get(&key) {
            return *verdict;
        }
        self.effects += 1;
        self.verdicts.insert(key, self.effects);
        self.effects
    }

    pub(crate) fn verdict(&self, key: u64) -> Option<u64> {
        self.verdicts.get(&key).copied()
    }
}

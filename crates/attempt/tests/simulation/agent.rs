//! The model of an agent's host: a disk that keeps what was synced, an operation that outlives the
//! daemon, and a daemon that drives the agent's half.

use std::collections::{BTreeMap, BTreeSet};

use waggoner_attempt::{
    Order, Prefix,
    agent::{First, Half, Held, Input, Next, Output, Piece, Refusal, Say, WINDOW},
    manager::{self, Opening},
};

use crate::{
    dice::Dice,
    wire::{Down, Entry, Line, Up, chain},
};

/// The largest record of the model.
pub(crate) const LARGEST: usize = 64 << 10;

#[derive(Debug, Default)]
pub(crate) struct Agent {
    pub(crate) disk: Disk,
    pub(crate) operation: Option<Operation>,
    pub(crate) daemon: Option<Daemon>,
    /// How many times the operation was run.
    pub(crate) runs: u32,
    /// What was ever appended, one history for each time that a tail was lost.
    pub(crate) lost: Vec<Vec<Entry>>,
    /// What the operation heard for each of its questions.
    pub(crate) heard: BTreeMap<u64, BTreeSet<u64>>,
    /// Whether the half hears only of what is synced.
    pub(crate) durable_first: bool,
    /// Whether it says no digests.
    pub(crate) is_mute: bool,
    pub(crate) script: Vec<Step>,
    /// Whether it runs nothing new.
    pub(crate) full: bool,
}

/// What a crash of the daemon leaves, and of the host only as far as it is synced.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) opened: bool,
    /// The boot in which it was opened has ended.
    pub(crate) rebooted: bool,
    spawned: bool,
    pub(crate) entries: Vec<Entry>,
    pub(crate) synced: usize,
    acked: u64,
    synced_acked: u64,
    pub(crate) dropped: u64,
}

#[derive(Debug)]
pub(crate) struct Operation {
    at: usize,
    order: Option<Order>,
    /// The key of the question that it waits for, and whether this daemon has it.
    waits: Option<(u64, bool)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Say {
        payload: u64,
        bytes: usize,
    },
    Ask {
        key: u64,
    },
    /// Only an order ends it.
    Forever,
}

#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) half: Option<Half>,
    asked: BTreeMap<u64, u64>,
    questions: u64,
}

// === impl Agent ===

impl Agent {
    /// Says whether the manager would find the attempt in the list.
    pub(crate) fn lists(&self) -> Option<(u64, bool)> {
        self.daemon.as_ref()?;
        let last = self.disk.entries.len() as u64;
        let done = self.has_ended() && self.disk.acked == last;
        (self.disk.opened && !done).then_some((last, self.has_ended()))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.disk.entries.last().is_some_and(|entry| entry.ends)
    }

    /// Says whether it has anything to do by itself.
    pub(crate) fn can_work(&self) -> bool {
        let may_spawn = self.daemon.is_some() && self.disk.opened && !self.disk.spawned;
        self.operation.is_some() || (may_spawn && !self.has_ended())
    }

    /// Lets the operation go a step.
    pub(crate) fn work(&mut self, dice: &mut Dice) {
        let Some(operation) = &mut self.operation else {
            if !self.disk.rebooted {
                self.disk.spawned = true;
                self.runs += 1;
                self.operation = Some(Operation { at: 0, order: None, waits: None });
            }
            return;
        };
        if operation.order == Some(Order::Kill) || operation.order.is_some() && dice.once_in(3) {
            return self.end(666);
        }
        match self.script.get(operation.at) {
            Some(Step::Say { payload, bytes }) => {
                operation.at += 1;
                let entry = Entry { payload: *payload, bytes: *bytes, ends: false };
                self.disk.entries.push(entry);
            }
            Some(Step::Ask { key }) => {
                let (_, is_asked) = operation.waits.get_or_insert((*key, false));
                if let (false, Some(daemon)) = (&is_asked, &mut self.daemon)
                    && let Some(half) = &mut daemon.half
                {
                    *is_asked = true;
                    daemon.questions += 1;
                    daemon.asked.insert(daemon.questions, *key);
                    half.step(Input::Asked(daemon.questions));
                }
            }
            Some(Step::Forever) => {}
            None => self.end(0),
        }
    }

    fn end(&mut self, payload: u64) {
        self.operation = None;
        self.disk.entries.push(Entry { payload, bytes: 100, ends: true });
    }

    pub(crate) fn sync(&mut self) {
        self.disk.synced = self.disk.entries.len();
        self.disk.synced_acked = self.disk.acked;
    }

    /// Tells the half what the journal has.
    pub(crate) fn notice(&mut self) {
        let (seen, ended) = self.seen();
        if let Some(half) = self.daemon.as_mut().and_then(|daemon| daemon.half.as_mut()) {
            half.step(Input::Appended { last: seen, ended });
        }
    }

    /// Returns what the half hears of: in any case an outcome only once it is synced, since the
    /// manager believes that nothing else comes after it.
    fn seen(&self) -> (u64, bool) {
        let Disk { entries, synced, .. } = &self.disk;
        let is_open_end = self.has_ended() && *synced < entries.len();
        let seen =
            if self.durable_first { *synced } else { entries.len() - usize::from(is_open_end) };
        (seen as u64, seen > 0 && entries[seen - 1].ends)
    }

    pub(crate) fn crash_daemon(&mut self) {
        self.daemon = None;
        if let Some(Operation { waits: Some((_, is_asked)), .. }) = &mut self.operation {
            *is_asked = false;
        }
    }

    pub(crate) fn crash_host(&mut self, dice: &mut Dice) {
        self.crash_daemon();
        self.operation = None;
        let unsynced = self.disk.entries.len() - self.disk.synced;
        let kept = self.disk.synced + dice.below(unsynced + 1);
        if kept < self.disk.entries.len() {
            self.lost.push(self.disk.entries.clone());
            self.disk.entries.truncate(kept);
        }
        self.disk.synced = kept;
        self.disk.acked = self.disk.synced_acked.min(kept as u64);
        self.disk.rebooted = self.disk.opened;
    }

    pub(crate) fn lose_disk(&mut self) {
        self.crash_daemon();
        self.operation = None;
        self.lost.push(std::mem::take(&mut self.disk.entries));
        self.disk = Disk::default();
    }

    pub(crate) fn start_daemon(&mut self) {
        if self.disk.rebooted && !self.has_ended() {
            self.end(999);
            self.sync();
        }
        let (last, ended) = self.seen();
        let held = Held { last, acked: self.disk.acked, ended };
        let half = self.disk.opened.then(|| Half::recovered(1, WINDOW, held));
        let half = half.map(|half| if self.disk.rebooted { half.rebooted() } else { half });
        self.daemon = Some(Daemon { half, asked: BTreeMap::new(), questions: 0 });
    }

    /// Hears a message. Returns what the half told to drop.
    pub(crate) fn hear(&mut self, line: &mut Line, message: Down) -> Option<u64> {
        let outputs = match (message, line.talk) {
            (Down::Open(opening), _) => self.open(opening, line),
            (_, None) => return None,
            (Down::Ack(upto), Some(talk)) => {
                while line.flight.pop_front_if(|(sequence, _)| *sequence <= upto).is_some() {}
                self.half().step(Input::Ack(talk, upto))
            }
            (Down::Cancel(order), Some(talk)) => self.half().step(Input::Cancel(talk, order)),
            (Down::Answer { question, verdict }, Some(talk)) => {
                let outputs = self.half().step(Input::Answer(talk, question, Piece::Last));
                if outputs.contains(&Output::Hand { question }) {
                    self.hand(question, verdict);
                }
                outputs
            }
        };
        let mut dropped = None;
        for output in outputs {
            match output {
                Output::Begin(talk) => line.talk = Some(talk),
                Output::Refuse(refusal) => {
                    let refusal = match refusal {
                        Refusal::StaleEpoch { .. } => manager::Refusal::Declined,
                        Refusal::OtherHistory | Refusal::Dropped { .. } => {
                            manager::Refusal::OtherHistory
                        }
                        Refusal::Rebooted => manager::Refusal::Rebooted,
                    };
                    line.say_up(Up::Refused(refusal));
                    line.agent_left = true;
                }
                Output::Drop { upto } => {
                    self.disk.acked = upto;
                    self.disk.dropped = upto;
                    dropped = Some(upto);
                }
                Output::Cancel(order) => {
                    if let Some(operation) = &mut self.operation {
                        operation.order = Some(order);
                    } else if self.disk.opened && !self.disk.spawned && !self.has_ended() {
                        self.disk.spawned = true;
                        self.end(666);
                    }
                }
                Output::Done | Output::Hand { .. } | Output::Again { .. } => {}
            }
        }
        dropped
    }

    fn open(&mut self, opening: Opening, line: &mut Line) -> Vec<Output> {
        let refuse = |line: &mut Line, refusal| {
            line.say_up(Up::Refused(refusal));
            line.agent_left = true;
            Vec::new()
        };
        let first = match opening {
            Opening::Start => {
                if !self.disk.opened {
                    if self.full {
                        return refuse(line, manager::Refusal::Declined);
                    }
                    self.disk.opened = true;
                    let daemon = self.daemon.as_mut().expect("it hears");
                    daemon.half = Some(Half::new(1, WINDOW));
                }
                First::Start { epoch: 1 }
            }
            Opening::Resume(_) if !self.disk.opened => {
                return refuse(line, manager::Refusal::Unknown);
            }
            Opening::Resume(manager) => {
                First::Resume { manager, journal: self.digest(manager.length) }
            }
        };
        self.half().step(Input::Began(first))
    }

    fn digest(&self, length: u64) -> u64 {
        let length = usize::try_from(length).expect("it fits");
        let entries = self.disk.entries.get(..length).unwrap_or_default();
        entries.iter().fold(0, |before, entry| chain(before, *entry))
    }

    fn hand(&mut self, question: u64, verdict: u64) {
        let daemon = self.daemon.as_mut().expect("it hears");
        let Some(key) = daemon.asked.remove(&question) else { return };
        self.heard.entry(key).or_default().insert(verdict);
        if let Some(operation) = &mut self.operation
            && operation.waits.is_some_and(|(waits, _)| waits == key)
        {
            operation.waits = None;
            operation.at += 1;
        }
    }

    /// Says whether a conversation has anything to do.
    pub(crate) fn can_speak(&self, line: &Line) -> bool {
        let Some((half, talk)) = self.heard_half().zip(line.talk) else { return false };
        !line.agent_left && line.has_room() && half.next(talk) != Next::Wait
    }

    /// Says whether a conversation waits for nothing but acknowledgements.
    pub(crate) fn waits(&self, line: &Line) -> bool {
        let Some((half, talk)) = self.heard_half().zip(line.talk) else { return false };
        let is_idle = line.up.is_empty() && line.down.is_empty() && !line.agent_left;
        is_idle && !line.flight.is_empty() && half.next(talk) == Next::Wait
    }

    pub(crate) fn quiet(&mut self, line: &Line) {
        if let Some(talk) = line.talk {
            self.half().step(Input::Quiet(talk));
        }
    }

    /// Lets a conversation say one thing. Returns the record that it said.
    pub(crate) fn speak(&mut self, line: &mut Line) -> Option<u64> {
        let talk = line.talk?;
        match self.half().next(talk) {
            Next::Wait => None,
            Next::End | Next::Superseded => {
                line.say_up(Up::End);
                self.leave(line);
                None
            }
            Next::Say(say) => {
                let mut bytes = 0;
                let message = match say {
                    Say::Accepted { .. } => Up::Accepted,
                    Say::Heartbeat { said } => Up::Heartbeat { said },
                    Say::Question(question) => {
                        let daemon = self.daemon.as_ref().expect("it speaks");
                        Up::Question { question, key: daemon.asked[&question] }
                    }
                    Say::Record(sequence) => {
                        let at = usize::try_from(sequence - 1).expect("it fits");
                        let entry = self.disk.entries[at];
                        bytes = entry.bytes;
                        line.flight.push_back((sequence, bytes));
                        let chain = if self.is_mute { 0 } else { self.digest(sequence) };
                        Up::Record { sequence, chain, entry }
                    }
                };
                line.say_up(message);
                self.half().step(Input::Said(talk, say, bytes));
                if let Say::Record(sequence) = say { Some(sequence) } else { None }
            }
        }
    }

    pub(crate) fn leave(&mut self, line: &mut Line) {
        line.agent_left = true;
        if let (Some(talk), true) = (line.talk, self.heard_half().is_some()) {
            self.half().step(Input::Cut(talk));
        }
    }

    fn heard_half(&self) -> Option<&Half> {
        self.daemon.as_ref()?.half.as_ref()
    }

    fn half(&mut self) -> &mut Half {
        let daemon = self.daemon.as_mut().expect("only a living daemon hears and speaks");
        daemon.half.as_mut().expect("a conversation is about an attempt that is open")
    }

    /// Says whether records are a prefix of what was ever appended.
    pub(crate) fn has_appended(&self, entries: &[Entry]) -> bool {
        let now = std::iter::once(&self.disk.entries);
        now.chain(&self.lost).any(|history| history.starts_with(entries))
    }

    pub(crate) fn prefix(&self) -> Prefix {
        crate::wire::prefix(&self.disk.entries)
    }
}

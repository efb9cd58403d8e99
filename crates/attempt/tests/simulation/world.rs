//! One random history: faults and progress in any order, then calm, and what must hold throughout.

use std::fmt;

use waggoner_attempt::{Order, agent::WINDOW, manager::Reason};

use crate::{
    agent::{Agent, LARGEST, Step},
    dice::Dice,
    manager::{End, Manager},
    wire::{Line, Up},
};

/// Something that may happen next.
#[derive(Clone, Copy, Debug)]
enum Event {
    // Progress.
    StartManager,
    StartDaemon,
    Hello,
    Link,
    Work,
    Sync,
    Notice,
    Speak(usize),
    Quiet(usize),
    Down(usize),
    Up(usize),
    Flush,
    Commit,
    Decide(usize),
    Reply(usize),
    AgentNotices(usize),
    ManagerNotices,
    Cancel,
    PatienceOver,
    // Faults.
    Cut,
    Unlink,
    CrashManager,
    CrashDaemon,
    CrashHost,
    LoseDisk,
    FailStore,
    Drop(usize),
    Spoil(usize),
    Repeat(usize),
    Stall,
}

/// What is peculiar to a history.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
struct Kind {
    /// The host may crash, and its disk be lost.
    host_may_crash: bool,
    disk_may_be_lost: bool,
    /// An agent that hears a new hello leaves the conversations of the last link.
    is_strict: bool,
    /// The agent never comes back after the calm.
    gone: bool,
    /// The agent may refuse to run anything new.
    may_be_full: bool,
    /// Somebody cancels it at this turn, or later.
    cancelled: Option<usize>,
}

/// The agent's attempt as its hello lists it.
#[derive(Debug)]
struct List(Option<(u64, bool)>);

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each notes one thing that happened")]
pub(crate) struct World {
    dice: Dice,
    kind: Kind,
    agent: Agent,
    manager: Manager,
    lines: Vec<Line>,
    /// The list of the last hello, until it is told.
    hello: Option<List>,
    /// Whether the link of the last hello lives.
    linked: bool,
    turn: usize,
    calm: bool,
    /// The network stands still for so many turns.
    stall: usize,
    /// Wrong records sent, which are fewer than the rewinds that are granted.
    spoilt: u32,
    tail_lost: bool,
    disk_lost: bool,
    refused: bool,
    pub(crate) trace: Vec<String>,
    flaw: Option<String>,
}

/// How many turns a history that came to rest may take.
const TURNS: usize = 20_000;

/// How many wrong records there are at the most.
const SPOILT: u32 = 6;

// === impl World ===

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let is_strict = dice.once_in(2);
        let kind = Kind {
            is_strict,
            host_may_crash: dice.once_in(2),
            disk_may_be_lost: dice.once_in(10),
            gone: dice.once_in(20),
            // A start that comes late must not be run after a later one was refused.
            may_be_full: is_strict && dice.once_in(4),
            cancelled: dice.once_in(3).then(|| dice.below(600)),
        };
        let mut script: Vec<Step> = (0..dice.below(30))
            .map(|at| match dice.below(6) {
                0 => Step::Ask { key: at as u64 },
                _ => Step::Say { payload: dice.below(1 << 20) as u64, bytes: dice.below(LARGEST) },
            })
            .collect();
        if kind.cancelled.is_some() && dice.once_in(2) {
            script.push(Step::Forever);
        }
        let agent = Agent {
            script,
            durable_first: dice.once_in(2),
            is_mute: dice.once_in(10),
            full: kind.may_be_full && dice.once_in(2),
            ..Agent::default()
        };
        Self {
            dice,
            kind,
            agent,
            manager: Manager::default(),
            lines: Vec::new(),
            hello: None,
            linked: false,
            turn: 0,
            calm: false,
            stall: 0,
            spoilt: 0,
            tail_lost: false,
            disk_lost: false,
            refused: false,
            trace: Vec::new(),
            flaw: None,
        }
    }

    /// Runs to the end. Returns how many turns it took, or what is wrong.
    pub(crate) fn run(&mut self, traced: bool) -> Result<usize, String> {
        let storm = self.dice.below(800);
        for turn in 0..TURNS {
            (self.turn, self.calm) = (turn, turn >= storm);
            if self.calm && self.is_at_rest() {
                return self.judge().map(|()| turn);
            }
            self.stall = if self.calm { 0 } else { self.stall.saturating_sub(1) };
            let event = self.choose();
            if traced {
                self.trace.push(format!("{turn}: {event:?}"));
            }
            if let Some(event) = event {
                self.happen(event);
            } else if self.calm {
                return Err("nothing can happen any more, and it has not ended".to_owned());
            }
            self.check();
            if let Some(flaw) = self.flaw.take() {
                return Err(flaw);
            }
        }
        Err(format!("it has not ended after {TURNS} turns"))
    }

    fn choose(&mut self) -> Option<Event> {
        let mut events = self.progress();
        if !self.calm {
            let faults = self.faults();
            if !faults.is_empty() && (events.is_empty() || self.dice.once_in(8)) {
                events = faults;
            }
        }
        if events.is_empty() {
            return None;
        }
        let chosen = self.dice.below(events.len());
        Some(events[chosen])
    }

    fn progress(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut may = |is_so: bool, event| {
            if is_so {
                events.push(event);
            }
        };
        let is_gone = self.kind.gone && self.calm;
        let daemon = self.agent.daemon.is_some();
        may(self.manager.life.is_none(), Event::StartManager);
        may(!daemon && !is_gone, Event::StartDaemon);
        may(self.agent.can_work(), Event::Work);
        let is_unsynced = self.agent.disk.synced < self.agent.disk.entries.len();
        may(is_unsynced && (self.calm || self.turn.is_multiple_of(32)), Event::Sync);
        may(daemon, Event::Notice);
        let wants = self.manager.wants_link() && !is_gone;
        let leaves = self.manager.store.end.is_some();
        may(wants && daemon && self.hello.is_none() && (!self.linked || leaves), Event::Hello);
        may(wants && daemon && (self.hello.is_some() || self.linked && !leaves), Event::Link);
        let has_order = self.manager.store.order.is_some();
        let is_due = self.kind.cancelled.is_some_and(|turn| turn <= self.turn);
        may(is_due && !has_order && self.manager.life.is_some(), Event::Cancel);
        if let Some(alive) = &self.manager.life {
            let is_waiting = alive.line.is_none() && alive.opening.is_empty();
            may(is_gone && is_waiting && alive.writing.is_none(), Event::PatienceOver);
            may(alive.writing.is_some(), Event::Commit);
            may(alive.half.taken() != alive.half.stored() && alive.writing.is_none(), Event::Flush);
            for (at, (_, _, verdict)) in alive.answering.iter().enumerate() {
                may(true, if verdict.is_some() { Event::Reply(at) } else { Event::Decide(at) });
            }
            if let Some(line) = alive.line {
                let line = &self.lines[line];
                may((line.cut || line.agent_left) && line.up.is_empty(), Event::ManagerNotices);
            }
        }
        for (at, line) in self.lines.iter().enumerate() {
            may(self.agent.can_speak(line), Event::Speak(at));
            may(self.agent.waits(line) && self.hears(at) && self.is_stored(), Event::Quiet(at));
            if self.stall > 0 {
                continue;
            }
            may(!line.down.is_empty() && daemon && !line.agent_left, Event::Down(at));
            may(!line.up.is_empty() && self.hears(at), Event::Up(at));
            let is_over = line.cut || line.manager_left;
            may(is_over && line.down.is_empty() && !line.agent_left, Event::AgentNotices(at));
        }
        events
    }

    fn faults(&self) -> Vec<Event> {
        let mut events = vec![Event::Stall];
        let mut may = |is_so: bool, event| {
            if is_so {
                events.push(event);
            }
        };
        let daemon = self.agent.daemon.is_some();
        let alive = self.manager.life.as_ref();
        may(alive.is_some(), Event::CrashManager);
        for _ in 0..8 {
            // Seldom possible, so likely when it is.
            may(alive.is_some_and(|alive| alive.writing.is_some()), Event::FailStore);
        }
        may(daemon, Event::CrashDaemon);
        may(daemon && self.kind.host_may_crash, Event::CrashHost);
        // A manager that stored nothing of an accepted attempt cannot tell a lost disk from a
        // start that never arrived; an agent without its disk has no certificate to come back with.
        let knows =
            self.manager.lives == 1 && alive.is_some_and(|alive| alive.half.stored().length > 0);
        may(self.kind.disk_may_be_lost && knows && daemon, Event::LoseDisk);
        may(self.linked, Event::Unlink);
        if let Some(at) = alive.and_then(|alive| alive.line) {
            may(!self.lines[at].cut, Event::Cut);
            let is_record = matches!(self.lines[at].up.front(), Some(Up::Record { .. }));
            may(is_record && self.spoilt < SPOILT, Event::Drop(at));
            may(is_record && !self.agent.is_mute && self.spoilt < SPOILT, Event::Spoil(at));
            may(is_record, Event::Repeat(at));
        }
        events
    }

    /// Says whether the manager has stored and acknowledged what it took.
    fn is_stored(&self) -> bool {
        let alive = self.manager.life.as_ref();
        alive.is_some_and(|alive| alive.half.taken() == alive.half.stored())
    }

    fn hears(&self, at: usize) -> bool {
        self.manager.life.as_ref().is_some_and(|alive| alive.line == Some(at))
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::StartManager => self.manager.start(),
            Event::StartDaemon => self.agent.start_daemon(),
            Event::Hello => {
                self.hello = Some(List(self.agent.lists()));
                if self.kind.is_strict {
                    for line in self.lines.iter_mut().filter(|line| !line.agent_left) {
                        self.agent.leave(line);
                    }
                }
            }
            Event::Link => self.link(),
            Event::Work => self.agent.work(&mut self.dice),
            Event::Sync => self.agent.sync(),
            Event::Notice => self.agent.notice(),
            Event::Speak(at) => self.speak(at),
            Event::Quiet(at) => self.agent.quiet(&self.lines[at]),
            Event::Down(at) => self.down(at),
            Event::Up(at) => {
                let message = self.lines[at].up.pop_front().expect("it was there");
                self.refused |= matches!(message, Up::Refused(_));
                self.manager.hear(message, &mut self.lines[at]);
            }
            Event::Flush => self.with_line(Manager::flush),
            Event::Commit => self.with_line(|manager, line| manager.commit(true, true, line)),
            Event::FailStore => {
                let is_done = self.dice.once_in(2);
                self.with_line(|manager, line| manager.commit(is_done, false, line));
            }
            Event::Decide(at) => self.manager.decide(at),
            Event::Reply(at) => self.with_line(|manager, line| manager.reply(at, line)),
            Event::AgentNotices(at) => self.agent.leave(&mut self.lines[at]),
            Event::ManagerNotices => self.with_line(Manager::lost),
            Event::Cancel => {
                let order = if self.dice.once_in(2) { Order::Kill } else { Order::Terminate };
                self.with_line(|manager, line| manager.cancel(order, line));
            }
            Event::PatienceOver => self.with_line(|manager, line| {
                manager.step(waggoner_attempt::manager::Input::PatienceOver, line);
            }),
            Event::Cut => self.cut(),
            Event::Unlink => {
                self.cut();
                self.linked = false;
                self.hello = None;
            }
            Event::CrashManager => {
                self.cut();
                self.linked = false;
                self.hello = None;
                let committed = self.dice.once_in(2);
                self.manager.crash(committed);
                self.lines.iter_mut().for_each(|line| line.manager_left = true);
            }
            Event::CrashDaemon | Event::CrashHost | Event::LoseDisk => self.crash_agent(event),
            Event::Drop(at) => {
                self.spoilt += 1;
                self.lines[at].up.pop_front();
            }
            Event::Spoil(at) => {
                self.spoilt += 1;
                if let Some(Up::Record { entry, .. }) = self.lines[at].up.front_mut() {
                    entry.payload ^= 1;
                }
            }
            Event::Repeat(at) => {
                let again = self.lines[at].up.front().copied().expect("it was there");
                self.lines[at].up.push_front(again);
            }
            Event::Stall => self.stall = self.dice.below(60),
        }
        self.open();
    }

    fn crash_agent(&mut self, event: Event) {
        let lost = self.agent.lost.len();
        match event {
            Event::CrashHost => self.agent.crash_host(&mut self.dice),
            Event::LoseDisk => {
                self.disk_lost = true;
                self.agent.lose_disk();
            }
            _ => self.agent.crash_daemon(),
        }
        self.tail_lost |= self.agent.lost.len() > lost;
        self.linked = false;
        self.hello = None;
        if self.kind.may_be_full {
            self.agent.full = self.dice.once_in(2);
        }
        for line in &mut self.lines {
            (line.cut, line.agent_left) = (true, true);
            let arrives = self.dice.below(line.up.len() + 1);
            line.up.truncate(arrives);
        }
    }

    fn link(&mut self) {
        let listed = self.hello.take().and_then(|List(listed)| listed);
        self.linked = true;
        match (self.manager.store.end, listed) {
            (None, _) => self.manager.linked(),
            (Some(_), Some((last, ended))) => self.manager.farewell(last, !ended),
            (Some(_), None) => {}
        }
    }

    /// Carries what the manager opened to a new line.
    fn open(&mut self) {
        let Some(alive) = &mut self.manager.life else { return };
        if alive.opening.is_empty() {
            return;
        }
        let mut line = Line::default();
        line.down.extend(alive.opening.drain(..));
        line.cut = !self.linked || self.agent.daemon.is_none();
        alive.line = Some(self.lines.len());
        self.lines.push(line);
    }

    fn speak(&mut self, at: usize) {
        if let Some(sequence) = self.agent.speak(&mut self.lines[at]) {
            let in_flight = self.lines[at].in_flight();
            self.demand(in_flight < WINDOW + LARGEST, || {
                format!("{in_flight} bytes are in flight")
            });
            let dropped = self.agent.disk.dropped;
            self.demand(sequence > dropped, || format!("record {sequence} was dropped"));
        }
    }

    fn down(&mut self, at: usize) {
        let line = &mut self.lines[at];
        let message = line.down.pop_front().expect("it was there");
        let dropped = self.agent.hear(line, message);
        let stored = self.manager.store.entries.len() as u64;
        if let (Some(upto), None) = (dropped, self.manager.store.end) {
            self.demand(upto <= stored, || format!("{upto} are dropped and {stored} are stored"));
        }
    }

    /// Cuts the manager's conversation; some of what is on its way still arrives.
    fn cut(&mut self) {
        if let Some(at) = self.manager.life.as_ref().and_then(|alive| alive.line) {
            let line = &mut self.lines[at];
            line.cut = true;
            let (down, up) =
                (self.dice.below(line.down.len() + 1), self.dice.below(line.up.len() + 1));
            line.down.truncate(down);
            line.up.truncate(up);
        }
    }

    fn with_line(&mut self, act: impl FnOnce(&mut Manager, &mut Line)) {
        match self.manager.life.as_ref().and_then(|alive| alive.line) {
            Some(at) => act(&mut self.manager, &mut self.lines[at]),
            None => act(&mut self.manager, &mut Line::default()),
        }
    }

    fn is_at_rest(&self) -> bool {
        let ended = self.manager.life.is_some() && self.manager.store.end.is_some();
        let left = self.agent.lists().is_none() && self.agent.operation.is_none();
        ended && (self.kind.gone || self.agent.daemon.is_some() && left)
    }

    /// Checks what holds after each turn.
    fn check(&mut self) {
        let runs = self.agent.runs;
        self.demand(runs <= 1, || format!("the operation was run {runs} times"));
        let is_prefix = self.agent.has_appended(&self.manager.store.entries);
        self.demand(is_prefix, || "what is stored was never appended".to_owned());
        if self.agent.durable_first && !self.disk_lost {
            let is_kept = self.agent.disk.entries.starts_with(&self.manager.store.entries);
            self.demand(is_kept, || "what is stored was lost by the agent".to_owned());
        }
        let told = (self.manager.told, self.manager.lives);
        self.demand(told.0 <= told.1, || format!("the end was told {} times", told.0));
    }

    /// Checks what holds at the end.
    fn judge(&self) -> Result<(), String> {
        let Manager { store, .. } = &self.manager;
        let end = store.end.expect("it is at rest");
        let runs = self.agent.runs;
        let is_honest = match end {
            End::Outcome => store.entries.last().is_some_and(|entry| entry.ends),
            // A start that comes late by an old link is found and killed at the next hello.
            End::GivenUp(Reason::Unsent) => runs == 0 || !self.kind.is_strict,
            End::GivenUp(Reason::Unheard) => false,
            End::GivenUp(Reason::Declined) => runs == 0 && self.kind.may_be_full && self.refused,
            End::GivenUp(Reason::Forgotten) => self.disk_lost,
            // No disk is changed under a host that runs.
            End::GivenUp(Reason::OtherHistory) => false,
            End::GivenUp(Reason::Rebooted) => self.tail_lost && !self.agent.durable_first,
            End::GivenUp(Reason::Broken) => false,
            End::GivenUp(Reason::Absent) => self.kind.gone,
        };
        if !is_honest {
            return Err(format!("it ended as {end:?}, which is not so"));
        }
        let agrees = crate::wire::prefix(&store.entries) == self.agent.prefix();
        if end == End::Outcome && !self.disk_lost && !agrees {
            return Err("the two sides do not agree on what was said".to_owned());
        }
        let is_wrong = |(key, heard): (&u64, &std::collections::BTreeSet<u64>)| {
            heard.len() != 1 || store.verdict(*key) != heard.first().copied()
        };
        if self.agent.heard.iter().any(is_wrong) {
            return Err(format!("a question was answered twice: {:?}", self.agent.heard));
        }
        let asked = self.agent.script.iter().filter(|step| matches!(step, Step::Ask { .. }));
        if store.effects > asked.count() as u64 {
            return Err(format!("{} effects", store.effects));
        }
        Ok(())
    }

    fn demand(&mut self, holds: bool, flaw: impl FnOnce() -> String) {
        if !holds && self.flaw.is_none() {
            self.flaw = Some(flaw());
        }
    }

    /// What a history came to, for the count of them.
    pub(crate) fn end(&self) -> Option<End> {
        self.manager.store.end
    }
}

/// What a failing history leaves to look at.
impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, agent, manager, lines, .. } = self;
        let lines = lines.iter().filter(|line| !line.agent_left || !line.manager_left);
        writeln!(f, "{kind:?}\n{agent:?}\n{manager:?}")?;
        f.debug_list().entries(lines).finish()
    }
}

//! Whatever happens to the disk and to the process, the journal agrees with the model.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;
use waggoner_types::AttemptId;

use super::model::{Story, World, alike};
use crate::{
    Class, Journal, ReadError, Reader, Recovered, Refused, Settings, Write,
    disk::{
        Disk as _,
        simulated::{Crash, Fault, Simulated},
    },
    frame::PREFIX,
};

#[derive(Clone, Debug)]
enum Op {
    Group(Vec<Ask>),
    Sync,
    Tidy,
    Read { attempt: u8, bytes: u16, told: bool },
    Pass { seconds: u16 },
    Space { more: Option<u16> },
    Fault { after: u8, fault: Fault },
    Restart { crash: Crash, during: Option<(u8, Fault)> },
}

#[derive(Clone, Debug)]
enum Ask {
    Open { length: usize },
    OpenAgain { attempt: u8, epoch: u64 },
    Note { attempt: u8, slot: u8, length: usize },
    Record { attempt: u8, class: Class, length: usize },
    End { attempt: u8, length: usize },
    Ack { attempt: u8, share: u8 },
}

struct Play {
    disk: Simulated,
    settings: Settings,
    journal: Option<Journal>,
    reader: Reader,
    /// What the disk has for sure.
    base: World,
    /// What was accepted since, each with its time.
    since: Vec<(Write, u64)>,
    /// What the journal should know now.
    world: World,
    opened: Vec<AttemptId>,
    /// The last crash may have left some of these.
    in_flight: Vec<Write>,
    roomy: bool,
    payloads: u8,
}

fn settings() -> Settings {
    Settings {
        segment: 1536,
        per_attempt: 2500,
        total: 8000,
        reserve: 768,
        remembered: Duration::from_hours(1),
        remembered_count: 3,
    }
}

// === impl Play ===

impl Play {
    fn new() -> Self {
        let disk = Simulated::new();
        let (journal, known) = Journal::open_on(Arc::new(disk.clone()), settings()).unwrap();
        assert_eq!(known, []);
        Self {
            reader: Reader::open_on(Box::new(disk.clone())),
            disk,
            settings: settings(),
            journal: Some(journal),
            base: World::default(),
            since: vec![],
            world: World::default(),
            opened: vec![],
            in_flight: vec![],
            roomy: true,
            payloads: 0,
        }
    }

    fn step(&mut self, op: Op) {
        self.disk.pass(Duration::from_secs(1));
        match op {
            Op::Group(asks) => self.write(&asks),
            Op::Sync => self.sync(),
            Op::Tidy => {
                self.journal().tidy().ok();
            }
            Op::Read { attempt, bytes, told } => self.read(attempt, bytes.into(), told),
            Op::Pass { seconds } => self.disk.pass(Duration::from_secs(seconds.into())),
            Op::Space { more } => {
                self.roomy = more.is_none();
                let used = self.disk.used();
                self.disk.set_space(more.map_or(u64::MAX, |more| used + u64::from(more)));
            }
            Op::Fault { after, fault } => self.disk.fail(after.into(), fault),
            Op::Restart { crash, during } => self.restart(crash, during),
        }
        // After a failure that leaves it open what is on the disk, only a start helps.
        if self.disk.has_crashed() || self.journal().is_broken() {
            self.restart(Crash::Process, None);
        }
    }

    fn write(&mut self, asks: &[Ask]) {
        let writes: Vec<_> = asks.iter().map(|ask| self.write_of(ask)).collect();
        let now = self.now();
        let answers = self.journal().apply(writes.clone());
        assert_eq!(answers.len(), writes.len());
        for (write, answer) in writes.into_iter().zip(answers) {
            match answer {
                Ok(written) => {
                    assert_eq!(self.world.apply(&write, now).unwrap(), written, "{write:?}");
                    self.since.push((write, now));
                }
                Err(Refused::Io(_)) if self.disk.has_crashed() => self.in_flight.push(write),
                Err(Refused::Io(_)) => {}
                Err(refused @ (Refused::Full | Refused::OverQuota)) => {
                    let always = matches!(write, Write::Note { .. } | Write::End { .. });
                    let always = always || matches!(write, Write::Ack { .. });
                    assert!(!always || !self.roomy, "{refused} is no answer to {write:?}");
                    assert!(!always || matches!(refused, Refused::Full), "{refused}: {write:?}");
                }
                Err(Refused::Unknown)
                    if self.world.mortal(&self.settings, now).contains(&write.attempt()) => {}
                Err(refused) => {
                    let expected = self.world.clone().apply(&write, now).unwrap_err();
                    assert!(alike(&refused, &expected), "{refused} instead of {expected}");
                }
            }
        }
    }

    fn write_of(&mut self, ask: &Ask) -> Write {
        match *ask {
            Ask::Open { length } => {
                let attempt = AttemptId(Uuid::from_u128(self.opened.len() as u128 + 1));
                self.opened.push(attempt);
                Write::Open { attempt, epoch: 2, note: self.payload(length) }
            }
            Ask::OpenAgain { attempt, epoch } => {
                let attempt = self.attempt(attempt);
                let known = self.world.stories.get(&attempt);
                if known.is_some_and(|story| !story.is_tombstone()) {
                    Write::Open { attempt, epoch, note: Bytes::new() }
                } else {
                    Write::Ack { attempt, upto: 0 }
                }
            }
            Ask::Note { attempt, slot, length } => {
                let attempt = self.attempt(attempt);
                Write::Note { attempt, slot, bytes: self.payload(length) }
            }
            Ask::Record { attempt, class, length } => {
                let attempt = self.attempt(attempt);
                Write::Record { attempt, class, bytes: self.payload(length) }
            }
            Ask::End { attempt, length } => {
                let attempt = self.attempt(attempt);
                Write::End { attempt, bytes: self.payload(length) }
            }
            Ask::Ack { attempt, share } => {
                let attempt = self.attempt(attempt);
                let last = self.world.stories.get(&attempt).map_or(0, Story::last);
                Write::Ack { attempt, upto: (last + 1) * u64::from(share) / 200 }
            }
        }
    }

    fn sync(&mut self) {
        if self.journal().sync().is_ok() {
            self.base = self.world.clone();
            self.since.clear();
        }
    }

    fn read(&mut self, attempt: u8, bytes: usize, told: bool) {
        let attempt = self.attempt(attempt);
        let place = self.journal().place();
        if told {
            self.reader.advance(place).unwrap();
        }
        let Some(story) = self.world.stories.get(&attempt) else { return };
        let read = self.reader.read(attempt, story.acked, bytes).unwrap();
        assert!(!told || read.is_empty() == (story.acked == story.last()));
        for (at, record) in (usize::try_from(story.acked).unwrap()..).zip(read) {
            assert_eq!(record.sequence, at as u64 + 1);
            assert_eq!(record.bytes, story.records[at]);
            assert_eq!(record.chain, story.chains[at]);
        }
    }

    fn restart(&mut self, crash: Crash, during: Option<(u8, Fault)>) {
        self.journal = None;
        self.disk.restart(crash);
        let mut opened = None;
        if let Some((after, fault)) = during {
            self.disk.fail(after.into(), fault);
            opened = self.open().ok();
            if self.disk.has_crashed() || opened.is_none() {
                opened = None;
                self.disk.restart(crash);
            }
        }
        let (journal, known) = opened.unwrap_or_else(|| self.open().unwrap());
        assert_eq!(journal.damages(), []);
        self.journal = Some(journal);
        self.agree(&known);
        self.reader = Reader::open_on(Box::new(self.disk.clone()));
        for attempt in 0..self.opened.len() {
            self.read(u8::try_from(attempt).unwrap(), usize::MAX, true);
        }
    }

    /// Some point between what was synced and the last write is what the journal knows.
    fn agree(&mut self, known: &[Recovered]) {
        let now = self.now();
        let mut world = self.base.clone();
        let mut differs = world.differs(known, &self.settings, now);
        for (write, at) in std::mem::take(&mut self.since) {
            if differs.is_none() {
                break;
            }
            world.apply(&write, at).unwrap();
            differs = world.differs(known, &self.settings, now);
        }
        let mut worlds = vec![world];
        for write in std::mem::take(&mut self.in_flight) {
            for mut world in worlds.clone() {
                if world.apply(&write, now).is_ok() {
                    worlds.push(world);
                }
            }
        }
        let agrees = |world: &World| world.differs(known, &self.settings, now).is_none();
        let found = worlds.into_iter().find(agrees);
        self.world = found.unwrap_or_else(|| panic!("{}", differs.unwrap_or_default()));
        self.base = self.world.clone();
    }

    /// What can be read of what was there is what was written, and the rest is told.
    fn read_back(&mut self, known: &[Recovered]) {
        let mut reader = Reader::open_on(Box::new(self.disk.clone()));
        reader.advance(self.journal().place()).unwrap();
        for known in known.iter().filter(|known| !known.tombstone) {
            let story = &self.world.stories[&known.attempt];
            let last = known.last.min(story.last());
            let mut after = known.acked;
            while after < last {
                match reader.read(known.attempt, after, 1000) {
                    Ok(read) if read.is_empty() => break,
                    Ok(read) => {
                        for record in read.iter().filter(|record| record.sequence <= last) {
                            let at = usize::try_from(record.sequence - 1).unwrap();
                            assert_eq!(record.sequence, after + 1);
                            assert_eq!(record.bytes, story.records[at]);
                            assert_eq!(record.chain, story.chains[at]);
                            after = record.sequence;
                        }
                        after = read.last().unwrap().sequence;
                    }
                    Err(ReadError::Lost { records, chain }) => {
                        assert_eq!(*records.start(), after + 1);
                        after = *records.end();
                        // What comes behind `last` was written later, and is not in the story.
                        let at = usize::try_from(after - 1).unwrap();
                        assert!(chain == 0 || after > last || story.chains[at] == chain);
                    }
                    Err(ReadError::Io(error)) => panic!("{error}"),
                }
            }
        }
    }

    /// At rest, there are not many more bytes than are needed.
    fn rest(&mut self) {
        self.disk.set_space(u64::MAX);
        self.disk.pass(Duration::from_secs(1));
        self.restart(Crash::Process, None);
        for turn in 0.. {
            assert!(turn < 1000, "it never rests");
            if !self.journal().tidy().unwrap() {
                break;
            }
        }
        let open = self.world.stories.len() as u64;
        let bound = 2 * self.world.needed() + (6 + open) * self.settings.segment;
        assert!(self.disk.used() <= bound, "{} bytes, not {bound}", self.disk.used());
        self.restart(Crash::Process, None);
    }

    fn open(&self) -> std::io::Result<(Journal, Vec<Recovered>)> {
        Journal::open_on(Arc::new(self.disk.clone()), self.settings.clone())
    }

    fn journal(&mut self) -> &mut Journal {
        self.journal.as_mut().unwrap()
    }

    fn now(&self) -> u64 {
        self.disk.now().as_secs()
    }

    /// One that was opened, most often; or one nobody knows.
    fn attempt(&self, number: u8) -> AttemptId {
        let known = self.opened.get(usize::from(number) % (self.opened.len() + 1));
        known.copied().unwrap_or(AttemptId(Uuid::nil()))
    }

    fn payload(&mut self, length: usize) -> Bytes {
        self.payloads = self.payloads.wrapping_add(1);
        vec![self.payloads; length].into()
    }
}

/// How many frames less there are.
fn compare(before: &[Recovered], after: &[Recovered], world: &World) -> usize {
    let mut changed = 0;
    for old in before {
        let Some(new) = after.iter().find(|new| new.attempt == old.attempt) else {
            let unacked = usize::try_from(old.last - old.acked).unwrap();
            let all = old.notes.len() + unacked + usize::from(old.acked > 0);
            changed += all;
            continue;
        };
        if new == old {
            continue;
        }
        if old.tombstone {
            changed += 1;
            continue;
        }
        let story = &world.stories[&old.attempt];
        let slots = old.notes.iter().filter(|(slot, note)| {
            let new = new.notes.get(slot);
            // What a spoilt header hides may uncover what it had replaced.
            assert!(new.is_none_or(|new| story.notes_ever(**slot).contains(new)));
            new != Some(note)
        });
        changed += slots.count();
        changed += usize::from(new.acked != old.acked);
        assert!(new.acked <= old.acked && new.last <= old.last && new.epoch == old.epoch);
        let lost = new.lost.iter().cloned().flatten().filter(|lost| *lost > old.acked);
        changed += lost.count();
        changed += usize::try_from(old.last - new.last.max(old.acked)).unwrap();
        assert_eq!(new.chain, story.chain(new.last));
    }
    assert!(after.iter().all(|new| before.iter().any(|old| old.attempt == new.attempt)));
    changed
}

fn flip(disk: &Simulated, place: u32, bit: u8, spared: u64) {
    let sizes = disk.sizes();
    let mut place = u64::from(place) % sizes.values().sum::<u64>();
    for (segment, size) in sizes {
        if place < size {
            disk.flip(segment, place.max(spared), bit);
            return;
        }
        place -= size;
    }
}

/// What happens to a disk that works.
fn calm_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => prop::collection::vec(ask(), 1..5).prop_map(Op::Group),
        2 => Just(Op::Tidy),
        1 => Just(Op::Restart { crash: Crash::Process, during: None }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => prop::collection::vec(ask(), 1..5).prop_map(Op::Group),
        3 => Just(Op::Sync),
        4 => Just(Op::Tidy),
        5 => (any::<u8>(), 0..2000_u16, any::<bool>())
            .prop_map(|(attempt, bytes, told)| Op::Read { attempt, bytes, told }),
        1 => (0..2000_u16).prop_map(|seconds| Op::Pass { seconds }),
        1 => prop::option::of(0..3000_u16).prop_map(|more| Op::Space { more }),
        3 => (0..12_u8, fault()).prop_map(|(after, fault)| Op::Fault { after, fault }),
        2 => (crash(), prop::option::of((0..8_u8, fault())))
            .prop_map(|(crash, during)| Op::Restart { crash, during }),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let class = prop_oneof![Just(Class::Log), Just(Class::Kept)];
    prop_oneof![
        2 => length().prop_map(|length| Ask::Open { length }),
        1 => (any::<u8>(), 1..4_u64).prop_map(|(attempt, epoch)| Ask::OpenAgain { attempt, epoch }),
        3 => (any::<u8>(), 0..3_u8, length())
            .prop_map(|(attempt, slot, length)| Ask::Note { attempt, slot, length }),
        8 => (any::<u8>(), class, length())
            .prop_map(|(attempt, class, length)| Ask::Record { attempt, class, length }),
        2 => (any::<u8>(), length()).prop_map(|(attempt, length)| Ask::End { attempt, length }),
        5 => (any::<u8>(), any::<u8>()).prop_map(|(attempt, share)| Ask::Ack { attempt, share }),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..40_usize, 3 => 0..300_usize, 1 => 0..2000_usize]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => any::<u8>().prop_map(|part| Fault::Crash { part }),
        1 => any::<u8>().prop_map(|part| Fault::Error { part }),
    ]
}

fn crash() -> impl Strategy<Value = Crash> {
    prop_oneof![Just(Crash::Process), any::<u64>().prop_map(|seed| Crash::Host { seed })]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// What was synced is there, what was not is a first part of it, nothing is ever different.
    #[test]
    fn the_journal_agrees_with_the_model(ops in prop::collection::vec(op(), 1..80)) {
        let mut play = Play::new();
        for op in ops {
            play.step(op);
        }
        play.rest();
    }

    /// Each flipped bit costs one frame at the most; that is told, and nothing comes back different.
    #[test]
    fn a_flipped_bit_spoils_one_frame(
        ops in prop::collection::vec(calm_op(), 1..60),
        flips in prop::collection::vec((any::<u32>(), any::<u8>()), 1..4),
        later in prop::collection::vec(ask(), 0..20),
    ) {
        let mut play = Play::new();
        for op in ops {
            play.step(op);
        }
        play.restart(Crash::Process, None);
        let before = play.journal().snapshot().unwrap();
        play.journal = None;
        // Two bits could spoil both copies of a prefix.
        let spared = if flips.len() == 1 { 0 } else { PREFIX as u64 };
        for (place, bit) in &flips {
            flip(&play.disk, *place, *bit, spared);
        }
        play.disk.restart(Crash::Process);
        let (journal, after) = play.open().unwrap();
        let changed = compare(&before, &after, &play.world);
        prop_assert!(changed <= flips.len(), "{changed} frames are different");
        let told = !journal.damages().is_empty();
        prop_assert!(changed == 0 || told || flips.len() > 1, "nobody was told");

        // Nor does what is written later, or cleaned, bring anything back.
        play.journal = Some(journal);
        play.read_back(&after);
        let writes: Vec<_> = later.iter().map(|ask| play.write_of(ask)).collect();
        play.journal().apply(writes);
        while play.journal().tidy().unwrap() {}
        play.read_back(&after);
    }
}

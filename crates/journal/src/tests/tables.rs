//! The edges, each by name.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use uuid::Uuid;
use waggoner_types::AttemptId;

use crate::{
    Class, Journal, ReadError, Reader, Recovered, Refused, Settings, Write, Written,
    disk::{
        Disk as _,
        simulated::{Crash, Fault, Simulated},
    },
    frame::PREFIX,
};

const ONE: AttemptId = AttemptId(Uuid::from_u128(1));
const TWO: AttemptId = AttemptId(Uuid::from_u128(2));

fn settings() -> Settings {
    Settings {
        segment: 4096,
        per_attempt: 8 << 10,
        total: 16 << 10,
        reserve: 2048,
        remembered: Duration::from_hours(1),
        remembered_count: 10,
    }
}

fn open(disk: &Simulated) -> (Journal, Vec<Recovered>) {
    Journal::open_on(Arc::new(disk.clone()), settings()).unwrap()
}

fn one(journal: &mut Journal, write: Write) -> Result<Written, Refused> {
    journal.apply(vec![write]).remove(0)
}

fn begin(attempt: AttemptId) -> Write {
    Write::Open { attempt, epoch: 5, note: Bytes::from_static(b"start") }
}

fn record(attempt: AttemptId, class: Class, length: usize) -> Write {
    Write::Record { attempt, class, bytes: vec![7; length].into() }
}

fn note(attempt: AttemptId, slot: u8, length: usize) -> Write {
    Write::Note { attempt, slot, bytes: vec![8; length].into() }
}

fn end(attempt: AttemptId) -> Write {
    Write::End { attempt, bytes: Bytes::from_static(b"outcome") }
}

fn ack(attempt: AttemptId, upto: u64) -> Write {
    Write::Ack { attempt, upto }
}

fn tidy(journal: &mut Journal) {
    while journal.tidy().unwrap() {}
}

/// An attempt from its opening to its tombstone.
fn live_and_die(journal: &mut Journal, attempt: AttemptId) {
    let writes =
        vec![begin(attempt), record(attempt, Class::Log, 10), end(attempt), ack(attempt, 2)];
    assert!(journal.apply(writes).iter().all(Result::is_ok));
}

#[test]
fn an_attempt_opens_once_and_ends_once() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    let epoch = |epoch| Write::Open { attempt: ONE, epoch, note: Bytes::new() };

    assert!(matches!(one(&mut journal, end(ONE)), Err(Refused::Unknown)));
    assert_eq!(one(&mut journal, begin(ONE)).unwrap(), Written::default());
    let outcome = one(&mut journal, end(ONE)).unwrap();
    assert_eq!(outcome.sequence, 1);

    // The answers stay the same when the attempt is but a memory.
    for acknowledged in [false, true] {
        if acknowledged {
            one(&mut journal, ack(ONE, 1)).unwrap();
        }
        assert!(matches!(one(&mut journal, epoch(5)), Err(Refused::Known { epoch: 5 })));
        assert!(matches!(one(&mut journal, epoch(6)), Err(Refused::Known { epoch: 5 })));
        assert!(matches!(one(&mut journal, epoch(4)), Err(Refused::StaleEpoch { newest: 5 })));
        let again = one(&mut journal, end(ONE));
        assert!(matches!(again, Err(Refused::Ended(first)) if first == outcome));
        let late = one(&mut journal, record(ONE, Class::Log, 1));
        assert!(matches!(late, Err(Refused::Ended(first)) if first == outcome));
    }
    assert!(matches!(one(&mut journal, note(ONE, 1, 1)), Err(Refused::Ended(_))));
    assert_eq!(one(&mut journal, ack(ONE, 9)).unwrap(), outcome);
}

#[test]
fn the_digest_is_over_all_records_so_far() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    let mut chain = 0;
    one(&mut journal, begin(ONE)).unwrap();
    for length in [0, 1, 7, 8, 100] {
        let written = one(&mut journal, record(ONE, Class::Log, length)).unwrap();
        chain = xxhash_rust::xxh3::xxh3_64_with_seed(&vec![7; length], chain);
        assert_eq!(written.chain, chain);
    }
    assert_eq!(open_again(journal, &disk).1[0].chain, chain);
}

#[test]
fn a_quota_refuses_logs_then_what_is_kept_but_no_outcome() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    one(&mut journal, begin(ONE)).unwrap();
    let until_refused = |journal: &mut Journal, class| {
        for count in 0..1000 {
            match one(journal, record(ONE, class, 176)) {
                Ok(_) => {}
                Err(Refused::OverQuota) => return count,
                Err(refused) => panic!("{refused}"),
            }
        }
        panic!("no quota");
    };
    assert_eq!(until_refused(&mut journal, Class::Log), 32);
    assert_eq!(until_refused(&mut journal, Class::Kept), 4);

    // An acknowledgement makes room, at once.
    one(&mut journal, ack(ONE, 20)).unwrap();
    assert_eq!(until_refused(&mut journal, Class::Log), 16);
    one(&mut journal, note(ONE, 1, 100)).unwrap();
    assert_eq!(one(&mut journal, end(ONE)).unwrap().sequence, 53);
}

#[test]
fn at_the_total_quota_no_attempt_opens() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    one(&mut journal, begin(ONE)).unwrap();
    one(&mut journal, note(ONE, 1, 16 << 10)).unwrap();
    assert!(matches!(one(&mut journal, begin(TWO)), Err(Refused::OverQuota)));
    one(&mut journal, note(ONE, 1, 0)).unwrap();
    one(&mut journal, begin(TWO)).unwrap();
}

#[test]
fn a_record_too_large_is_refused() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    one(&mut journal, begin(ONE)).unwrap();
    let huge = record(ONE, Class::Log, (16 << 20) + 1);
    assert!(matches!(one(&mut journal, huge), Err(Refused::TooLarge { size }) if size > 16 << 20));
    // One that is larger than a segment has a segment for itself.
    one(&mut journal, note(ONE, 3, 10_000)).unwrap();
    assert_eq!(open_again(journal, &disk).1[0].notes[&3].len(), 10_000);
}

#[test]
fn on_a_full_disk_logs_wait_and_outcomes_have_the_reserve() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    one(&mut journal, begin(ONE)).unwrap();
    disk.set_space(disk.used());
    let wait = |journal: &mut Journal| loop {
        match one(journal, record(ONE, Class::Log, 100)) {
            Ok(_) => {}
            Err(Refused::Full) => break,
            Err(refused) => panic!("{refused}"),
        }
    };
    wait(&mut journal);
    let opened = one(&mut journal, begin(TWO));
    assert!(matches!(opened, Err(Refused::Full)));

    let told = one(&mut journal, record(ONE, Class::Kept, 100)).unwrap();
    one(&mut journal, note(ONE, 2, 500)).unwrap();
    journal.sync().unwrap();

    // Room comes back: asked again after a moment, the disk gives it, and the reserve is whole.
    disk.set_space(u64::MAX);
    disk.pass(Duration::from_secs(1));
    one(&mut journal, record(ONE, Class::Log, 100)).unwrap();
    disk.set_space(disk.used());
    disk.pass(Duration::from_secs(1));
    wait(&mut journal);
    let outcome = one(&mut journal, end(ONE)).unwrap();
    assert!(outcome.sequence > told.sequence);
    let (_, known) = open_again(journal, &disk);
    assert_eq!((known[0].last, known[0].ended, known[0].lost.len()), (outcome.sequence, true, 0));
}

#[test]
fn what_a_full_disk_keeps_does_not_eat_the_whole_reserve() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    one(&mut journal, begin(ONE)).unwrap();
    disk.set_space(disk.used());
    while one(&mut journal, record(ONE, Class::Kept, 100)).is_ok() {}
    let refused = one(&mut journal, record(ONE, Class::Kept, 100));
    assert!(matches!(refused, Err(Refused::Full)));
    one(&mut journal, note(ONE, 2, 500)).unwrap();
    one(&mut journal, end(ONE)).unwrap();
}

#[test]
fn a_journal_opens_on_a_full_disk_and_waits_for_room() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    let writes = vec![begin(ONE), record(ONE, Class::Log, 1000)];
    assert!(journal.apply(writes).iter().all(Result::is_ok));
    drop(journal);
    disk.restart(Crash::Process);
    disk.set_space(0);
    let (mut journal, known) = open(&disk);
    assert_eq!(known[0].last, 1);
    let mut reader = Reader::open_on(Box::new(disk.clone()));
    reader.advance(journal.place()).unwrap();
    assert_eq!(reader.read(ONE, 0, 10).unwrap().len(), 1);
    assert!(matches!(one(&mut journal, end(ONE)), Err(Refused::Full)));
    disk.set_space(u64::MAX);
    disk.pass(Duration::from_secs(1));
    assert_eq!(one(&mut journal, end(ONE)).unwrap().sequence, 2);
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    one(&mut journal, begin(ONE)).unwrap();
    // All of the bytes are there when it fails.
    disk.fail(0, Fault::Error { part: 255 });
    let answers = journal.apply(vec![record(ONE, Class::Log, 10), end(ONE), end(ONE)]);
    assert!(answers.iter().all(|answer| matches!(answer, Err(Refused::Io(_)))));
    assert!(!journal.is_broken());
    let (mut journal, known) = open_again(journal, &disk);
    assert_eq!((known[0].last, known[0].ended), (0, false));
    assert_eq!(one(&mut journal, end(ONE)).unwrap().sequence, 1);
}

#[test]
fn a_sync_that_fails_ends_the_writing() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    one(&mut journal, begin(ONE)).unwrap();
    disk.fail(0, Fault::Error { part: 0 });
    journal.sync().unwrap_err();
    assert!(journal.is_broken());
    assert!(matches!(one(&mut journal, end(ONE)), Err(Refused::Io(_))));
    journal.tidy().unwrap_err();
    journal.sync().unwrap_err();
}

#[test]
fn tombstones_outlive_restarts_and_are_bounded() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    for number in 0..30 {
        disk.pass(Duration::from_secs(1));
        live_and_die(&mut journal, AttemptId(Uuid::from_u128(number)));
        tidy(&mut journal);
        if number % 7 == 0 {
            journal = open_again(journal, &disk).0;
        }
    }
    let known = open_again(journal, &disk).1;
    let newest: Vec<_> = (20..30).map(|number| AttemptId(Uuid::from_u128(number))).collect();
    let ids: Vec<_> = known.iter().map(|known| known.attempt).collect();
    assert!(ids.ends_with(&newest), "{ids:?}");
    assert!(known.iter().all(|known| known.tombstone && known.last == 2 && known.notes.is_empty()));
}

#[test]
fn a_tombstone_is_forgotten_when_it_is_old() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    live_and_die(&mut journal, ONE);
    disk.pass(Duration::from_mins(59));
    tidy(&mut journal);
    assert!(matches!(one(&mut journal, begin(ONE)), Err(Refused::Known { .. })));
    disk.pass(Duration::from_mins(2));
    tidy(&mut journal);
    one(&mut journal, begin(ONE)).unwrap();
}

/// An attempt that idles must not keep what others have written beside it.
#[test]
fn an_idle_attempt_does_not_hold_the_disk() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    let first = vec![begin(ONE), note(ONE, 1, 50), record(ONE, Class::Log, 50), begin(TWO)];
    assert!(journal.apply(first).iter().all(Result::is_ok));
    let mut reader = Reader::open_on(Box::new(disk.clone()));
    for _ in 0..500 {
        let last = one(&mut journal, record(TWO, Class::Log, 300)).unwrap().sequence;
        reader.advance(journal.place()).unwrap();
        one(&mut journal, ack(TWO, last)).unwrap();
        journal.tidy().unwrap();
        assert!(disk.used() < 6 * 4096, "{} bytes", disk.used());
        assert_eq!(reader.read(ONE, 0, 1000).unwrap()[0].bytes, vec![7; 50]);
    }
    let (journal, known) = open_again(journal, &disk);
    assert_eq!((known[0].last, &known[0].notes[&1][..]), (1, &[8; 50][..]));
    assert_eq!((known[1].last, known[1].acked), (500, 500));
    drop(journal);
}

#[test]
fn a_reader_tells_what_is_gone_and_goes_on_behind_it() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    one(&mut journal, begin(ONE)).unwrap();
    let chains: Vec<_> =
        (0..34).map(|_| one(&mut journal, record(ONE, Class::Log, 150)).unwrap()).collect();
    let acked = chains[28];
    one(&mut journal, ack(ONE, 29)).unwrap();
    tidy(&mut journal);
    let mut reader = Reader::open_on(Box::new(disk.clone()));
    reader.advance(journal.place()).unwrap();
    let lost = reader.read(ONE, 3, 1000);
    assert!(
        matches!(&lost, Err(ReadError::Lost { records, chain }) if *records == (4..=29) && *chain == acked.chain),
        "{lost:?}"
    );
    let read = reader.read(ONE, 29, 500).unwrap();
    let sequences: Vec<_> = read.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [30, 31]);
    assert_eq!(reader.read(ONE, 34, 500).unwrap(), []);
    assert_eq!(reader.read(TWO, 0, 500).unwrap(), []);
}

/// What is known to have been on the disk is no torn tail.
#[test]
fn a_bit_that_flips_in_the_newest_segment_spares_what_follows() {
    // The header of the first record, and its payload.
    for offset in [PREFIX as u64 + 88, PREFIX as u64 + 88 + 80] {
        let disk = Simulated::new();
        let (mut journal, _) = open(&disk);
        one(&mut journal, begin(ONE)).unwrap();
        let first = one(&mut journal, record(ONE, Class::Log, 100)).unwrap();
        journal.sync().unwrap();
        one(&mut journal, note(ONE, 1, 10)).unwrap();
        let last = one(&mut journal, record(ONE, Class::Log, 20)).unwrap();
        disk.flip(1, offset, 3);

        let mut reader = Reader::open_on(Box::new(disk.clone()));
        reader.advance(journal.place()).unwrap();
        let read = reader.read(ONE, 0, 1000);
        let Err(ReadError::Lost { records, chain }) = &read else { panic!("{read:?}") };
        assert_eq!((records, *chain), (&(1..=1), first.chain));
        assert_eq!(reader.read(ONE, 1, 1000).unwrap()[0].chain, last.chain);
        let (journal, known) = open_again(journal, &disk);
        assert_eq!(journal.damages().len(), 1);
        let stands = (known[0].last, known[0].chain, &known[0].lost);
        assert_eq!(stands, (2, last.chain, &vec![1..=1]));
        assert!(known[0].notes.contains_key(&1));
    }
}

#[test]
fn a_spoilt_note_does_not_bring_an_older_one_back() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    journal.apply(vec![begin(ONE), note(ONE, 1, 8), note(ONE, 1, 8), note(ONE, 2, 8)]);
    let (journal, _) = open_again(journal, &disk);
    disk.flip(1, PREFIX as u64 + 2 * 88 + 80, 0);
    let (journal, known) = open_again(journal, &disk);
    assert_eq!(known[0].notes.keys().copied().collect::<Vec<_>>(), [0, 2]);
    assert_eq!(journal.damages()[0].attempt, Some(ONE));
}

/// Behind what is known to have been on the disk, what is not whole was torn.
#[test]
fn a_torn_tail_is_cut_in_silence() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    one(&mut journal, begin(ONE)).unwrap();
    disk.fail(0, Fault::Crash { part: 200 });
    let answers = journal.apply(vec![record(ONE, Class::Log, 100), record(ONE, Class::Log, 100)]);
    assert!(answers.iter().all(Result::is_err));
    let (journal, known) = open_again(journal, &disk);
    assert_eq!((known[0].last, &known[0].lost[..], journal.damages()), (1, &[][..], &[][..]));
}

/// Each operation of the disk fails once while the segments are cleaned.
#[test]
fn a_failure_while_cleaning_loses_nothing() {
    for fault in [Fault::Error { part: 100 }, Fault::Crash { part: 100 }] {
        for after in 0..40 {
            let disk = Simulated::new();
            let (mut journal, _) = open(&disk);
            let first = vec![begin(ONE), note(ONE, 1, 50), record(ONE, Class::Log, 50), begin(TWO)];
            assert!(journal.apply(first).iter().all(Result::is_ok));
            for _ in 0..50 {
                let last = one(&mut journal, record(TWO, Class::Log, 300)).unwrap().sequence;
                one(&mut journal, ack(TWO, last - 1)).unwrap();
            }
            journal.sync().unwrap();
            let before = journal.snapshot().unwrap();
            disk.fail(after, fault);
            while journal.tidy().unwrap_or(false) {}
            journal.tidy().ok();
            let (mut journal, known) = open_again(journal, &disk);
            assert_eq!(known, before, "after {after}");
            tidy(&mut journal);
            assert_eq!(journal.snapshot().unwrap(), before);
            assert!(disk.used() < 6 * 4096, "{} bytes", disk.used());
        }
    }
}

/// What a disk spoils while the journal runs is found when it is cleaned, and given up.
#[test]
fn cleaning_steps_over_what_is_spoilt() {
    let disk = Simulated::new();
    let (mut journal, _) = open(&disk);
    journal.apply(vec![begin(ONE), begin(TWO)]);
    for number in 0..80 {
        if number % 8 == 0 {
            let bytes = vec![9; 96].into();
            one(&mut journal, Write::Record { attempt: ONE, class: Class::Log, bytes }).unwrap();
        }
        let last = one(&mut journal, record(TWO, Class::Log, 300)).unwrap().sequence;
        one(&mut journal, ack(TWO, last)).unwrap();
    }
    let mut spoilt = 0;
    for (segment, size) in disk.sizes() {
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        disk.open(segment).unwrap().read(&mut bytes, 0).unwrap();
        if let Some(at) = bytes.windows(96).position(|window| window == [9; 96]) {
            disk.flip(segment, at as u64, 0);
            spoilt += 1;
        }
    }
    tidy(&mut journal);
    let known = journal.snapshot().unwrap();
    let lost: Vec<_> = known[0].lost.iter().cloned().flatten().collect();
    assert!(!lost.is_empty() && lost.len() <= spoilt, "{lost:?}");
    assert_eq!(known[0].last, 10);
    let mut reader = Reader::open_on(Box::new(disk.clone()));
    reader.advance(journal.place()).unwrap();
    let gone = (0..10).filter(|after| reader.read(ONE, *after, 0).is_err());
    assert_eq!(gone.count(), spoilt);
    assert!(disk.used() < 6 * 4096, "{} bytes", disk.used());
}

/// A place is remembered for few of the records; the others are found from there.
#[test]
fn a_reader_finds_every_record_of_a_long_journal() {
    const MANY: u64 = 40_000;

    let disk = Simulated::new();
    let settings = Settings { total: u64::MAX, per_attempt: u64::MAX, ..Settings::default() };
    let (mut journal, _) = Journal::open_on(Arc::new(disk.clone()), settings).unwrap();
    journal.apply(vec![begin(ONE), begin(TWO)]);
    for number in 0..MANY {
        let bytes = Bytes::copy_from_slice(&number.to_le_bytes());
        let records = [ONE, TWO].map(|attempt| {
            let bytes = bytes.clone();
            Write::Record { attempt, class: Class::Log, bytes }
        });
        journal.apply(records.into());
    }
    let mut reader = Reader::open_on(Box::new(disk));
    reader.advance(journal.place()).unwrap();
    for after in [0, 1, 2, 777, 20_001, MANY - 1] {
        let read = reader.read(TWO, after, 200).unwrap();
        assert_eq!(read[0].sequence, after + 1);
        assert_eq!(read[0].bytes[..], after.to_le_bytes());
    }
    let mut after = 0;
    while let Some(last) = reader.read(ONE, after, 100_000).unwrap().last() {
        after = last.sequence;
    }
    assert_eq!(after, MANY);
}

fn open_again(journal: Journal, disk: &Simulated) -> (Journal, Vec<Recovered>) {
    drop(journal);
    disk.restart(Crash::Process);
    open(disk)
}

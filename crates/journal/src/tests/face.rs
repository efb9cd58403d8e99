//! The face that other crates see, on a real disk.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures_util::future::join_all;
use uuid::Uuid;
use waggoner_types::AttemptId;

use crate::{
    Class, Journal, OpenError, Reader, Settings, Write, Writer, disk::simulated::Simulated,
};

#[tokio::test]
async fn what_is_written_is_read_by_another_and_survives_a_restart() {
    let directory = camino_tempfile::tempdir().unwrap();
    let attempt = AttemptId(Uuid::from_u128(1));
    let (journal, known) = Journal::open(directory.path(), Settings::default()).unwrap();
    assert_eq!(known, []);
    let (writer, thread) = Writer::start(journal).unwrap();
    let note = Bytes::from_static(b"start");
    writer.write(Write::Open { attempt, epoch: 1, note }, true).await.unwrap();
    for text in ["one", "two"] {
        let bytes = Bytes::from_static(text.as_bytes());
        writer.write(Write::Record { attempt, class: Class::Log, bytes }, false).await.unwrap();
    }
    let end = Write::End { attempt, bytes: Bytes::from_static(b"done") };
    let written = writer.write(end, true).await.unwrap();

    let mut reader = Reader::open(directory.path()).unwrap();
    reader.advance(*writer.place().borrow()).unwrap();
    let records = reader.read(attempt, 1, 1024).unwrap();
    let texts: Vec<_> = records.iter().map(|record| &record.bytes[..]).collect();
    assert_eq!(texts, [b"two".as_slice(), b"done"]);

    drop(writer);
    tokio::task::spawn_blocking(|| thread.join()).await.unwrap().unwrap();
    let (_, known) = Journal::open(directory.path(), Settings::default()).unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].last, known[0].chain), (written.sequence, written.chain));
    assert!(known[0].ended && !known[0].tombstone);
    assert_eq!(known[0].notes[&0], "start");
}

/// Many write, one reads and acknowledges, and the disk does not grow.
#[tokio::test]
async fn what_many_write_at_once_another_reads_in_order() {
    const ATTEMPTS: u128 = 16;
    const RECORDS: u64 = 200;

    let directory = camino_tempfile::tempdir().unwrap();
    let settings = Settings { segment: 64 << 10, reserve: 16 << 10, ..Settings::default() };
    let (journal, _) = Journal::open(directory.path(), settings.clone()).unwrap();
    let (writer, thread) = Writer::start(journal).unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    let attempts: Vec<_> = (1..=ATTEMPTS).map(|id| AttemptId(Uuid::from_u128(id))).collect();

    let all = join_all(attempts.iter().map(|attempt| write_all(&writer, *attempt, RECORDS)));
    let reads = read_all(reader, &writer, &attempts, RECORDS + 1);
    tokio::join!(all, reads);

    let known = writer.snapshot().await.unwrap();
    assert!(known.iter().all(|known| known.tombstone && known.last == RECORDS + 1));
    drop(writer);
    tokio::task::spawn_blocking(|| thread.join()).await.unwrap().unwrap();
    let files = directory.path().read_dir_utf8().unwrap();
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 8 * settings.segment, "{bytes} bytes are left");
}

async fn write_all(writer: &Writer, attempt: AttemptId, records: u64) {
    writer.write(Write::Open { attempt, epoch: 1, note: Bytes::new() }, true).await.unwrap();
    for number in 1..=records {
        let bytes = Bytes::from(vec![u8::try_from(number % 251).unwrap(); 1000]);
        let write = Write::Record { attempt, class: Class::Log, bytes };
        let written = writer.write(write, number % 10 == 0).await.unwrap();
        assert_eq!(written.sequence, number);
    }
    writer.write(Write::End { attempt, bytes: Bytes::new() }, true).await.unwrap();
}

async fn read_all(mut reader: Reader, writer: &Writer, attempts: &[AttemptId], last: u64) {
    let mut place = writer.place();
    let mut after: BTreeMap<_, _> = attempts.iter().map(|attempt| (*attempt, 0)).collect();
    while !after.is_empty() {
        place.changed().await.unwrap();
        let upto = *place.borrow_and_update();
        reader.advance(upto).unwrap();
        for (attempt, after) in &mut after {
            for record in reader.read(*attempt, *after, 20_000).unwrap() {
                assert_eq!(record.sequence, *after + 1);
                *after = record.sequence;
                let expected = u8::try_from(record.sequence % 251).unwrap();
                assert!(record.bytes.iter().all(|byte| *byte == expected));
            }
            writer.write(Write::Ack { attempt: *attempt, upto: *after }, false).await.unwrap();
        }
        after.retain(|_, after| *after < last);
    }
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "the writer's thread waits for it, and we do not")]
async fn who_does_not_wait_for_the_disk_goes_on_while_others_of_its_group_do() {
    let disk = Simulated::new();
    let (journal, _) = Journal::open_on(Arc::new(disk.clone()), Settings::default()).unwrap();
    let (writer, _thread) = Writer::start(journal).unwrap();
    let [first, second] = [1, 2].map(|id| AttemptId(Uuid::from_u128(id)));
    let open = |attempt| Write::Open { attempt, epoch: 1, note: Bytes::new() };
    writer.write(open(first), true).await.unwrap();

    let held = disk.hold();
    let mut durable = Box::pin(writer.write(open(second), true));
    let record = Write::Record { attempt: first, class: Class::Log, bytes: Bytes::new() };
    tokio::select! {
        biased;
        _ = &mut durable => panic!("it is not on the disk"),
        written = writer.write(record, false) => assert_eq!(written.unwrap().sequence, 1),
    }
    drop(held);
    durable.await.unwrap();
}

#[test]
fn a_directory_has_one_writer() {
    let directory = camino_tempfile::tempdir().unwrap();
    let first = Journal::open(directory.path(), Settings::default()).unwrap();
    let second = Journal::open(directory.path(), Settings::default());
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    drop(first);
    Journal::open(directory.path(), Settings::default()).unwrap();
}

//! The face that other crates see, on a real disk.

use bytes::Bytes;
use uuid::Uuid;
use waggoner_types::AttemptId;

use crate::{Class, Journal, OpenError, Reader, Settings, Write, Writer};

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
    thread.join().unwrap();
    let (_, known) = Journal::open(directory.path(), Settings::default()).unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].last, known[0].chain), (written.sequence, written.chain));
    assert!(known[0].ended && !known[0].tombstone);
    assert_eq!(known[0].notes[&0], "start");
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

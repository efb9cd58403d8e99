//! How many small durable writes the journal takes, beside a bare file; and how fast log records go
//! through it to a reader. Prints one JSON object a line.

use std::{
    os::unix::fs::FileExt as _,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use camino::Utf8Path;
use camino_tempfile::Utf8TempDir;
use futures_util::{StreamExt as _, stream};
use tokio::runtime::Runtime;
use uuid::Uuid;
use waggoner_journal::{Class, Journal, Reader, Settings, Write, Writer};
use waggoner_types::AttemptId;

/// How long each row of small writes is measured.
const MOMENT: Duration = Duration::from_secs(2);
const SMALL: usize = 256;
const LARGE: usize = 64 << 10;
/// The bytes that go through.
const THROUGH: u64 = 1 << 30;
const ATTEMPTS: u64 = 4;
/// The records that wait to be written.
const IN_FLIGHT: usize = 64;
/// What is asked of the reader at a time.
const READ: usize = 1 << 20;

#[expect(clippy::print_stdout, reason = "the rows are the answer")]
fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime can be made");
    let bare = bare();
    println!(r#"{{"bench":"journal","what":"bare append and fdatasync","per_second":{bare:.0}}}"#);
    for callers in [1, 32, 256] {
        let rate = durable(&runtime, callers);
        println!(
            r#"{{"bench":"journal","what":"durable write","callers":{callers},"per_second":{rate:.0}}}"#
        );
    }
    let rate = through(&runtime);
    println!(r#"{{"bench":"journal","what":"log records to a reader","mb_per_second":{rate:.0}}}"#);
}

/// A file that grows, synced after each write.
fn bare() -> f64 {
    let directory = Utf8TempDir::new().expect("a directory can be made");
    let file = fs_err::File::create(directory.path().join("file")).expect("a file can be made");
    let begun = Instant::now();
    let mut writes = 0;
    while begun.elapsed() < MOMENT {
        file.file().write_all_at(&[1; SMALL], writes * SMALL as u64).expect("it can be written");
        file.sync_data().expect("it can be synced");
        writes += 1;
    }
    per_second(writes, begun)
}

fn durable(runtime: &Runtime, callers: usize) -> f64 {
    let directory = Utf8TempDir::new().expect("a directory can be made");
    let (writer, thread) = start(runtime, directory.path());
    let attempt = AttemptId(Uuid::from_u128(1));
    let bytes = Bytes::from_static(&[1; SMALL]);
    let rate = runtime.block_on(async {
        open(&writer, attempt).await;
        let begun = Instant::now();
        let asks = stream::repeat(()).take_while(|()| {
            let more = begun.elapsed() < MOMENT;
            async move { more }
        });
        let write = |()| {
            let write = Write::Record { attempt, class: Class::Kept, bytes: bytes.clone() };
            async { writer.write(write, true).await.expect("it is written").sequence }
        };
        let answers = asks.map(write).buffer_unordered(callers);
        let done = answers.fold(0, |count, _| async move { count + 1 }).await;
        per_second(done, begun)
    });
    drop(writer);
    join(runtime, thread);
    rate
}

/// One side writes, the other reads and acknowledges.
fn through(runtime: &Runtime) -> f64 {
    let directory = Utf8TempDir::new().expect("a directory can be made");
    let (writer, thread) = start(runtime, directory.path());
    let attempts: Vec<_> =
        (0..ATTEMPTS).map(|number| AttemptId(Uuid::from_u128(number.into()))).collect();
    runtime.block_on(async {
        for attempt in &attempts {
            open(&writer, *attempt).await;
        }
    });
    let each = THROUGH / LARGE as u64 / ATTEMPTS;
    let begun = Instant::now();
    let reading = {
        let (path, writer, attempts) =
            (directory.path().to_owned(), writer.clone(), attempts.clone());
        thread::spawn(move || read(&path, &writer, &attempts, each))
    };
    let bytes = Bytes::from(vec![1; LARGE]);
    runtime.block_on(async {
        let answers = stream::iter(0..each).flat_map(|_| stream::iter(&attempts)).map(|attempt| {
            let bytes = bytes.clone();
            let write = Write::Record { attempt: *attempt, class: Class::Log, bytes };
            async { writer.write(write, false).await.expect("it is written") }
        });
        answers.buffer_unordered(IN_FLIGHT).for_each(|_| async {}).await;
        writer.sync().await.expect("it is synced");
    });
    let read = reading.join().expect("the reader ends");
    assert_eq!(read, THROUGH);
    let rate = per_second(read, begun) / 1e6;
    drop(writer);
    join(runtime, thread);
    rate
}

fn read(directory: &Utf8Path, writer: &Writer, attempts: &[AttemptId], each: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime can be made");
    let mut reader = Reader::open(directory).expect("it can be read");
    let mut place = writer.place();
    let mut after = vec![0; attempts.len()];
    let mut bytes = 0;
    while after.iter().any(|after| *after < each) {
        let upto = *place.borrow_and_update();
        reader.advance(upto).expect("it can be read");
        let mut idle = true;
        for (attempt, after) in attempts.iter().zip(&mut after) {
            let records = reader.read(*attempt, *after, READ).expect("nothing is spoilt");
            let Some(last) = records.last() else { continue };
            *after = last.sequence;
            bytes += records.iter().map(|record| record.bytes.len() as u64).sum::<u64>();
            let ack = Write::Ack { attempt: *attempt, upto: *after };
            runtime.block_on(writer.write(ack, false)).expect("it is written");
            reader.acked(*attempt, *after);
            idle = false;
        }
        if idle {
            runtime.block_on(place.changed()).expect("the writer is there");
        }
    }
    bytes
}

fn start(runtime: &Runtime, directory: &Utf8Path) -> (Writer, thread::JoinHandle<()>) {
    let _inside = runtime.enter();
    let settings = Settings { per_attempt: u64::MAX, total: u64::MAX, ..Settings::default() };
    let (journal, _) = Journal::open(directory, settings).expect("it can be opened");
    Writer::start(journal).expect("a thread can be started")
}

fn join(runtime: &Runtime, thread: thread::JoinHandle<()>) {
    let joined = runtime.block_on(async { tokio::task::spawn_blocking(|| thread.join()).await });
    joined.expect("the runtime lives").expect("the writer ends");
}

async fn open(writer: &Writer, attempt: AttemptId) {
    let open = Write::Open { attempt, epoch: 1, note: Bytes::new() };
    writer.write(open, true).await.expect("it is written");
}

#[expect(clippy::cast_precision_loss, reason = "a rate of fewer than 2^52")]
fn per_second(count: u64, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}

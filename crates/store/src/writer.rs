//! The one writer: a thread that commits writes in groups.
//!
//! While a group is being synced to the disk the next one gathers in the channel, so that the
//! busier the store is, the more writes share a sync, and a lone write waits for nobody.

use std::{
    cell::Cell,
    io,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::error;
use waggoner_task::{Delivery, Handover};

use crate::error::Stop;

/// The way to the writer's thread. Dropping it waits until the thread has ended.
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    counts: Arc<Counts>,
}

/// A write's view of the database: the group's transaction.
pub(crate) struct Tx<'a> {
    connection: &'a Connection,
    last_event: Cell<u64>,
}

/// How much was written since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) writes: AtomicU64,
    pub(crate) commits: AtomicU64,
}

/// A write on its way to the thread.
struct Job {
    undo: Undo,
    run: Run,
}

/// What is undone of a write that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undo {
    /// All that it has changed by then, and nothing else.
    Write,
    /// Its whole group, if it has changed anything by then: for what refuses before it changes
    /// anything, so that only a database that is out of order can be why. To be ready to undo a
    /// write by itself costs a copy of each page that it touches.
    Group,
}

/// Runs a write; what comes back knows its result and waits for the commit.
type Run = Box<dyn FnOnce(&Tx<'_>) -> Applied + Send>;

/// Tells the caller, once it is known whether the group was committed.
type Answer = Box<dyn FnOnce(Result<(), Lost>) + Send>;

struct Applied {
    keep: bool,
    answer: Answer,
}

/// The group was not committed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed to commit")]
struct Lost(#[source] Arc<rusqlite::Error>);

#[derive(Debug, thiserror::Error)]
enum Silent {
    #[error("the writer gave no answer; the manager's log says why")]
    NoAnswer,
    #[error("the write panicked")]
    Panicked,
    #[error("the database rolled the group back")]
    RolledBack,
    #[error("a write of the group failed half-way")]
    HalfDone,
}

struct Thread {
    connection: Connection,
    jobs: mpsc::Receiver<Job>,
    last_event: watch::Sender<u64>,
    counts: Arc<Counts>,
    handover: Handover,
}

/// How many writes may wait. Each waits for its commit anyway, so the bound only caps memory; two
/// full groups keep the thread busy.
const WAITING: usize = 2 * GROUP;

/// The largest group: a few milliseconds of work, so that the first of it does not wait long.
const GROUP: usize = 512;

// === impl Writer ===

impl Writer {
    /// Starts the thread. `last_event` follows what is committed.
    pub(crate) fn start(
        connection: Connection,
        last_event: watch::Sender<u64>,
    ) -> io::Result<Self> {
        let (jobs_tx, jobs) = mpsc::channel(WAITING);
        let counts = Arc::new(Counts::default());
        let handover = Handover::new();
        let thread = Thread { connection, jobs, last_event, counts: Arc::clone(&counts), handover };
        let thread =
            thread::Builder::new().name("store-writer".to_owned()).spawn(move || thread.run())?;
        Ok(Self { jobs: Some(jobs_tx), thread: Some(thread), counts })
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Runs `write` in the next group and waits for the group's commit.
    ///
    /// Once it has begun to wait for the commit, dropping the future does not undo the write.
    pub(crate) async fn write<T, F>(&self, undo: Undo, write: F) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, Stop> + Send + 'static,
    {
        let (answer_tx, answer) = oneshot::channel();
        let run: Run = Box::new(move |tx| {
            let result = catch_unwind(AssertUnwindSafe(|| write(tx)))
                .unwrap_or_else(|_| Err(Stop::Broken(Silent::Panicked.into())));
            let keep = result.is_ok();
            let answer = move |committed: Result<(), Lost>| {
                let result = match committed {
                    Ok(()) => result,
                    Err(lost) => Err(Stop::Broken(lost.into())),
                };
                answer_tx.send(result).ok();
            };
            Applied { keep, answer: Box::new(answer) }
        });

        let jobs = self.jobs.as_ref().expect("only `drop` takes the sender");
        let silent = || Stop::Broken(Silent::NoAnswer.into());
        jobs.send(Job { undo, run }).await.map_err(|_| silent())?;
        answer.await.map_err(|_| silent())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        let Some(thread) = self.thread.take() else { return };
        // A write that held the last handle of the store would wait for itself.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            error!("the store's writer panicked");
        }
    }
}

// === impl Tx ===

impl Tx<'_> {
    /// Notes that the group holds events up to this one.
    pub(crate) fn saw_event(&self, id: u64) {
        self.last_event.set(id);
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

// === impl Thread ===

impl Thread {
    fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            let mut answers = Vec::new();
            let committed = self.commit(first, &mut answers).map_err(|failure| {
                error!(error = &failure as &dyn std::error::Error, "failed to commit a group");
                Lost(Arc::new(failure))
            });
            let deliveries = answers.into_iter().map(|answer| {
                let committed = committed.clone();
                Box::new(move || answer(committed)) as Delivery
            });
            self.handover.hand_over(deliveries.collect());
        }
    }

    /// Runs `first` and what waits behind it in one transaction.
    fn commit(&mut self, first: Job, answers: &mut Vec<Answer>) -> rusqlite::Result<()> {
        run(&self.connection, "BEGIN IMMEDIATE")?;
        let tx =
            Tx { connection: &self.connection, last_event: Cell::new(*self.last_event.borrow()) };
        let applied = gather(&tx, first, &mut self.jobs, answers);
        let committed = applied.and_then(|()| run(&tx, "COMMIT"));
        if committed.is_err() && !tx.is_autocommit() {
            run(&tx, "ROLLBACK")?;
        }
        committed?;

        self.counts.writes.fetch_add(answers.len() as u64, Ordering::Relaxed);
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        let last = tx.last_event.get();
        self.last_event.send_if_modified(|event| {
            let newer = last > *event;
            *event = last.max(*event);
            newer
        });
        Ok(())
    }
}

fn gather(
    tx: &Tx<'_>,
    first: Job,
    jobs: &mut mpsc::Receiver<Job>,
    answers: &mut Vec<Answer>,
) -> rusqlite::Result<()> {
    let mut next = Some(first);
    while let Some(job) = next {
        let (last_event, changes) = (tx.last_event.get(), tx.total_changes());
        let alone = job.undo == Undo::Write;
        if alone {
            run(tx, "SAVEPOINT one")?;
        }
        let Applied { keep, answer } = (job.run)(tx);
        answers.push(answer);
        // A full disk makes SQLite undo the whole transaction by itself.
        if tx.is_autocommit() {
            return Err(lost(Silent::RolledBack));
        }
        if !keep && !alone && tx.total_changes() != changes {
            return Err(lost(Silent::HalfDone));
        }
        if !keep && alone {
            run(tx, "ROLLBACK TO one")?;
            tx.last_event.set(last_event);
        }
        if alone {
            run(tx, "RELEASE one")?;
        }
        next = if answers.len() < GROUP { jobs.try_recv().ok() } else { None };
    }
    Ok(())
}

fn lost(why: Silent) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(why.into())
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

#[cfg(test)]
mod tests;

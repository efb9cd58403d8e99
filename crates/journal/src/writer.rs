//! The thread that owns the journal and writes in groups.
//!
//! While a group is being synced to the disk the next one gathers in the channel, so that the
//! busier the journal is, the more writes share a sync, and a lone write waits for nobody.

use std::{
    collections::VecDeque,
    error::Error,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::sync::{
    mpsc::{self, error::TryRecvError},
    oneshot, watch,
};
use tracing::error;
use waggoner_task::{Delivery, Handover, gather};

use crate::{Journal, Place, Recovered, Refused, Write, Written};

/// The way to the journal's thread, which ends once the last of these is dropped.
#[derive(Clone, Debug)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    place: watch::Receiver<Place>,
}

#[derive(Debug)]
enum Job {
    Write { write: Write, durable: bool, answer: oneshot::Sender<Result<Written, Refused>> },
    Sync { answer: oneshot::Sender<Result<(), Refused>> },
    Snapshot { answer: oneshot::Sender<Result<Vec<Recovered>, Refused>> },
}

struct Thread {
    journal: Journal,
    jobs: mpsc::Receiver<Vec<Job>>,
    /// What has come and is not written yet.
    waiting: VecDeque<Job>,
    place: watch::Sender<Place>,
    handover: Handover,
    /// Tidying failed the last time, and that was told.
    untidy: bool,
}

/// What waits for the group to be on the disk, or at least written.
#[derive(Default)]
struct Group {
    writes: Vec<Write>,
    answers: Vec<Answer>,
    syncs: Vec<oneshot::Sender<Result<(), Refused>>>,
    snapshots: Vec<oneshot::Sender<Result<Vec<Recovered>, Refused>>>,
    bytes: usize,
    durable: bool,
}

/// Who waits for a write, and whether until it is on the disk.
type Answer = (oneshot::Sender<Result<Written, Refused>>, bool);

/// How many writes may wait: two full groups keep the thread busy.
const WAITING: usize = 2 * GROUP;

/// The most writes of a group, so that the first of it does not wait long.
const GROUP: usize = 256;

/// The bytes at which a group is full: a millisecond of a disk's time, and of memory for good.
const GROUP_BYTES: usize = 1 << 20;

// === impl Writer ===

impl Writer {
    /// Starts the thread.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, which carries the jobs to the thread and the results back.
    pub fn start(journal: Journal) -> io::Result<(Self, JoinHandle<()>)> {
        let (jobs_tx, jobs) = gather(WAITING);
        let (place, place_rx) = watch::channel(journal.place());
        let handover = Handover::new();
        let waiting = VecDeque::new();
        let thread = Thread { journal, jobs, waiting, place, handover, untidy: false };
        let handle =
            thread::Builder::new().name("journal-writer".to_owned()).spawn(move || thread.run())?;
        Ok((Self { jobs: jobs_tx, place: place_rx }, handle))
    }

    /// Writes, and waits until it is written; if `durable`, until it is on the disk.
    ///
    /// Dropping the future does not undo the write.
    pub async fn write(&self, write: Write, durable: bool) -> Result<Written, Refused> {
        self.ask(|answer| Job::Write { write, durable, answer }).await
    }

    /// Waits until everything written before is on the disk.
    pub async fn sync(&self) -> Result<(), Refused> {
        self.ask(|answer| Job::Sync { answer }).await
    }

    /// What the journal knows now.
    pub async fn snapshot(&self) -> Result<Vec<Recovered>, Refused> {
        self.ask(|answer| Job::Snapshot { answer }).await
    }

    /// Follows the end of what can be read.
    pub fn place(&self) -> watch::Receiver<Place> {
        self.place.clone()
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, Refused>>) -> Job,
    ) -> Result<T, Refused> {
        let (answer_tx, answer) = oneshot::channel();
        self.jobs.send(job(answer_tx)).await.map_err(|_| Refused::Stopped)?;
        answer.await.map_err(|_| Refused::Stopped)?
    }
}

// === impl Thread ===

impl Thread {
    fn run(mut self) {
        while let Some(first) = self.next() {
            let group = self.gather(first);
            self.commit(group);
        }
        self.sync().ok();
    }

    /// The next job; tidies in the meantime, and a step before each, so that it keeps up.
    fn next(&mut self) -> Option<Job> {
        while self.tidy() {
            match self.waits() {
                Ok(job) => return Some(job),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return None,
            }
        }
        if self.waiting.is_empty() {
            self.waiting.extend(self.jobs.blocking_recv()?);
        }
        self.waiting.pop_front()
    }

    /// The next job, if there is one already.
    fn waits(&mut self) -> Result<Job, TryRecvError> {
        if self.waiting.is_empty() {
            self.waiting.extend(self.jobs.try_recv()?);
        }
        self.waiting.pop_front().ok_or(TryRecvError::Empty)
    }

    fn gather(&mut self, first: Job) -> Group {
        let mut group = Group::default();
        group.add(first);
        while group.writes.len() < GROUP && group.bytes < GROUP_BYTES {
            let Ok(job) = self.waits() else { break };
            group.add(job);
        }
        group
    }

    /// Says whether there is more to tidy.
    fn tidy(&mut self) -> bool {
        let tidied = self.journal.tidy();
        self.publish();
        match tidied {
            Ok(more) => {
                self.untidy = false;
                more
            }
            Err(failure) => {
                if !std::mem::replace(&mut self.untidy, true) {
                    error!(error = &failure as &dyn Error, "failed to tidy the journal");
                }
                false
            }
        }
    }

    fn commit(&mut self, group: Group) {
        let Group { writes, answers, syncs, snapshots, durable, bytes: _ } = group;
        let written = self.journal.apply(writes);
        self.publish();
        let (mut deliveries, mut later) = (Vec::new(), Vec::new());
        for ((answer, durable), written) in answers.into_iter().zip(written) {
            if durable {
                // What refuses one may be another of the group.
                later.push((answer, written));
            } else {
                deliveries.push(delivery(answer, written));
            }
        }
        // Who does not wait for the disk goes on meanwhile.
        if durable && !deliveries.is_empty() {
            self.handover.hand_over(std::mem::take(&mut deliveries));
        }
        let synced = if durable { self.sync() } else { Ok(()) };
        for (answer, written) in later {
            let written = written.and_then(|written| synced.clone().map(|()| written));
            deliveries.push(delivery(answer, written));
        }
        for answer in syncs {
            deliveries.push(delivery(answer, synced.clone()));
        }
        for answer in snapshots {
            let snapshot = self.journal.snapshot();
            let snapshot = snapshot.map_err(|failure| Refused::Io(Arc::new(failure)));
            deliveries.push(delivery(answer, snapshot));
        }
        self.handover.hand_over(deliveries);
    }

    fn sync(&mut self) -> Result<(), Refused> {
        let broken = self.journal.is_broken();
        self.journal.sync().map_err(|failure| {
            if !broken {
                error!(error = &failure as &dyn Error, "failed to sync the journal");
            }
            Refused::Io(Arc::new(failure))
        })
    }

    fn publish(&self) {
        let place = self.journal.place();
        self.place.send_if_modified(|known| std::mem::replace(known, place) != place);
    }
}

fn delivery<T: Send + 'static>(answer: oneshot::Sender<T>, result: T) -> Delivery {
    // Who asked may be gone.
    Box::new(move || drop(answer.send(result)))
}

// === impl Group ===

impl Group {
    fn add(&mut self, job: Job) {
        match job {
            Job::Write { write, durable, answer } => {
                self.bytes += write.payload().len();
                self.durable |= durable;
                self.writes.push(write);
                self.answers.push((answer, durable));
            }
            Job::Sync { answer } => {
                self.durable = true;
                self.syncs.push(answer);
            }
            Job::Snapshot { answer } => self.snapshots.push(answer),
        }
    }
}

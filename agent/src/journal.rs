//! What outlives the daemon: the supervisor of the operations, and the records that it keeps.
//!
//! ```text
//!  attempts ──(calls)──▶ Journal ──(unix socket)──▶ supervisor ──▶ journal's files
//!     ▲                                                 │                │
//!     └─────(events)──── follow ◀───────────────────────┘                │
//!     └─────(records)─── read ◀──────────────────────────────────────────┘
//! ```
//!
//! A supervisor that was lost is started anew, and every call that it did not answer is made again:
//! all of them may be.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rustix::process::{Pid, test_kill_process};
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tracing::{error, info, warn};
use waggoner_journal::{ReadError, Reader, Stored};
use waggoner_proto::agent::v1 as pb;
use waggoner_supervisor::{
    CallError, ConnectError, Event, Events, Home, Kept, Launch, Leave, Opened, Place, Refused,
    Spawn, Supervisor, Written,
};
use waggoner_task::Backoff;
use waggoner_types::{AttemptId, Chain};

use crate::context::Key;

/// The way to the supervisor, whichever lives, and to what it has written.
#[derive(Debug)]
pub(crate) struct Journal {
    home: Home,
    launch: Launch,
    /// The supervisor that lives. `None` while one is started.
    current: watch::Sender<Option<Supervisor>>,
    reader: Arc<Mutex<Reader>>,
    /// Counts how often there was more to read.
    advances: watch::Sender<u64>,
    /// The supervisor's process.
    pid: AtomicI32,
    leaving: watch::Sender<Leaving>,
}

/// Whether the supervisor is to end with the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    Asked,
    Gone,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(transparent)]
    Connect(#[from] ConnectError),

    #[error("failed to read the journal")]
    Read(#[from] io::Error),

    #[error("failed to learn from the supervisor what it knows")]
    Call(#[from] CallError),
}

/// Who hears what the supervisor tells.
pub(crate) trait Listener: Send + Sync {
    /// Something happened.
    fn hear(&self, event: Event);

    /// All that the journal knows, when a supervisor has taken the place of another one.
    fn take_stock(&self, attempts: Vec<waggoner_supervisor::Attempt>);
}

/// How long to wait before another supervisor is started, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How long a caller waits before it looks for the supervisor that comes after a lost one.
const GLANCE: Duration = Duration::from_millis(5);

// === impl Journal ===

impl Journal {
    /// Reaches the supervisor, or starts it; returns what it tells, and all that it knows.
    pub(crate) async fn open(
        home: Home,
        launch: Launch,
    ) -> Result<(Self, Events, Vec<waggoner_supervisor::Attempt>), JournalError> {
        let (supervisor, events, greeting) = Supervisor::connect_or_start(&home, &launch).await?;
        info!(pid = greeting.pid, cgroups = greeting.cgroups, "the supervisor of operations is up");
        let mut reader = Reader::open(&home.journal())?;
        reader.advance(place(greeting.place))?;
        let attempts = supervisor.attempts().await?;
        let current = watch::Sender::new(Some(supervisor));
        let reader = Arc::new(Mutex::new(reader));
        let journal = Self {
            home,
            launch,
            current,
            reader,
            advances: watch::Sender::new(0),
            pid: AtomicI32::new(greeting.pid),
            leaving: watch::Sender::new(Leaving::No),
        };
        Ok((journal, events, attempts))
    }

    /// Passes on what the supervisor tells, and starts another one when it is lost.
    pub(crate) async fn follow(&self, mut events: Events, listener: &dyn Listener) -> Infallible {
        loop {
            while let Some(event) = events.next().await {
                if let Event::Advanced { place: upto, .. } = &event {
                    self.advance(*upto).await;
                }
                listener.hear(event);
            }
            if *self.leaving.borrow() != Leaving::No {
                self.leaving.send_replace(Leaving::Gone);
                return std::future::pending().await;
            }
            self.current.send_replace(None);
            error!("the supervisor of operations is gone: another one is started");
            let (supervisor, attempts, next) = self.restart().await;
            listener.take_stock(attempts);
            self.current.send_replace(Some(supervisor));
            events = next;
        }
    }

    /// Makes an attempt known for good.
    pub(crate) async fn open_attempt(
        &self,
        id: AttemptId,
        epoch: u64,
        start: Bytes,
    ) -> Result<Opened, Refused> {
        self.insist(|supervisor| {
            let start = start.clone();
            async move { supervisor.open(id, epoch, start).await }
        })
        .await
    }

    /// Starts an attempt's process, once. Returns its process id.
    pub(crate) async fn spawn(&self, id: AttemptId, spawn: &Spawn) -> Result<i32, Refused> {
        self.insist(|supervisor| {
            let spawn = spawn.clone();
            async move { supervisor.spawn(id, &spawn).await }
        })
        .await
    }

    /// Appends a record, once for each key.
    pub(crate) async fn append(
        &self,
        id: AttemptId,
        record: &pb::Record,
        kept: Kept,
        key: Key,
    ) -> Result<Written, Refused> {
        let record = waggoner_wire::payload(record);
        let key = Some(*key.as_bytes());
        self.insist(|supervisor| {
            let record = record.clone();
            async move { supervisor.append(id, record, kept, key).await }
        })
        .await
    }

    /// Appends an attempt's last record, for good.
    pub(crate) async fn end(&self, id: AttemptId, record: &pb::Record) -> Result<Written, Refused> {
        let record = waggoner_wire::payload(record);
        self.insist(|supervisor| {
            let record = record.clone();
            async move { supervisor.end(id, record).await }
        })
        .await
    }

    /// Keeps something of the daemon's own with an attempt, for good.
    pub(crate) async fn note(&self, id: AttemptId, slot: u8, bytes: Bytes) -> Result<(), Refused> {
        self.insist(|supervisor| {
            let bytes = bytes.clone();
            async move { supervisor.note(id, slot, bytes).await }
        })
        .await
    }

    /// Lets go what the manager holds.
    pub(crate) async fn ack(&self, id: AttemptId, upto: u64) -> Result<(), Refused> {
        self.insist(|supervisor| async move { supervisor.ack(id, upto).await }).await
    }

    /// Orders the end of an attempt's process.
    pub(crate) async fn cancel(
        &self,
        id: AttemptId,
        kill: bool,
        reason: &str,
    ) -> Result<(), Refused> {
        self.insist(|supervisor| {
            let reason = reason.to_owned();
            async move { supervisor.cancel(id, kill, reason).await }
        })
        .await
    }

    /// Says that an operation is not idle.
    pub(crate) async fn touch(&self, id: AttemptId) {
        let current = self.current.borrow().clone();
        if let Some(supervisor) = current {
            // A supervisor that is lost has ended the operation.
            drop(supervisor.touch(id).await);
        }
    }

    /// Tells whether there is a link to the manager.
    pub(crate) async fn link(&self, up: bool) {
        if let Err(refused) =
            self.insist(|supervisor| async move { supervisor.link(up).await }).await
        {
            warn!(%refused, up, "the supervisor does not take the state of the link");
        }
    }

    /// Ends the supervisor, once nothing runs or what runs with it, and waits for its end.
    pub(crate) async fn shut_down(&self, leave: Leave) {
        self.leaving.send_replace(Leaving::Asked);
        if let Err(refused) =
            self.insist(|supervisor| async move { supervisor.shutdown(leave).await }).await
        {
            warn!(%refused, "the supervisor does not stop");
            return;
        }
        let mut leaving = self.leaving.subscribe();
        drop(leaving.wait_for(|leaving| *leaving == Leaving::Gone).await);
        // It is nobody's child, so there is nothing to wait on but its id.
        let pid = Pid::from_raw(self.pid.load(Ordering::Relaxed));
        while pid.is_some_and(|pid| test_kill_process(pid).is_ok()) {
            sleep(GLANCE).await;
        }
    }

    /// Returns consecutive records after one: at least one if there is any, else no more than so
    /// many bytes.
    pub(crate) async fn read(
        &self,
        id: AttemptId,
        after: u64,
        most: usize,
    ) -> Result<Vec<Stored>, ReadError> {
        // What was just written is still in memory: it is sooner read than handed to somebody.
        if let Ok(mut reader) = self.reader.try_lock()
            && reader.is_at_hand(id, after + 1)
        {
            return reader.read(id, after, most);
        }
        let reader = Arc::clone(&self.reader);
        let read = move || reader.lock().expect("a reader does not panic").read(id, after, most);
        let read = spawn_blocking(read).await;
        read.unwrap_or_else(|error| Err(ReadError::Io(io::Error::other(error))))
    }

    /// Returns the digest of all records up to one; 0 where it is not known any more.
    pub(crate) async fn chain(&self, id: AttemptId, upto: u64) -> u64 {
        let Some(before) = upto.checked_sub(1) else { return 0 };
        let read = self.read(id, before, 1).await.unwrap_or_default();
        read.first().filter(|stored| stored.sequence == upto).map_or(0, |stored| stored.chain)
    }

    /// Follows whether there is more to read.
    pub(crate) fn advances(&self) -> watch::Receiver<u64> {
        self.advances.subscribe()
    }

    /// Makes a call until a supervisor has answered it.
    async fn insist<T, F>(&self, call: impl Fn(Supervisor) -> F) -> Result<T, Refused>
    where
        F: Future<Output = Result<T, CallError>> + Send,
    {
        loop {
            let mut current = self.current.subscribe();
            let supervisor = current.wait_for(Option::is_some).await;
            let supervisor = supervisor.ok().and_then(|current| current.clone());
            let supervisor = supervisor.expect("the sender lives as long as this");
            match call(supervisor).await {
                Ok(answer) => return Ok(answer),
                Err(CallError::Refused(refused)) => return Err(refused),
                Err(CallError::Lost) => sleep(GLANCE).await,
            }
        }
    }

    async fn restart(&self) -> (Supervisor, Vec<waggoner_supervisor::Attempt>, Events) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        loop {
            match self.try_restart().await {
                Ok(restarted) => return restarted,
                Err(error) => {
                    error!(error = %Chain(&error), "no supervisor can be started");
                    sleep(backoff.next()).await;
                }
            }
        }
    }

    async fn try_restart(
        &self,
    ) -> Result<(Supervisor, Vec<waggoner_supervisor::Attempt>, Events), JournalError> {
        let (supervisor, events, greeting) =
            Supervisor::connect_or_start(&self.home, &self.launch).await?;
        let attempts = supervisor.attempts().await?;
        self.pid.store(greeting.pid, Ordering::Relaxed);
        self.advance(greeting.place).await;
        Ok((supervisor, attempts, events))
    }

    async fn advance(&self, upto: Place) {
        // As a read of what was just written.
        let at_once = self.reader.try_lock().ok().map(|mut reader| reader.advance(place(upto)));
        let advanced = if let Some(advanced) = at_once {
            advanced
        } else {
            let reader = Arc::clone(&self.reader);
            let advance =
                move || reader.lock().expect("a reader does not panic").advance(place(upto));
            let advanced = spawn_blocking(advance).await;
            advanced.unwrap_or_else(|error| Err(io::Error::other(error)))
        };
        if let Err(error) = advanced {
            error!(%error, "the journal cannot be read");
        }
        self.advances.send_modify(|advances| *advances += 1);
    }
}

fn place(place: Place) -> waggoner_journal::Place {
    waggoner_journal::Place { segment: place.segment, offset: place.offset }
}

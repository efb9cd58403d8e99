//! What all parts of the supervisor share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use prost::Message as _;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};
use tracing::{error, info};
use waggoner_journal::{Class, Refused as Unwritten, Write, Writer, Written};
use waggoner_process::{Cgroups, Parent};
use waggoner_task::CancellationToken;
use waggoner_types::{AttemptId, Body, Record};
use waggoner_wire::to_record;

use crate::{
    news::{Event, News},
    server::{
        attempt::{Attempt, Life},
        warm::Warm,
    },
    words::{CancelOrder, Place},
};

/// The rooms and tools of the supervisor.
#[derive(Debug)]
pub(super) struct House {
    pub(super) writer: Writer,
    pub(super) cgroups: Option<Cgroups>,
    pub(super) warm: Warm,
    pub(super) boot_id: String,
    pub(super) instance_id: String,
    pub(super) version: String,
    pub(super) linger: Duration,
    /// Where the families are started from.
    pub(super) parent: Parent,
    /// Since when there is no link to the manager; `None` while there is one.
    pub(super) unlinked: watch::Sender<Option<Instant>>,
    /// Those that can still get a process, or have one, or had one and are not acknowledged.
    attempts: Mutex<HashMap<AttemptId, Arc<Attempt>>>,
    daemon: Mutex<Option<Daemon>>,
    /// When the disk was last found full.
    full: Mutex<Option<Instant>>,
    broken: AtomicBool,
    leaving: AtomicBool,
    /// How often something was acknowledged.
    acks: AtomicU64,
    /// Something happened that may let us end.
    changed: Notify,
    /// Something was written that is to be on the disk soon.
    dirty: Notify,
}

/// The daemon that is served.
#[derive(Debug)]
struct Daemon {
    news: Arc<News>,
    /// Ends its connection.
    token: CancellationToken,
}

/// How soon what nobody waits for is on the disk.
const SOON: Duration = Duration::from_millis(50);

/// The pause before a full disk is tried again.
pub(super) const FULL: Duration = Duration::from_millis(200);

// === impl House ===

impl House {
    pub(super) fn new(
        writer: Writer,
        cgroups: Option<Cgroups>,
        boot_id: String,
        version: String,
        linger: Duration,
    ) -> Self {
        Self {
            writer,
            warm: Warm::new(cgroups.clone()),
            cgroups,
            boot_id,
            instance_id: uuid::Uuid::new_v4().to_string(),
            version,
            linger,
            parent: Parent::current(),
            unlinked: watch::Sender::new(Some(Instant::now())),
            attempts: Mutex::default(),
            daemon: Mutex::default(),
            full: Mutex::default(),
            broken: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            acks: AtomicU64::new(0),
            changed: Notify::new(),
            dirty: Notify::new(),
        }
    }

    pub(super) fn attempt(&self, id: AttemptId) -> Option<Arc<Attempt>> {
        lock(&self.attempts).get(&id).cloned()
    }

    pub(super) fn admit(&self, attempt: Attempt) {
        lock(&self.attempts).insert(attempt.id, Arc::new(attempt));
    }

    /// Admits an attempt that is about to be opened, if it is not known.
    pub(super) fn expect(&self, id: AttemptId) -> bool {
        let mut attempts = lock(&self.attempts);
        let is_new = !attempts.contains_key(&id);
        attempts.entry(id).or_insert_with(|| Arc::new(Attempt::new(id, Life::Open, None, 0)));
        is_new
    }

    /// It was not opened.
    pub(super) fn dismiss(&self, id: AttemptId) {
        lock(&self.attempts).remove(&id);
    }

    /// Lets an attempt go of which nothing is needed any more.
    pub(super) fn forget(&self, attempt: &Attempt) {
        if attempt.is_over() {
            lock(&self.attempts).remove(&attempt.id);
        }
    }

    /// Says whether processes run.
    pub(super) fn is_busy(&self) -> bool {
        lock(&self.attempts).values().any(|attempt| attempt.is_running())
    }

    /// Serves this daemon from now on, and no other.
    pub(super) fn welcome(&self, token: CancellationToken) -> Arc<News> {
        let news = Arc::new(News::default());
        let daemon = Daemon { news: Arc::clone(&news), token };
        if let Some(before) = lock(&self.daemon).replace(daemon) {
            info!("another daemon has taken over");
            before.token.cancel();
        }
        self.link(false);
        self.changed.notify_one();
        news
    }

    /// A daemon has gone.
    pub(super) fn farewell(&self, news: &Arc<News>) {
        let mut daemon = lock(&self.daemon);
        if daemon.as_ref().is_some_and(|daemon| Arc::ptr_eq(&daemon.news, news)) {
            *daemon = None;
            self.link(false);
        }
        self.changed.notify_one();
    }

    pub(super) fn has_daemon(&self) -> bool {
        lock(&self.daemon).is_some()
    }

    pub(super) fn tell(&self, event: Event) {
        if let Some(daemon) = &*lock(&self.daemon) {
            daemon.news.tell(event);
        }
    }

    pub(super) fn link(&self, up: bool) {
        self.unlinked.send_if_modified(|unlinked| {
            let changes = up == unlinked.is_some();
            *unlinked = if up { None } else { unlinked.or_else(|| Some(Instant::now())) };
            changes
        });
    }

    pub(super) fn place(&self) -> Place {
        let place = *self.writer.place().borrow();
        Place { segment: place.segment, offset: place.offset }
    }

    /// Appends a record of ours, and tells of it.
    pub(super) async fn append(
        &self,
        attempt: &Attempt,
        class: Class,
        body: Body,
    ) -> Result<Written, Unwritten> {
        self.write_record(attempt, class, encode(body), false).await
    }

    /// Appends a record, and tells of it.
    pub(super) async fn write_record(
        &self,
        attempt: &Attempt,
        class: Class,
        bytes: Bytes,
        durable: bool,
    ) -> Result<Written, Unwritten> {
        let write = Write::Record { attempt: attempt.id, class, bytes };
        let written = self.write(write, durable).await?;
        self.advanced(attempt, written.sequence);
        Ok(written)
    }

    pub(super) fn advanced(&self, attempt: &Attempt, sequence: u64) {
        attempt.advance(sequence);
        self.tell(Event::Advanced { place: self.place(), lasts: vec![(attempt.id, sequence)] });
    }

    /// Keeps a note of ours; on the disk soon. Waits while the disk is full.
    pub(super) async fn note(
        &self,
        attempt: AttemptId,
        slot: u8,
        bytes: Vec<u8>,
    ) -> Result<(), Unwritten> {
        let bytes = Bytes::from(bytes);
        loop {
            let write = Write::Note { attempt, slot, bytes: bytes.clone() };
            match self.write(write, false).await {
                Err(Unwritten::Full) => sleep(FULL).await,
                written => {
                    self.dirty.notify_one();
                    return written.map(drop);
                }
            }
        }
    }

    /// Brings to the disk what nobody waits for.
    pub(super) async fn keep(&self) {
        loop {
            self.dirty.notified().await;
            sleep(SOON).await;
            // A failure is everybody's: the next write hears of it.
            self.writer.sync().await.ok();
        }
    }

    pub(super) async fn write(&self, write: Write, durable: bool) -> Result<Written, Unwritten> {
        let is_log = matches!(write, Write::Record { class: Class::Log, .. });
        let written = self.writer.write(write, durable).await;
        match &written {
            // What may use the reserve says nothing of the space beside it.
            Ok(_) if is_log => self.set_full(false),
            Ok(_) => {}
            Err(Unwritten::Full) => self.set_full(true),
            Err(failure @ (Unwritten::Io(_) | Unwritten::Stopped)) => {
                if !self.broken.swap(true, Ordering::Relaxed) {
                    error!(error = failure as &dyn std::error::Error, "the journal takes no more");
                }
            }
            Err(_) => {}
        }
        written
    }

    fn set_full(&self, full: bool) {
        let now = full.then(Instant::now);
        let before = std::mem::replace(&mut *lock(&self.full), now);
        if before.is_some() != full {
            info!(full, "the disk of the journal changes");
            self.tell(Event::Disk { full });
        }
    }

    /// Says whether there is no space for what a new attempt would write.
    ///
    /// Who waits for space keeps looking; when nobody does any more, the next one finds out.
    pub(super) fn is_full(&self) -> bool {
        let since = *lock(&self.full);
        let lapsed = since.is_some_and(|since| since.elapsed() > 5 * FULL);
        if lapsed {
            self.set_full(false);
        }
        since.is_some() && !lapsed
    }

    /// Says whether the journal has failed. It is opened again by the next supervisor.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Starts nothing any more, and ends when nothing runs.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Orders the end of all that runs.
    pub(super) fn end_all(&self, reason: &str) {
        for attempt in lock(&self.attempts).values().filter(|attempt| attempt.is_running()) {
            attempt.order(CancelOrder { kill: false, reason: reason.to_owned() });
        }
    }

    pub(super) fn acknowledged(&self) {
        self.acks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn acks(&self) -> u64 {
        self.acks.load(Ordering::Relaxed)
    }

    /// A process has ended.
    pub(super) fn settled(&self) {
        self.changed.notify_one();
    }

    /// Waits until something has happened that may let us end.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Makes the bytes of a record that is made now, as the journal and its digests take them.
pub(super) fn encode(body: Body) -> Bytes {
    let record = Record { sequence: 0, time: Timestamp::now(), body };
    to_record(record).encode_to_vec().into()
}

/// No holder of these locks panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds a lock of the house")
}

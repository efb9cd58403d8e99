//! What the supervisor remembers of an attempt while it may have a process.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    sync::{OnceCell, watch},
    time::Instant,
};
use waggoner_journal::Written;
use waggoner_types::AttemptId;

use crate::words::CancelOrder;

/// An attempt that is open.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    /// Held by who starts the process.
    pub(super) turn: tokio::sync::Mutex<()>,
    life: Mutex<Life>,
    order: watch::Sender<Option<CancelOrder>>,
    heard: Mutex<Instant>,
    keys: Mutex<Keys>,
    /// The sequence of the last record.
    last: AtomicU64,
    /// The last record that the manager holds.
    acked: AtomicU64,
    /// The last record is the outcome.
    ended: AtomicBool,
}

/// How far its process is. There is one at the most, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It can be started.
    Open,
    /// It is being started.
    Begun,
    Running {
        pid: i32,
    },
    /// It ran, or may have run.
    Spent {
        pid: Option<i32>,
    },
}

/// The appends that a daemon may ask for again.
#[derive(Debug, Default)]
struct Keys {
    cells: HashMap<Key, Arc<OnceCell<Written>>>,
    order: VecDeque<Key>,
}

pub(super) type Key = [u8; 16];

/// How many keys are remembered: far more than what a `ctx` client, or all the threads of a plugin,
/// can have asked for and not heard about.
const KEYS: usize = 1024;

// === impl Attempt ===

impl Attempt {
    pub(super) fn new(id: AttemptId, life: Life, order: Option<CancelOrder>, last: u64) -> Self {
        Self {
            id,
            turn: tokio::sync::Mutex::default(),
            life: Mutex::new(life),
            order: watch::Sender::new(order),
            heard: Mutex::new(Instant::now()),
            keys: Mutex::default(),
            last: AtomicU64::new(last),
            acked: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn life(&self) -> Life {
        *lock(&self.life)
    }

    pub(super) fn live(&self, life: Life) {
        *lock(&self.life) = life;
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.life(), Life::Begun | Life::Running { .. })
    }

    /// Orders the end. An order to kill stays one.
    pub(super) fn order(&self, order: CancelOrder) {
        self.order.send_modify(|given| match given {
            Some(given) => given.kill |= order.kill,
            None => *given = Some(order),
        });
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.order.borrow().is_some()
    }

    /// Waits for an order to end. Cancel safe.
    pub(super) async fn ordered(&self) -> CancelOrder {
        let mut order = self.order.subscribe();
        let order = order.wait_for(Option::is_some).await;
        let order = order.expect("the sender is ours").clone();
        order.expect("it was waited for")
    }

    /// Waits for an order to kill. Cancel safe.
    pub(super) async fn killed(&self) {
        let mut order = self.order.subscribe();
        let is_kill = |order: &Option<CancelOrder>| order.as_ref().is_some_and(|order| order.kill);
        order.wait_for(is_kill).await.map(drop).expect("the sender is ours");
    }

    /// Its process has said something.
    pub(super) fn hear(&self) {
        *lock(&self.heard) = Instant::now();
    }

    pub(super) fn heard(&self) -> Instant {
        *lock(&self.heard)
    }

    /// Returns where the answer to an append with this key is, or will be.
    pub(super) fn key(&self, key: Key) -> Arc<OnceCell<Written>> {
        let mut keys = lock(&self.keys);
        if let Some(cell) = keys.cells.get(&key) {
            return Arc::clone(cell);
        }
        if keys.order.len() == KEYS
            && let Some(oldest) = keys.order.pop_front()
        {
            keys.cells.remove(&oldest);
        }
        keys.order.push_back(key);
        Arc::clone(keys.cells.entry(key).or_default())
    }

    /// Its records have come so far.
    pub(super) fn advance(&self, last: u64) {
        self.last.fetch_max(last, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// Its last record is the outcome.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(super) fn acknowledge(&self, upto: u64) {
        self.acked.fetch_max(upto, Ordering::Relaxed);
    }

    /// Says whether nothing of it is needed any more.
    pub(super) fn is_over(&self) -> bool {
        let is_acked = self.last() <= self.acked.load(Ordering::Relaxed);
        self.ended.load(Ordering::Relaxed) && is_acked && !self.is_running()
    }
}

/// No holder of these locks panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds a lock of an attempt")
}

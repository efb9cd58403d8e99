//! How many operations may be out at once, for all executions together; who waits comes by
//! priority, then by age.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// A number of places for operations.
#[derive(Debug)]
pub(crate) struct Slots(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// Below zero where operations were out before anybody counted.
    free: i64,
    next: u64,
    waiting: BTreeMap<(Reverse<i32>, u64), oneshot::Sender<Slot>>,
}

/// A place, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Slots>);

// === impl Slots ===

impl Slots {
    pub(crate) fn new(places: usize) -> Self {
        let free = i64::try_from(places.max(1)).unwrap_or(i64::MAX);
        Self(Mutex::new(Inner { free, next: 0, waiting: BTreeMap::new() }))
    }

    /// Takes a place as soon as there is one.
    pub(crate) async fn acquire(self: &Arc<Self>, priority: i32) -> Slot {
        let waits = {
            let mut inner = self.inner();
            if inner.free > 0 {
                inner.free -= 1;
                return Slot(Arc::clone(self));
            }
            let (grant, waits) = oneshot::channel();
            let number = inner.next;
            inner.next += 1;
            inner.waiting.insert((Reverse(priority), number), grant);
            waits
        };
        waits.await.expect("who waits is in the map until it is granted a place")
    }

    /// Takes a place for an operation that is out already.
    pub(crate) fn take(self: &Arc<Self>) -> Slot {
        self.inner().free -= 1;
        Slot(Arc::clone(self))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was held left it whole: nothing in there panics halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Slot ===

impl Drop for Slot {
    fn drop(&mut self) {
        loop {
            let mut inner = self.0.inner();
            let next = if inner.free < 0 { None } else { inner.waiting.pop_first() };
            let Some((_, grant)) = next else {
                inner.free += 1;
                return;
            };
            if grant.is_closed() {
                continue;
            }
            drop(inner);
            // If the one who waited goes away just now, the slot is dropped there.
            drop(grant.send(Self(Arc::clone(&self.0))));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Poll};

    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn a_place_goes_to_the_highest_priority_and_then_to_the_oldest() {
        let slots = Arc::new(Slots::new(1));
        let held = slots.acquire(0).await;
        let mut low = pin!(slots.acquire(0));
        let mut high = pin!(slots.acquire(5));
        let mut later = pin!(slots.acquire(5));
        assert!(poll!(&mut low).is_pending());
        assert!(poll!(&mut high).is_pending());
        assert!(poll!(&mut later).is_pending());
        drop(held);
        let Poll::Ready(second) = poll!(&mut high) else { panic!("it is the first in line") };
        assert!(poll!(&mut later).is_pending());
        drop(second);
        let Poll::Ready(third) = poll!(&mut later) else { panic!("it is older than none") };
        assert!(poll!(&mut low).is_pending());
        drop(third);
        assert!(poll!(&mut low).is_ready());
    }

    #[tokio::test]
    async fn who_goes_away_holds_nobody_up_and_what_was_out_already_is_counted() {
        let slots = Arc::new(Slots::new(1));
        let (first, second) = (slots.take(), slots.take());
        let mut next = pin!(slots.acquire(0));
        {
            let mut gone = pin!(slots.acquire(9));
            assert!(poll!(&mut gone).is_pending());
            assert!(poll!(&mut next).is_pending());
        }
        drop(first);
        assert!(poll!(&mut next).is_pending(), "two were out where one may be");
        drop(second);
        assert!(poll!(&mut next).is_ready());
        drop(slots.acquire(0).await);
    }
}

//! What the supervisor tells without being asked, merged while nobody listens.
//!
//! The same on both ends of the socket: who tells never waits, and what waits to be heard is
//! bounded by the number of attempts: who does not listen starts no more of them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
};

use tokio::sync::Notify;
use waggoner_types::AttemptId;

use crate::words::{Exited, Place};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// There is more to read.
    Advanced {
        /// How far the journal can be read.
        place: Place,
        /// The last record of each attempt that has new ones.
        lasts: Vec<(AttemptId, u64)>,
    },
    /// A process has ended. Its output is among the records up to `last`.
    Ended { attempt: AttemptId, exited: Exited, last: u64 },
    /// The disk has become full, or has space again.
    Disk { full: bool },
}

/// Events on their way to who listens.
#[derive(Debug, Default)]
pub(crate) struct News {
    waiting: Mutex<Waiting>,
    told: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    place: Option<Place>,
    lasts: BTreeMap<AttemptId, u64>,
    ended: VecDeque<(AttemptId, Exited, u64)>,
    full: Option<bool>,
    closed: bool,
}

// === impl News ===

impl News {
    pub(crate) fn tell(&self, event: Event) {
        self.change(|waiting| match event {
            Event::Advanced { place, lasts } => {
                waiting.place = waiting.place.max(Some(place));
                for (attempt, last) in lasts {
                    let known = waiting.lasts.entry(attempt).or_default();
                    *known = last.max(*known);
                }
            }
            Event::Ended { attempt, exited, last } => {
                waiting.ended.push_back((attempt, exited, last));
            }
            Event::Disk { full } => waiting.full = Some(full),
        });
    }

    /// No more is told: who listens hears what is waiting, and then the end.
    pub(crate) fn close(&self) {
        self.change(|waiting| waiting.closed = true);
    }

    /// Returns the next event; `None` after the last. For one listener. Cancel safe.
    pub(crate) async fn next(&self) -> Option<Event> {
        loop {
            {
                let mut waiting = self.waiting();
                if let Some(event) = waiting.take() {
                    return Some(event);
                }
                if waiting.closed {
                    return None;
                }
            }
            // Keeps the permit of a change between the look above and here.
            self.told.notified().await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting());
        self.told.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nothing panics while it holds the news")
    }
}

// === impl Waiting ===

impl Waiting {
    fn take(&mut self) -> Option<Event> {
        if let Some(place) = self.place.take() {
            // Before the ends, so that what they speak of can be read.
            let lasts = std::mem::take(&mut self.lasts).into_iter().collect();
            return Some(Event::Advanced { place, lasts });
        }
        if let Some(full) = self.full.take() {
            return Some(Event::Disk { full });
        }
        let (attempt, exited, last) = self.ended.pop_front()?;
        Some(Event::Ended { attempt, exited, last })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use waggoner_types::Exit;

    use super::*;

    fn place(offset: u64) -> Place {
        Place { segment: 1, offset }
    }

    fn attempt(number: u128) -> AttemptId {
        AttemptId(uuid::Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn what_is_told_while_nobody_listens_is_heard_once_and_merged() {
        let news = News::default();
        for (offset, number, last) in [(10, 1, 1), (30, 2, 7), (20, 1, 2), (20, 2, 6)] {
            let lasts = vec![(attempt(number), last)];
            news.tell(Event::Advanced { place: place(offset), lasts });
        }
        let exited = Exited {
            exit: Exit::Code(0),
            stdout: crate::Tail::default(),
            stderr: crate::Tail::default(),
            cut: false,
            left: Vec::new(),
            time: Timestamp::UNIX_EPOCH,
        };
        news.tell(Event::Ended { attempt: attempt(1), exited: exited.clone(), last: 2 });
        news.tell(Event::Disk { full: true });
        news.tell(Event::Disk { full: false });
        news.close();
        let lasts = vec![(attempt(1), 2), (attempt(2), 7)];
        assert_eq!(news.next().await, Some(Event::Advanced { place: place(30), lasts }));
        assert_eq!(news.next().await, Some(Event::Disk { full: false }));
        assert_eq!(news.next().await, Some(Event::Ended { attempt: attempt(1), exited, last: 2 }));
        assert_eq!(news.next().await, None);
    }

    #[tokio::test]
    async fn who_listens_first_is_woken() {
        let news = News::default();
        let (event, ()) = tokio::join!(news.next(), async {
            tokio::task::yield_now().await;
            news.tell(Event::Disk { full: true });
        });
        assert_eq!(event, Some(Event::Disk { full: true }));
    }
}

//! The orders to stop: from the keyboard, by a signal, by a terminal that goes.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Error;

/// Orders to stop.
#[derive(Debug)]
pub(crate) struct Orders([Signal; 3]);

// === impl Orders ===

impl Orders {
    /// Takes them from here on.
    pub(crate) fn new() -> Self {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Self(kinds.map(|kind| signal(kind).expect("the signal can be handled")))
    }

    /// Waits for the next one. Cancel safe.
    pub(crate) async fn next(&mut self) {
        let [one, two, three] = &mut self.0;
        tokio::select! {
            _ = one.recv() => {}
            _ = two.recv() => {}
            _ = three.recv() => {}
        }
    }

    /// Does something that may be dropped, unless an order comes.
    pub(crate) async fn or<T, E: Into<Error>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.next() => Err(Error::Interrupted),
            done = work => done.map_err(Into::into),
        }
    }
}

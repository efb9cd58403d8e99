//! Whom an attempt tells what becomes of it.

use tokio::sync::{mpsc, oneshot};
use waggoner_engine::TaskNumber;
use waggoner_types::Outcome;

use crate::executions::actor::Happening;

/// Whom to tell what becomes of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    pub(crate) happenings: mpsc::Sender<Happening>,
    pub(crate) task: TaskNumber,
    pub(crate) retry_number: u32,
}

// === impl Teller ===

impl Teller {
    /// Tells that the attempt runs. The answer comes when that is stored; it fails when the actor
    /// has ended, since a forced end waits for nobody.
    pub(crate) async fn started(&self) -> oneshot::Receiver<()> {
        let Self { task, retry_number, .. } = *self;
        let (stored, is_stored) = oneshot::channel();
        drop(self.happenings.send(Happening::Started { task, retry_number, stored }).await);
        is_stored
    }

    /// Tells how the attempt ended.
    pub(crate) async fn ended(&self, outcome: Outcome) {
        let Self { task, retry_number, .. } = *self;
        drop(self.happenings.send(Happening::Ended { task, retry_number, outcome }).await);
    }
}

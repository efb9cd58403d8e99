//! One attempt at an operation, as everything in the agent sees it.

use tokio::sync::watch;
use waggoner_types::AttemptId;

use crate::{questions::Questions, records::Records};

/// An attempt that the agent knows. It outlives the conversations about it.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    /// Grows with each delivery of the attempt's task.
    pub(crate) epoch: u64,
    pub(crate) records: Records,
    pub(crate) questions: Questions,
    cancel: watch::Sender<Option<Cancel>>,
    /// The number of the conversation that lives now.
    conversation: watch::Sender<u64>,
}

/// The order to end an attempt early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cancel {
    /// Whether to kill without asking first.
    pub(crate) kill: bool,
    pub(crate) reason: String,
}

// === impl Attempt ===

impl Attempt {
    pub(crate) fn new(id: AttemptId, epoch: u64) -> Self {
        Self {
            id,
            epoch,
            records: Records::new(),
            questions: Questions::new(),
            cancel: watch::Sender::new(None),
            conversation: watch::Sender::new(0),
        }
    }

    /// Orders the end. An order to kill stands; another does not soften it.
    pub(crate) fn cancel(&self, order: Cancel) {
        self.cancel.send_if_modified(|current| {
            let stands = current.as_ref().is_some_and(|current| current.kill || !order.kill);
            if !stands {
                *current = Some(order);
            }
            !stands
        });
    }

    /// Waits for the order to end. Cancel safe.
    pub(crate) async fn cancelled(&self) -> Cancel {
        self.ordered(|_| true).await
    }

    /// Waits for the order to end without asking first. Cancel safe.
    pub(crate) async fn killed(&self) -> Cancel {
        self.ordered(|order| order.kill).await
    }

    /// Takes the attempt's conversation over; the one before ends.
    pub(crate) fn converse(&self) -> Conversation {
        let mut number = 0;
        self.conversation.send_modify(|current| {
            *current += 1;
            number = *current;
        });
        Conversation { number, current: self.conversation.subscribe() }
    }

    async fn ordered(&self, wanted: impl Fn(&Cancel) -> bool) -> Cancel {
        let mut orders = self.cancel.subscribe();
        let order = orders.wait_for(|order| order.as_ref().is_some_and(&wanted)).await;
        order.ok().and_then(|order| order.clone()).expect("the attempt holds the sender")
    }
}

/// The right to speak for an attempt, until somebody else takes it.
#[derive(Debug)]
pub(crate) struct Conversation {
    number: u64,
    current: watch::Receiver<u64>,
}

// === impl Conversation ===

impl Conversation {
    /// Waits until another conversation has taken over. Cancel safe.
    pub(crate) async fn superseded(&mut self) {
        let number = self.number;
        // An attempt that is gone needs no conversation either.
        drop(self.current.wait_for(|current| *current != number).await);
    }
}

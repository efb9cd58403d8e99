//! The ways from a runtime to a thread and back, for what comes in groups.

use tokio::{runtime::Handle, sync::mpsc};

/// Hands over what a thread has done to those who wait for it in a runtime.
///
/// Each waker that a foreign thread calls costs a system call. Here a group costs one: the others
/// are woken from inside the runtime, so that they run, and speak, together. Groups keep their
/// order.
#[derive(Debug)]
pub struct Handover(Option<mpsc::UnboundedSender<Vec<Delivery>>>);

/// Gives one its result; it must neither block nor panic.
pub type Delivery = Box<dyn FnOnce() + Send>;

/// Gathers what is sent in one breath, by tasks that are ready together, so that the thread which
/// takes it is woken once: what is sent on the left comes out on the right, in order and never in
/// an empty group. As many as `waiting` wait in between, and a group more.
///
/// # Panics
///
/// Outside of a runtime.
pub fn gather<T: Send + 'static>(waiting: usize) -> (mpsc::Sender<T>, mpsc::Receiver<Vec<T>>) {
    let (sender, mut sent) = mpsc::channel(waiting);
    let (groups_tx, groups) = mpsc::channel(1);
    // It ends with the last sender, or with the receiver.
    Handle::current().spawn(async move {
        let mut group = Vec::new();
        while sent.recv_many(&mut group, waiting).await > 0 {
            if groups_tx.send(std::mem::take(&mut group)).await.is_err() {
                return;
            }
        }
    });
    (sender, groups)
}

// === impl Handover ===

impl Handover {
    /// Hands over to the current runtime; where there is none, the thread delivers by itself.
    pub fn new() -> Self {
        let Ok(runtime) = Handle::try_current() else { return Self(None) };
        #[expect(
            clippy::disallowed_methods,
            reason = "each result had its place in the bounded queue of the thread"
        )]
        let (groups_tx, mut groups) = mpsc::unbounded_channel::<Vec<Delivery>>();
        // It ends with the thread, whose results it carries.
        runtime.spawn(async move {
            while let Some(group) = groups.recv().await {
                deliver(group);
            }
        });
        Self(Some(groups_tx))
    }

    /// Delivers a group, soon.
    pub fn hand_over(&self, group: Vec<Delivery>) {
        let left = match &self.0 {
            Some(groups) => groups.send(group).map_err(|unsent| unsent.0),
            None => Err(group),
        };
        // The runtime has ended, but not all who wait need one.
        left.err().into_iter().for_each(deliver);
    }
}

impl Default for Handover {
    fn default() -> Self {
        Self::new()
    }
}

fn deliver(group: Vec<Delivery>) {
    for delivery in group {
        delivery();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::{runtime::Builder, sync::oneshot};

    use super::*;

    /// Hands over two groups by a thread; returns who waits for them.
    fn from_a_thread(handover: Handover) -> Vec<oneshot::Receiver<u32>> {
        let (waiting, groups): (Vec<_>, Vec<_>) = (0..4)
            .map(|number| {
                let (tx, rx) = oneshot::channel();
                let delivery: Delivery = Box::new(move || tx.send(number).unwrap_or(()));
                (rx, delivery)
            })
            .unzip();
        let thread = thread::spawn(move || {
            let mut first = groups;
            let second = first.split_off(3);
            handover.hand_over(first);
            handover.hand_over(second);
        });
        thread.join().unwrap();
        waiting
    }

    #[tokio::test]
    async fn each_gets_its_own() {
        let waiting = from_a_thread(Handover::new());
        for (number, waiting) in (0..).zip(waiting) {
            assert_eq!(waiting.await, Ok(number));
        }
    }

    #[test]
    fn without_a_runtime_the_thread_delivers() {
        let numbers: Vec<_> = from_a_thread(Handover::new())
            .into_iter()
            .map(oneshot::Receiver::blocking_recv)
            .collect();
        assert_eq!(numbers, [Ok(0), Ok(1), Ok(2), Ok(3)]);
    }

    #[tokio::test]
    async fn what_is_sent_in_one_breath_is_one_group() {
        let (sender, mut groups) = gather(8);
        let send = async |number| sender.send(number).await.unwrap();
        tokio::join!(send(1), send(2), send(3));
        assert_eq!(groups.recv().await, Some(vec![1, 2, 3]));
        send(4).await;
        drop(sender);
        assert_eq!(groups.recv().await, Some(vec![4]));
        assert_eq!(groups.recv().await, None);
    }

    #[test]
    fn after_its_runtime_too() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let handover = runtime.block_on(async { Handover::new() });
        drop(runtime);
        for (number, waiting) in (0..).zip(from_a_thread(handover)) {
            assert_eq!(waiting.blocking_recv(), Ok(number));
        }
    }
}

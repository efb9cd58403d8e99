//! The two halves of a connection: requests go, answers and news come.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};

use bytes::BytesMut;
use futures_util::StreamExt as _;
use prost::Message as _;
use tokio::{
    io::AsyncWriteExt as _,
    sync::{mpsc, oneshot},
};
use tokio_util::codec::FramedRead;
use tracing::debug;
use waggoner_proto::supervisor::v1::{self as pb, response::Message as Answer};
use waggoner_task::{Reading, Writing};

use crate::{
    client::invalid,
    frame::Frames,
    message::{from_exited, from_id, from_place},
    news::{Event, News},
    refusal::Refused,
};

/// The callers that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Pending {
    callers: Mutex<Callers>,
}

#[derive(Debug, Default)]
struct Callers {
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    closed: bool,
}

/// An answer that will come; `None` when the connection is lost.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pending: &'a Pending,
    id: u64,
    answer: oneshot::Receiver<Answer>,
}

/// Closes what depends on the connection, however its reader ends.
struct Closing {
    pending: Arc<Pending>,
    news: Arc<News>,
}

/// How many requests are written at once.
const BATCH: usize = 64;

/// Reads answers and news until the connection ends.
pub(super) async fn read(half: Reading, pending: Arc<Pending>, news: Arc<News>) {
    let closing = Closing { pending, news };
    let mut frames = FramedRead::new(half, Frames::<pb::Response>::new());
    while let Some(response) = frames.next().await {
        let taken = response.and_then(|response| closing.take(response).map_err(invalid));
        if let Err(error) = taken {
            debug!(%error, "failed to read from the supervisor");
            return;
        }
    }
}

/// Writes requests until nobody has any more, or the connection ends.
pub(super) async fn write(mut half: Writing, mut requests: mpsc::Receiver<pb::Request>) {
    let (mut batch, mut bytes) = (Vec::new(), BytesMut::new());
    while requests.recv_many(&mut batch, BATCH).await > 0 {
        for request in batch.drain(..) {
            request.encode_length_delimited(&mut bytes).expect("the buffer grows");
        }
        if let Err(error) = half.write_all_buf(&mut bytes).await {
            debug!(%error, "failed to write to the supervisor");
            return;
        }
    }
}

// === impl Closing ===

impl Closing {
    fn take(&self, response: pb::Response) -> Result<(), Refused> {
        let pb::Response { request_id, message } = response;
        // A message that this side does not know is a newer supervisor's.
        let Some(message) = message else { return Ok(()) };
        match message {
            Answer::Advanced(pb::Advanced { place, lasts }) => {
                let lasts = lasts.into_iter().map(|pb::Last { attempt_id, sequence }| {
                    from_id(&attempt_id).map(|attempt| (attempt, sequence))
                });
                let lasts = lasts.collect::<Result<_, _>>()?;
                self.news.tell(Event::Advanced { place: from_place(place), lasts });
            }
            Answer::Ended(pb::Ended { attempt_id, exited, last }) => {
                let exited = from_exited(exited.unwrap_or_default())?;
                self.news.tell(Event::Ended { attempt: from_id(&attempt_id)?, exited, last });
            }
            Answer::Disk(pb::Disk { full }) => self.news.tell(Event::Disk { full }),
            answer => self.pending.answer(request_id, answer),
        }
        Ok(())
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.pending.close();
        self.news.close();
    }
}

// === impl Pending ===

impl Pending {
    /// Begins to wait for an answer. `None` when the connection is lost.
    pub(super) fn expect(&self, id: u64) -> Option<Expected<'_>> {
        let mut callers = self.callers();
        let (answer_tx, answer) = oneshot::channel();
        (!callers.closed).then(|| {
            callers.waiting.insert(id, answer_tx);
            Expected { pending: self, id, answer }
        })
    }

    fn answer(&self, id: u64, answer: Answer) {
        if let Some(caller) = self.callers().waiting.remove(&id) {
            caller.send(answer).ok();
        }
    }

    fn close(&self) {
        let mut callers = self.callers();
        callers.closed = true;
        callers.waiting.clear();
    }

    fn callers(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().expect("nothing panics while it holds the callers")
    }
}

// === impl Expected ===

impl Future for Expected<'_> {
    type Output = Option<Answer>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(Result::ok)
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.pending.callers().waiting.remove(&self.id);
    }
}

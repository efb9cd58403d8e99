//! A daemon's way to its supervisor.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{net::UnixStream, sync::mpsc, time::sleep};
use waggoner_proto::supervisor::v1::{self as pb, request::Ask, response::Message as Answer};
use waggoner_task::{Tasks, quiet};
use waggoner_types::AttemptId;

use crate::{
    message::{PROTOCOL, from_attempt, from_greeting, from_written, to_spawn},
    news::{Event, News},
    refusal::{Refusal, Refused},
    words::{Attempt, Greeting, Opened, Spawn, Written},
};

mod launch;
mod wires;

pub use launch::{ConnectError, Launch};

use wires::{Expected, Pending};

/// A connection to the supervisor. Cheap to clone; dropping the last one closes it.
///
/// It is not made again by itself: who gets [`CallError::Lost`] connects anew and looks at what
/// the attempts have become. No call is undone by dropping its future.
#[derive(Clone, Debug)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

/// What the supervisor tells without being asked. For one listener.
///
/// Events that nobody listens to are merged, never lost and never many.
#[derive(Debug)]
pub struct Events {
    news: Arc<News>,
}

/// Why a call has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// Whether it was done is not known.
    #[error("the connection to the supervisor is lost")]
    Lost,

    #[error(transparent)]
    Refused(#[from] Refused),
}

#[derive(Debug)]
struct Shared {
    requests: mpsc::Sender<pb::Request>,
    pending: Arc<Pending>,
    next_id: AtomicU64,
    /// Aborted with the last handle, which closes the connection.
    _tasks: Tasks,
}

/// How many requests may wait to be written: callers wait then, as they do for their answers.
const REQUESTS: usize = 64;

/// How long an append waits before it asks a full disk again.
const FULL: Duration = Duration::from_millis(250);

// === impl Supervisor ===

impl Supervisor {
    /// Makes an attempt known, for good. `start` comes back in [`Attempt::start`].
    pub async fn open(
        &self,
        attempt: AttemptId,
        epoch: u64,
        start: impl Into<Bytes>,
    ) -> Result<Opened, CallError> {
        let (attempt_id, start) = (attempt.to_string(), start.into().into());
        opened(self.call(Ask::Open(pb::Open { attempt_id, epoch, start })).await)
    }

    /// Opens an attempt and starts its process, as [`Supervisor::open`] and
    /// [`Supervisor::spawn`] do one after the other, but with one way to the disk for both.
    pub async fn open_and_spawn(
        &self,
        attempt: AttemptId,
        epoch: u64,
        start: impl Into<Bytes>,
        spawn: &Spawn,
    ) -> Result<(Opened, i32), CallError> {
        let (attempt_id, start) = (attempt.to_string(), start.into().into());
        let open = self.ask(Ask::Open(pb::Open { attempt_id, epoch, start })).await?;
        let spawn = self.ask(Ask::Spawn(to_spawn(attempt, spawn))).await?;
        let (open, spawn) = (answered(open).await, answered(spawn).await);
        Ok((opened(open)?, started(spawn)?))
    }

    /// Starts the process of an attempt, and returns its id. Asked again, it answers the same and
    /// starts nothing.
    ///
    /// A record tells that it was started. [`Refusal::NotStarted`] says why it was not:
    /// nothing runs then, and another may be started.
    pub async fn spawn(&self, attempt: AttemptId, spawn: &Spawn) -> Result<i32, CallError> {
        started(self.call(Ask::Spawn(to_spawn(attempt, spawn))).await)
    }

    /// Appends a record, given without sequence and chain. Waits while the disk is full.
    ///
    /// A record with a `key` that was appended already is not appended again, for as long as the
    /// attempt's process runs and a thousand keys; the answer is the first one's.
    pub async fn append(
        &self,
        attempt: AttemptId,
        record: Vec<u8>,
        kept: Kept,
        key: Option<[u8; 16]>,
    ) -> Result<Written, CallError> {
        let kept = matches!(kept, Kept::Durable);
        let key = key.map(Vec::from).unwrap_or_default();
        let append = pb::Append { attempt_id: attempt.to_string(), record, kept, key };
        loop {
            match self.written(Ask::Append(append.clone())).await {
                Err(CallError::Refused(Refused { refusal: Refusal::Full, .. })) => {
                    sleep(FULL).await;
                }
                answer => return answer,
            }
        }
    }

    /// Keeps something private with an attempt, for good, in a slot from 8 to 255.
    pub async fn note(
        &self,
        attempt: AttemptId,
        slot: u8,
        bytes: impl Into<Bytes>,
    ) -> Result<(), CallError> {
        let (attempt_id, slot, bytes) = (attempt.to_string(), slot.into(), bytes.into().into());
        self.call(Ask::Note(pb::Note { attempt_id, slot, bytes })).await.map(drop)
    }

    /// Appends the last record of an attempt, for good. Asked again, it answers the first one's
    /// place and appends nothing.
    pub async fn end(&self, attempt: AttemptId, record: Vec<u8>) -> Result<Written, CallError> {
        self.written(Ask::End(pb::End { attempt_id: attempt.to_string(), record })).await
    }

    /// Lets records go that the manager holds for good.
    pub async fn ack(&self, attempt: AttemptId, upto: u64) -> Result<(), CallError> {
        self.call(Ask::Ack(pb::Ack { attempt_id: attempt.to_string(), upto })).await.map(drop)
    }

    /// Orders the end of an attempt's process: terminate, grace, kill. The order is kept for good;
    /// that the process has ended is an event.
    ///
    /// An attempt without a process is told by [`Refusal::Cancelled`] when one is asked for.
    pub async fn cancel(
        &self,
        attempt: AttemptId,
        kill: bool,
        reason: impl Into<String>,
    ) -> Result<(), CallError> {
        let (attempt_id, reason) = (attempt.to_string(), reason.into());
        self.call(Ask::Cancel(pb::Cancel { attempt_id, kill, reason })).await.map(drop)
    }

    /// Tells whether there is a link to the manager. There is none until this is told.
    pub async fn link(&self, up: bool) -> Result<(), CallError> {
        self.call(Ask::Link(pb::Link { up })).await.map(drop)
    }

    /// Says that an operation has called `ctx`, so that it is not idle.
    pub async fn touch(&self, attempt: AttemptId) -> Result<(), CallError> {
        let ask = Ask::Touch(pb::Touch { attempt_id: attempt.to_string() });
        self.write(0, ask).await
    }

    /// Lists the attempts that the journal knows.
    pub async fn attempts(&self) -> Result<Vec<Attempt>, CallError> {
        let mut attempts: Vec<Attempt> = Vec::new();
        loop {
            let after = attempts.last().map(|last| last.id.to_string()).unwrap_or_default();
            let Answer::Listed(pb::Listed { attempts: some, more }) =
                self.call(Ask::List(pb::List { after })).await?
            else {
                return Err(CallError::Lost);
            };
            let has_some = !some.is_empty();
            for message in some {
                attempts.push(from_attempt(message)?);
            }
            if !(more && has_some) {
                return Ok(attempts);
            }
        }
    }

    /// Ends the supervisor: once nothing runs, or at once, with what runs. It starts nothing any
    /// more. Its end is the end of the [`Events`].
    pub async fn shutdown(&self, leave: Leave) -> Result<(), CallError> {
        let wait = matches!(leave, Leave::WhenIdle);
        self.call(Ask::Shutdown(pb::Shutdown { wait })).await.map(drop)
    }

    /// Takes over a connected socket.
    async fn greet(stream: UnixStream) -> Result<(Self, Events, Greeting), CallError> {
        let (pending, news) = (Arc::new(Pending::default()), Arc::new(News::default()));
        let (requests, requests_rx) = mpsc::channel(REQUESTS);
        let tasks = Tasks::default();
        let (read, write) = quiet(stream).map_err(|_| CallError::Lost)?;
        tasks.spawn("supervisor-read", wires::read(read, Arc::clone(&pending), Arc::clone(&news)));
        tasks.spawn("supervisor-write", wires::write(write, requests_rx));
        let shared = Shared { requests, pending, next_id: AtomicU64::new(1), _tasks: tasks };
        let supervisor = Self { shared: Arc::new(shared) };
        let hello = pb::Hello {
            protocol_min: PROTOCOL,
            protocol_max: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        match supervisor.call(Ask::Hello(hello)).await? {
            Answer::Greeting(greeting) => {
                Ok((supervisor, Events { news }, from_greeting(greeting)))
            }
            _ => Err(strange()),
        }
    }

    async fn written(&self, ask: Ask) -> Result<Written, CallError> {
        match self.call(ask).await? {
            Answer::Written(written) => Ok(from_written(written)),
            _ => Err(strange()),
        }
    }

    async fn call(&self, ask: Ask) -> Result<Answer, CallError> {
        answered(self.ask(ask).await?).await
    }

    /// Asks, in the order of the calls; the answer will come.
    async fn ask(&self, ask: Ask) -> Result<Expected<'_>, CallError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let answer = self.shared.pending.expect(id).ok_or(CallError::Lost)?;
        self.write(id, ask).await?;
        Ok(answer)
    }

    async fn write(&self, request_id: u64, ask: Ask) -> Result<(), CallError> {
        let request = pb::Request { request_id, ask: Some(ask) };
        self.shared.requests.send(request).await.map_err(|_| CallError::Lost)
    }
}

/// How surely a record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Within the quota; on disk a little later.
    Log,
    /// Beyond the quota too; on disk with the answer.
    Durable,
}

/// When a supervisor ends that is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Once nothing runs any more.
    WhenIdle,
    /// Now: what runs is ended as by a cancel.
    Now,
}

// === impl Events ===

impl Events {
    /// Returns the next event; `None` once the connection is lost. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.news.next().await
    }
}

async fn answered(answer: Expected<'_>) -> Result<Answer, CallError> {
    match answer.await.ok_or(CallError::Lost)? {
        Answer::Refused(refused) => Err(Refused::from_message(refused).into()),
        answer => Ok(answer),
    }
}

fn opened(answer: Result<Answer, CallError>) -> Result<Opened, CallError> {
    match answer {
        Ok(_) => Ok(Opened::New),
        Err(CallError::Refused(Refused { refusal: Refusal::Known { epoch }, .. })) => {
            Ok(Opened::Known { epoch })
        }
        Err(error) => Err(error),
    }
}

fn started(answer: Result<Answer, CallError>) -> Result<i32, CallError> {
    match answer? {
        Answer::Spawned(pb::Spawned { pid }) => Ok(pid.cast_signed()),
        _ => Err(strange()),
    }
}

fn strange() -> CallError {
    // What it is may hold secrets: it is not for the log.
    tracing::error!("the supervisor answers something else");
    CallError::Refused(Refused::invalid("the supervisor answers something else"))
}

fn invalid(error: Refused) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

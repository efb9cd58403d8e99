//! The manager's half of an attempt's conversation.
//!
//! Records are stored before they are acknowledged. A lost link is waited for and the conversation
//! taken up where the store has it; a question that was not answered is asked again by the agent.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tracing::{debug, warn};
use waggoner_engine::TaskNumber;
use waggoner_proto::agent::v1::{
    Ack, Cancel, OperateRequest, OperateResponse, Record as RecordMessage, Resume, Start,
    operate_request::Message as Down, operate_response::Message as Up,
};
use waggoner_store::{
    attempt::{Batch, End},
    event::{Entry, EntryKind, Origin},
};
use waggoner_task::CancellationToken;
use waggoner_types::{
    AttemptId, Body, Chain, Exit, LogLevel, OperationError, Outcome, OutputStream, Record,
};

use crate::{
    executions::{actor::Happening, answers::Answers, outcome::told},
    fleet::{AgentKey, Link},
    home::Home,
};

/// How long an agent that lost its link while it ran an operation is waited for.
const PATIENCE: Duration = Duration::from_hours(24);

/// How many records are stored in one transaction, at most.
const BATCH: usize = 256;

/// How many messages may wait to be sent down.
const DOWN: usize = 16;

/// How long an agent may take to hear that everything was acknowledged.
const FAREWELL: Duration = Duration::from_secs(5);

/// An attempt, as its conversation needs it.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    pub(crate) agent: AgentKey,
    pub(crate) start: Start,
    pub(crate) origin: Arc<Origin>,
    /// The last record that is stored.
    pub(crate) watermark: u64,
    /// Whether the agent is known to have accepted it.
    pub(crate) accepted: bool,
    /// Answered when its start is stored as an event, which comes before what it says.
    pub(crate) begun: Option<oneshot::Receiver<()>>,
}

/// How a stretch of the conversation ended.
enum Stretch {
    Ended(Outcome),
    /// The agent does not know the attempt that it had accepted.
    Forgotten,
    Refused(Status),
    Broken(String),
}

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

/// Converses until the outcome is stored.
pub(crate) async fn converse(
    home: &Home,
    mut attempt: Attempt,
    answers: &Answers,
    cancel: &CancellationToken,
    teller: &Teller,
) -> Outcome {
    loop {
        let key = attempt.agent.clone();
        let found = home.fleet.wait_for(|fleet| fleet.link(&key), PATIENCE);
        let Some(link) = found.await else {
            return lost(&key, "it did not come back within a day");
        };
        let busy = link.busy();
        match stretch(home, &link, &mut attempt, answers, cancel, teller).await {
            Stretch::Ended(outcome) => return outcome,
            Stretch::Forgotten => return lost(&key, "its daemon was restarted"),
            Stretch::Refused(status) => {
                let why = format!("agent `{key}` refused the operation: {}", status.message());
                let error = match status.code() {
                    Code::Unavailable | Code::ResourceExhausted => OperationError::recoverable(why),
                    _ => OperationError::non_recoverable(why),
                };
                return Outcome { result: Err(error), exit: None };
            }
            Stretch::Broken(why) => {
                debug!(attempt = %attempt.id, agent = %key, why, "the conversation broke off");
                drop(busy);
                // The link is about to be given up; the next one is a new link.
                tokio::select! {
                    () = link.ended.cancelled() => {}
                    () = time::sleep(Duration::from_millis(200)) => {}
                }
            }
        }
    }
}

fn lost(agent: &AgentKey, why: &str) -> Outcome {
    let message = format!(
        "agent `{agent}` lost the operation while it ran: {why}; whether the operation finished \
         is not known, so it is not run again"
    );
    let result = Err(OperationError::non_recoverable(message));
    Outcome { result, exit: Some(Exit::Lost) }
}

async fn stretch(
    home: &Home,
    link: &Arc<Link>,
    attempt: &mut Attempt,
    answers: &Answers,
    cancel: &CancellationToken,
    teller: &Teller,
) -> Stretch {
    let (down, requests) = mpsc::channel(DOWN);
    let first = if attempt.accepted {
        let id = attempt.id.to_string();
        Down::Resume(Resume { attempt_id: id, after: attempt.watermark, chain: 0 })
    } else {
        Down::Start(attempt.start.clone())
    };
    send(&down, first).await;
    let call = link.client().operate(ReceiverStream::new(requests)).await;
    let responses = match call {
        Ok(response) => response.into_inner(),
        Err(status) => return broken(attempt, status),
    };
    let mut up = Box::pin(messages(responses).ready_chunks(BATCH));
    let mut asked = FuturesUnordered::new();
    let mut cancelled = false;
    loop {
        let said = tokio::select! {
            said = up.next() => said,
            Some(()) = asked.next() => continue,
            () = cancel.cancelled(), if !cancelled => {
                cancelled = true;
                let reason = "the execution was cancelled".to_owned();
                send(&down, Down::Cancel(Cancel { kill: false, reason })).await;
                continue;
            }
        };
        let Some(said) = said else { return Stretch::Broken("the stream ended".to_owned()) };
        let mut records = Vec::new();
        for message in said {
            match message {
                Err(status) => return broken(attempt, status),
                Ok(Up::Accepted(_)) => attempt.accepted = true,
                Ok(Up::Record(record)) => records.push(record),
                Ok(Up::Question(question)) => asked.push(answers.answer(question, down.clone())),
                Ok(Up::Heartbeat(_)) => {}
            }
        }
        if records.is_empty() {
            continue;
        }
        match keep(home, attempt, records, teller).await {
            Ok(None) => {}
            Ok(Some(outcome)) => {
                send(&down, Down::Ack(Ack { upto: attempt.watermark })).await;
                drop(down);
                // Read on to the end, so that the acknowledgement is on its way for certain.
                home.tasks.spawn("farewell", async move {
                    drop(
                        time::timeout(FAREWELL, async { while up.next().await.is_some() {} }).await,
                    );
                });
                return Stretch::Ended(outcome);
            }
            Err(why) => return Stretch::Broken(why),
        }
        send(&down, Down::Ack(Ack { upto: attempt.watermark })).await;
    }
}

/// The messages of a stream, up to its end or its failure.
fn messages(
    stream: Streaming<OperateResponse>,
) -> impl futures_util::Stream<Item = Result<Up, Status>> {
    stream.filter_map(|said| std::future::ready(said.map(|said| said.message).transpose()))
}

fn broken(attempt: &Attempt, status: Status) -> Stretch {
    match status.code() {
        Code::NotFound if attempt.accepted => Stretch::Forgotten,
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::ResourceExhausted
        | Code::Unimplemented
        | Code::PermissionDenied
            if !attempt.accepted =>
        {
            Stretch::Refused(status)
        }
        _ => Stretch::Broken(status.message().to_owned()),
    }
}

/// Sends down; a conversation that has broken off meanwhile is noticed where its messages are read.
async fn send(down: &mpsc::Sender<OperateRequest>, message: Down) {
    drop(down.send(OperateRequest { message: Some(message) }).await);
}

/// Stores records with the attempt's watermark. Returns the outcome, if it is among them.
async fn keep(
    home: &Home,
    attempt: &mut Attempt,
    messages: Vec<RecordMessage>,
    teller: &Teller,
) -> Result<Option<Outcome>, String> {
    let mut upto = attempt.watermark;
    let mut entries = Vec::with_capacity(messages.len());
    let mut end = None;
    let mut runs = false;
    for message in messages {
        let record = waggoner_wire::from_record(message).map_err(|refusal| refusal.message)?;
        if record.sequence <= upto {
            continue;
        }
        if record.sequence != upto + 1 {
            let why = format!("record {} came where {} was due", record.sequence, upto + 1);
            warn!(attempt = %attempt.id, why, "a hole in an attempt's records");
            return Err(why);
        }
        upto = record.sequence;
        runs |= matches!(record.body, Body::ProcessStarted { .. });
        match entry(&attempt.origin, record) {
            Kept::Entry(entry) => entries.push(entry),
            Kept::Outcome(outcome) => end = Some(outcome),
            Kept::Nothing => {}
        }
    }
    if upto == attempt.watermark {
        return Ok(None);
    }
    if runs {
        attempt.begun = Some(teller.started().await);
    }
    if !entries.is_empty()
        && let Some(begun) = attempt.begun.take()
    {
        // It fails when the actor has ended, and nobody tells of the start any more.
        drop(begun.await);
    }
    let now = Timestamp::now();
    let ended = end.as_ref().map(|outcome| End { at: now, outcome: told(outcome) });
    let upto = waggoner_store::attempt::Watermark { upto, chain: 0 };
    let batch = Batch { attempt: attempt.id, upto, entries, end: ended };
    let kept = home.store.ingest(batch, now).await;
    attempt.watermark = kept.map_err(|error| Chain(&error).to_string())?.upto;
    Ok(end)
}

fn stream_name(stream: OutputStream) -> &'static str {
    match stream {
        OutputStream::Stdout => "stdout",
        OutputStream::Stderr => "stderr",
    }
}

enum Kept {
    Entry(Entry),
    Outcome(Outcome),
    Nothing,
}

fn entry(origin: &Arc<Origin>, record: Record) -> Kept {
    let Record { sequence, time, body } = record;
    let (kind, message) = match body {
        Body::ProcessStarted { .. } => return Kept::Nothing,
        Body::Outcome(outcome) => return Kept::Outcome(outcome),
        Body::Output { stream, data, .. } => {
            let logger = stream_name(stream);
            let text = String::from_utf8_lossy(&data);
            let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
            (EntryKind::Log { level: LogLevel::Debug, logger: logger.to_owned() }, text)
        }
        Body::Gap { stream, from, to, reason } => {
            let logger = stream_name(stream).to_owned();
            let text = format!("{} bytes of output were not kept: {reason}", to - from);
            (EntryKind::Log { level: LogLevel::Warning, logger }, text)
        }
        Body::Log { level, logger, message } => (EntryKind::Log { level, logger }, message),
        Body::Event { event_type, message } => (EntryKind::Event { event_type }, message),
    };
    let origin = Arc::clone(origin);
    Kept::Entry(Entry { origin, time, kind, message, causes: Vec::new(), sequence })
}

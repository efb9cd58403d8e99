//! One stream of a conversation.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{
    Stream, StreamExt as _,
    future::BoxFuture,
    stream::{FuturesUnordered, ReadyChunks},
};
use tokio::{sync::mpsc, time};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use waggoner_attempt::manager::Refusal;
use waggoner_proto::agent::v1::{
    OperateRequest, Question, operate_request::Message as Down, operate_response::Message as Up,
};
use waggoner_task::CancellationToken;
use waggoner_types::AttemptId;

use crate::{
    executions::answers::Answers,
    fleet::{Busy, Link},
};

/// How many messages are taken from the stream at once, at most.
const CHUNK: usize = 256;

/// How many messages may wait to be sent down.
const DOWN: usize = 16;

/// How long an agent may take to hear that everything was acknowledged.
const FAREWELL: Duration = Duration::from_secs(5);

type Messages = Pin<Box<dyn Stream<Item = Result<Up, Status>> + Send>>;

/// One stream, and the answers that are being worked out for it.
pub(super) struct Talk<'a> {
    down: mpsc::Sender<OperateRequest>,
    up: ReadyChunks<Messages>,
    asked: FuturesUnordered<BoxFuture<'a, (u64, OperateRequest)>>,
    /// When the link is given up, the stream may not know it for long.
    ended: CancellationToken,
    _busy: Busy,
}

/// What came of it.
pub(super) enum Said {
    Messages(Vec<Up>),
    /// The answer to a question is ready.
    Reply(u64, Box<OperateRequest>),
    /// It is over, with what the agent said.
    Over(Option<Status>),
}

// === impl Talk ===

impl<'a> Talk<'a> {
    /// Opens the stream with its first message.
    pub(super) async fn open(link: &Arc<Link>, first: Down) -> Result<Self, Status> {
        let busy = link.busy();
        let (down, requests) = mpsc::channel(DOWN);
        drop(down.send(OperateRequest { message: Some(first) }).await);
        let mut client = link.client();
        let responses = tokio::select! {
            () = link.ended.cancelled() => return Err(Status::unavailable("the link was lost")),
            responses = client.operate(ReceiverStream::new(requests)) => responses?.into_inner(),
        };
        let messages = responses.filter_map(async |said| said.map(|said| said.message).transpose());
        let up = (Box::pin(messages) as Messages).ready_chunks(CHUNK);
        Ok(Self {
            down,
            up,
            asked: FuturesUnordered::new(),
            ended: link.ended.clone(),
            _busy: busy,
        })
    }

    /// Waits for what is said next. Cancel safe.
    pub(super) async fn next(&mut self) -> Said {
        tokio::select! {
            () = self.ended.cancelled() => Said::Over(None),
            Some((question, answer)) = self.asked.next() => Said::Reply(question, Box::new(answer)),
            said = self.up.next() => {
                let Some(said) = said else { return Said::Over(None) };
                let mut messages = Vec::with_capacity(said.len());
                for message in said {
                    match message {
                        Ok(message) => messages.push(message),
                        // What came before it is sent again.
                        Err(status) => return Said::Over(Some(status)),
                    }
                }
                Said::Messages(messages)
            }
        }
    }

    /// Works an answer out; all that comes before its last piece is sent at once.
    pub(super) fn answer(&mut self, answers: &'a Answers, attempt: AttemptId, question: Question) {
        let (id, down) = (question.question_id, self.down.clone());
        let answer = async move { (id, answers.answer(attempt, question, down).await) };
        self.asked.push(Box::pin(answer));
    }

    /// Sends down; a stream that has broken off meanwhile is noticed where it is read.
    pub(super) async fn send(&mut self, message: OperateRequest) {
        drop(self.down.send(message).await);
    }

    /// Reads on to the end, so that the last acknowledgement is on its way for certain.
    pub(super) fn farewell(self) -> impl Future<Output = ()> + Send + 'static {
        let Self { down, mut up, _busy, .. } = self;
        drop(down);
        async move {
            drop(time::timeout(FAREWELL, async { while up.next().await.is_some() {} }).await);
        }
    }
}

/// Tells a refusal from a stream that broke off.
pub(super) fn refusal(status: &Status) -> Option<Refusal> {
    match status.code() {
        Code::NotFound => Some(Refusal::Unknown),
        Code::DataLoss if waggoner_wire::Reason::HostRebooted.is_of(status) => {
            Some(Refusal::Rebooted)
        }
        Code::DataLoss => Some(Refusal::OtherHistory),
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::ResourceExhausted
        | Code::Unimplemented
        | Code::PermissionDenied => Some(Refusal::Declined),
        _ => None,
    }
}

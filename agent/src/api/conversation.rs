//! One conversation about an attempt: one `Operate` stream, from its start or resume to the
//! acknowledged outcome, or to the loss of the link.
//!
//! ```text
//!           Accepted
//!  manager ◀──────── questions, then records after the cursor, else heartbeats ── attempt
//!          ────────▶ acks, answers, an order to cancel ─────────────────────────▶
//! ```

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use tonic::{Status, Streaming};
use tracing::{debug, info};
use waggoner_proto::agent::v1::{
    Accepted, Heartbeat, OperateRequest, OperateResponse, Question, operate_request,
    operate_response,
};
use waggoner_types::Record;
use waggoner_wire::{Reason, Refused, to_record};

use crate::{
    attempt::{Attempt, Cancel},
    house::House,
};

/// Where the agent's side of a conversation goes.
pub(crate) type Voice = mpsc::Sender<Result<OperateResponse, Status>>;

/// How many messages wait for the link: enough that it never waits for us.
pub(crate) const VOICE: usize = 16;

/// One conversation.
#[derive(Debug)]
pub(crate) struct Conversation {
    house: Arc<House>,
    attempt: Arc<Attempt>,
    /// The last record that the manager has, or has been sent.
    cursor: u64,
    /// The last question that has been asked here.
    asked: u64,
    /// Whether the attempt was known before.
    resumed: bool,
}

/// What comes next on the wire.
enum Next {
    Question(Question),
    Record(Arc<Record>),
}

/// Whether a conversation goes on.
#[derive(Debug, PartialEq, Eq)]
enum Onward {
    Go,
    End,
}

// === impl Conversation ===

impl Conversation {
    /// Begins a conversation about an attempt whose records the manager has up to `cursor`.
    pub(crate) fn new(
        house: Arc<House>,
        attempt: Arc<Attempt>,
        cursor: u64,
        resumed: bool,
    ) -> Self {
        Self { house, attempt, cursor, asked: 0, resumed }
    }

    /// Holds the conversation to its end.
    pub(crate) async fn hold(self, inbound: Streaming<OperateRequest>, voice: Voice) {
        let id = self.attempt.id;
        if let Err(refused) = self.speak(inbound, &voice).await {
            info!(attempt = %id, %refused, "the conversation was refused");
            drop(voice.send(Err(refused.into())).await);
        }
    }

    async fn speak(
        mut self,
        mut inbound: Streaming<OperateRequest>,
        voice: &Voice,
    ) -> Result<(), Refused> {
        let attempt = Arc::clone(&self.attempt);
        let mut turn = attempt.converse();
        let mut records = attempt.records.watch();
        let mut questions = attempt.questions.watch();
        let heartbeat = *self.house.heartbeat.borrow();
        if voice.send(Ok(accepted(self.resumed))).await.is_err() {
            return Ok(());
        }
        attempt.questions.restart().await;
        loop {
            let next = self.next();
            if next.is_none() && attempt.records.is_done() {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = turn.superseded() => {
                    return Err(Refused::new(
                        Reason::VersionConflict,
                        "another conversation about this attempt has taken over",
                    ));
                }
                heard = inbound.message() => match heard {
                    Ok(Some(request)) => {
                        if self.hear(request).await? == Onward::End {
                            return Ok(());
                        }
                    }
                    Ok(None) => return Ok(()),
                    Err(status) => {
                        debug!(attempt = %attempt.id, %status, "the conversation was cut");
                        return Ok(());
                    }
                },
                permit = voice.reserve(), if next.is_some() => {
                    let (Ok(permit), Some(next)) = (permit, next) else { return Ok(()) };
                    permit.send(Ok(self.say(next)));
                }
                _ = records.changed(), if next.is_none() => {}
                _ = questions.changed(), if next.is_none() => {}
                () = sleep(heartbeat), if next.is_none() => {
                    let beat = operate_response::Message::Heartbeat(Heartbeat {});
                    if voice.send(Ok(response(beat))).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Returns what is to be said next. A question goes before records, which may be many.
    fn next(&self) -> Option<Next> {
        let question = self.attempt.questions.after(self.asked).map(Next::Question);
        question.or_else(|| self.attempt.records.after(self.cursor).map(Next::Record))
    }

    fn say(&mut self, next: Next) -> OperateResponse {
        use operate_response::Message;
        match next {
            Next::Question(question) => {
                self.asked = question.question_id;
                response(Message::Question(question))
            }
            Next::Record(record) => {
                self.cursor = record.sequence;
                response(Message::Record(to_record(Arc::unwrap_or_clone(record))))
            }
        }
    }

    async fn hear(&self, request: OperateRequest) -> Result<Onward, Refused> {
        use operate_request::Message;
        let attempt = &self.attempt;
        match request.message.ok_or_else(|| Refused::missing("message"))? {
            Message::Ack(ack) => {
                if attempt.records.ack(ack.upto) {
                    self.house.attempts.done(attempt.id);
                    return Ok(Onward::End);
                }
            }
            Message::Answer(answer) => attempt.questions.answer(answer).await,
            Message::Cancel(order) => {
                attempt.cancel(Cancel { kill: order.kill, reason: order.reason });
            }
            Message::Start(_) | Message::Resume(_) => {
                return Err(Refused::field("message", "the conversation has begun already"));
            }
        }
        Ok(Onward::Go)
    }
}

fn accepted(resumed: bool) -> OperateResponse {
    response(operate_response::Message::Accepted(Accepted { resumed }))
}

fn response(message: operate_response::Message) -> OperateResponse {
    OperateResponse { message: Some(message) }
}

/// How long a manager may take to say what a conversation is about.
pub(crate) const FIRST_WORDS: Duration = Duration::from_secs(30);

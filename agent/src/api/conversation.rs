//! One conversation about an attempt: one `Operate` stream, from its start or resume to the
//! acknowledged outcome, or to the loss of the link. What is said and when is decided by
//! `waggoner-attempt`; here it is carried out.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use prost::Message as _;
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tonic::{Status, Streaming};
use tracing::{debug, info, warn};
use waggoner_attempt::agent::{First, Input, Next, Output, Piece, Refusal, Say, Talk, window};
use waggoner_journal::{ReadError, Stored};
use waggoner_proto::agent::v1::{
    self as pb, Accepted, Answer, Heartbeat, OperateRequest, OperateResponse, Question, answer,
    operate_request, operate_response,
};
use waggoner_types::Chain;
use waggoner_wire::{Reason, Refused};

use crate::{
    attempt::{Attempt, Cancel},
    house::House,
};

mod lost;

use lost::Lost;

/// Where the agent's side of a conversation goes.
pub(crate) type Voice = mpsc::Sender<Result<OperateResponse, Status>>;

/// How many messages wait for the link: enough that it never waits for us.
pub(crate) const VOICE: usize = 16;

/// How many bytes of records are read ahead.
const AHEAD: usize = 256 * 1024;

/// How many bytes of records the journal may keep for a while that the manager holds.
const RELEASED: usize = 16 * 1024;

/// One conversation.
#[derive(Debug)]
pub(crate) struct Conversation {
    house: Arc<House>,
    attempt: Arc<Attempt>,
    talk: Talk,
    /// Records that were read and not said.
    ahead: VecDeque<Stored>,
    /// How many bytes of records were said that the journal was not told to let go.
    unreleased: usize,
    /// Records that come next and are lost.
    lost: Option<Lost>,
    /// Changes when the manager has come over another link.
    hellos: watch::Receiver<u64>,
}

// === impl Conversation ===

impl Conversation {
    /// Begins a conversation about an attempt, if the two sides can agree on its records.
    pub(crate) async fn begin(
        house: Arc<House>,
        attempt: Arc<Attempt>,
        first: First,
    ) -> Result<Self, Refused> {
        // What is resumed after is let go at once.
        let unreleased = if matches!(first, First::Start { .. }) { 0 } else { RELEASED };
        let mut outputs = attempt.step(Input::Began(first)).into_iter();
        let talk = match outputs.next() {
            Some(Output::Begin(talk)) => talk,
            Some(Output::Refuse(refusal)) => return Err(refused(refusal)),
            _ => return Err(Refused::new(Reason::Internal, "the conversation has no beginning")),
        };
        let (ahead, hellos) = (VecDeque::new(), house.hellos.subscribe());
        let mut conversation = Self { house, attempt, talk, ahead, unreleased, lost: None, hellos };
        conversation.carry_out(outputs, None).await;
        Ok(conversation)
    }

    /// Holds the conversation to its end.
    pub(crate) async fn hold(mut self, inbound: Streaming<OperateRequest>, voice: Voice) {
        let id = self.attempt.id;
        let house = Arc::clone(&self.house);
        let _counted = house.conversations.begin();
        if let Err(refused) = self.speak(inbound, &voice).await {
            info!(attempt = %id, %refused, "the conversation was refused");
            drop(voice.send(Err(refused.into())).await);
        }
        self.attempt.step(Input::Cut(self.talk));
        if self.attempt.is_done() {
            self.house.attempts.done(id);
        }
    }

    async fn speak(
        &mut self,
        mut inbound: Streaming<OperateRequest>,
        voice: &Voice,
    ) -> Result<(), Refused> {
        let attempt = Arc::clone(&self.attempt);
        let mut changes = attempt.watch();
        let heartbeat = *self.house.heartbeat.borrow();
        let mut hellos = self.hellos.clone();
        loop {
            changes.mark_unchanged();
            let window = window(self.house.conversations.count());
            let say = match attempt.next(self.talk, window) {
                Next::Say(say) => self.message(say).await?.map(|message| (say, message)),
                Next::Wait => None,
                Next::End => return Ok(()),
                Next::Superseded => {
                    return Err(Refused::new(
                        Reason::VersionConflict,
                        "another conversation about this attempt has taken over",
                    ));
                }
            };
            tokio::select! {
                biased;
                heard = inbound.message() => match heard {
                    Ok(Some(request)) => self.hear(request).await?,
                    Ok(None) => return Ok(()),
                    Err(status) => {
                        debug!(attempt = %attempt.id, %status, "the conversation was cut");
                        return Ok(());
                    }
                },
                permit = voice.reserve(), if say.is_some() => {
                    let (Ok(permit), Some((say, message))) = (permit, say) else { return Ok(()) };
                    let bytes = self.take(say);
                    self.unreleased += bytes;
                    permit.send(Ok(OperateResponse { message: Some(message) }));
                    attempt.step(Input::Said(self.talk, say, bytes));
                }
                _ = hellos.changed() => return Ok(()),
                _ = changes.changed(), if say.is_none() => {}
                () = sleep(heartbeat), if say.is_none() => {
                    attempt.step(Input::Quiet(self.talk));
                }
            }
        }
    }

    /// Makes the message for what is to be said; `None` where that has gone meanwhile.
    async fn message(&mut self, say: Say) -> Result<Option<operate_response::Message>, Refused> {
        use operate_response::Message;
        Ok(match say {
            Say::Accepted { resumed } => Some(Message::Accepted(Accepted { resumed })),
            Say::Heartbeat { said } => Some(Message::Heartbeat(Heartbeat { said })),
            Say::Question(id) => {
                let question = self.attempt.questions.get(id);
                if question.is_none() {
                    self.attempt.step(Input::TakenBack(id));
                }
                question.map(|question: Question| Message::Question(question))
            }
            Say::Record(sequence) => Some(Message::Record(self.record(sequence).await?)),
        })
    }

    /// Reads a record that the journal is known to hold, or says that it is lost.
    async fn record(&mut self, sequence: u64) -> Result<pb::Record, Refused> {
        let journal = &self.house.journal;
        while self.ahead.front().is_none_or(|stored| stored.sequence != sequence) {
            if let Some(lost) = self.lost.as_ref().filter(|lost| lost.holds(sequence)) {
                return Ok(lost.stand_in(sequence));
            }
            // It may be known before it can be read.
            let mut advances = journal.advances();
            let read = match journal.read(self.attempt.id, sequence - 1, AHEAD).await {
                Err(ReadError::Lost { records, chain }) => {
                    let lost = Lost { records, chain };
                    lost.is_bearable(&self.attempt.held())?;
                    warn!(attempt = %self.attempt.id, ?lost, "records cannot be read any more");
                    self.ahead.clear();
                    self.lost = Some(lost);
                    continue;
                }
                Err(error @ ReadError::Io(_)) => {
                    let why = Chain(&error).to_string();
                    return Err(Refused::new(Reason::Unavailable, why));
                }
                Ok(read) => read,
            };
            if read.is_empty() {
                drop(advances.changed().await);
            }
            self.ahead = read.into();
        }
        let stored = self.ahead.front().expect("the loop has found it");
        let record = pb::Record::decode(stored.bytes.clone());
        let record = record.map_err(|error| Refused::new(Reason::Internal, error.to_string()))?;
        Ok(pb::Record { sequence, chain: stored.chain, ..record })
    }

    /// Notes that something is said; returns the bytes of a record.
    fn take(&mut self, say: Say) -> usize {
        match say {
            Say::Record(_) => self.ahead.pop_front().map_or(0, |stored| stored.bytes.len()),
            Say::Accepted { .. } | Say::Question(_) | Say::Heartbeat { .. } => 0,
        }
    }

    async fn hear(&mut self, request: OperateRequest) -> Result<(), Refused> {
        use operate_request::Message;
        let talk = self.talk;
        let (input, answer) = match request.message.ok_or_else(|| Refused::missing("message"))? {
            Message::Ack(ack) => (Input::Ack(talk, ack.upto), None),
            Message::Answer(answer) => {
                (Input::Answer(talk, answer.question_id, piece(&answer)), Some(answer))
            }
            Message::Cancel(pb::Cancel { kill, reason }) => {
                let order = Cancel { kill, reason };
                let outputs = self.attempt.step(Input::Cancel(talk, order.order()));
                if !outputs.is_empty() {
                    self.attempt.cancel(order);
                }
                return Ok(());
            }
            Message::Start(_) | Message::Resume(_) => {
                return Err(Refused::field("message", "the conversation has begun already"));
            }
        };
        self.carry_out(self.attempt.step(input).into_iter(), answer).await;
        Ok(())
    }

    async fn carry_out(
        &mut self,
        outputs: impl Iterator<Item = Output> + Send,
        mut answer: Option<Answer>,
    ) {
        for output in outputs {
            match output {
                // Each costs a way to the disk; what was not let go is once all is held.
                Output::Drop { upto } => {
                    if self.unreleased >= RELEASED || self.attempt.is_done() {
                        self.unreleased = 0;
                        self.attempt.release(upto).await;
                    }
                }
                Output::Hand { .. } => {
                    if let Some(answer) = answer.take() {
                        self.attempt.questions.answer(answer).await;
                    }
                }
                Output::Again { question } => self.attempt.questions.again(question).await,
                Output::Done | Output::Begin(_) | Output::Refuse(_) | Output::Cancel(_) => {}
            }
        }
    }
}

fn piece(answer: &Answer) -> Piece {
    match &answer.outcome {
        Some(answer::Outcome::Chunk(chunk)) if !chunk.last => Piece::More,
        _ => Piece::Last,
    }
}

fn refused(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::StaleEpoch { newest } => Refused::field(
            "start.epoch",
            format!("it is older than {newest}, which this agent has seen"),
        ),
        Refusal::Rebooted => Refused::new(
            Reason::HostRebooted,
            "the host was started anew while the operation ran, and the last that the agent had \
             told was not on its disk yet",
        ),
        Refusal::OtherHistory => Refused::new(
            Reason::HistoryMismatch,
            "the manager holds other records of this attempt than the agent",
        ),
        Refusal::Dropped { acked } => Refused::new(
            Reason::HistoryMismatch,
            format!("the records up to {acked} were acknowledged, and are not kept any more"),
        ),
    }
}

/// How long a manager may take to say what a conversation is about.
pub(crate) const FIRST_WORDS: Duration = Duration::from_secs(30);

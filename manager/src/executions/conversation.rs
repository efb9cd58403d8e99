//! The manager's half of an attempt's conversation: who does what [`Half`] decides.
//!
//! ```text
//!   fleet: a link ─────────┐                       ┌──▶ talk: open, ack, reply, cancel
//!   talk: records, asks ───┤  one select   Half    │
//!   store: a batch stored ─┼──────────────▶ step ──┼──▶ store: one transaction at a time
//!   answers: one is ready ─┤                       │
//!   actor: cancel ─────────┘                       └──▶ the outcome, or why there is none
//! ```

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tonic::Status;
use tracing::{debug, warn};
use waggoner_attempt::{
    Order, Prefix,
    manager::{Batch, Half, Input, Opening, Output, Reason, Record},
};
use waggoner_proto::agent::v1::{
    Ack, Cancel, Heartbeat, OperateRequest, Record as RecordMessage, Resume, Start,
    operate_request::Message as Down, operate_response::Message as Up,
};
use waggoner_task::CancellationToken;
use waggoner_types::{AttemptId, Body, Outcome};

use crate::{
    executions::answers::Answers,
    fleet::{AgentKey, Link, reconcile},
    home::Home,
};

mod gather;
mod reason;
mod talk;
mod teller;
mod wait;

pub(crate) use gather::Speaker;
pub(crate) use reason::{lost, unsent};
pub(crate) use teller::Teller;

use gather::{Gathered, Kept};
use talk::{Said, Talk};
use wait::{find, over, ready, said};

/// How long an agent that lost its link while it ran an operation is waited for.
const PATIENCE: Duration = Duration::from_hours(24);

/// How long a link over which a conversation was lost is left alone.
const PAUSE: Duration = Duration::from_millis(200);

/// How long the record of a start may wait for what comes next, to be stored and acknowledged with
/// it: for short operations half as much is written, here and at the agent.
const LULL: Duration = Duration::from_millis(20);

/// How many records are gathered at the most while others are being stored.
const BATCH: usize = 256;

/// An attempt, as its conversation needs it.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    pub(crate) agent: AgentKey,
    /// How it is started; absent where it may only be resumed.
    pub(crate) start: Option<Start>,
    pub(crate) speaker: Speaker,
    pub(crate) half: Half,
}

/// A conversation, over as many links as it takes.
struct Conversation<'a> {
    home: &'a Home,
    answers: &'a Answers,
    teller: &'a Teller,
    cancel: &'a CancellationToken,
    attempt: Attempt,
    /// What happened while something else was done.
    pending: VecDeque<Happened>,
    /// The link that is used, or is to be.
    link: Option<Arc<Link>>,
    talk: Option<Talk<'a>>,
    gathered: Gathered,
    storing: Option<BoxFuture<'a, Kept>>,
    /// When what was gathered is stored at the latest.
    lull: Option<Instant>,
    /// The outcome that is on its way to the store.
    outcome: Option<Outcome>,
    /// What the agent said when it refused.
    refused: Option<Status>,
    cancelled: bool,
    /// The link that is left alone until then, and how long another is waited for.
    lost: Option<(Arc<Link>, Instant)>,
    patience: Instant,
}

/// Something that happened.
enum Happened {
    Linked(Arc<Link>),
    Said(Said),
    Kept(Kept),
    /// Something that needs nothing but to be told.
    Told(Input),
}

/// How a conversation ended.
enum End {
    Outcome(Outcome),
    /// The agent never heard of the attempt.
    Unheard,
}

/// Converses until the outcome is stored, or it is certain that there is none.
pub(crate) async fn converse(
    home: &Home,
    attempt: Attempt,
    answers: &Answers,
    cancel: &CancellationToken,
    teller: &Teller,
) -> Outcome {
    let key = attempt.agent.clone();
    let ended = resume(home, attempt, answers, cancel, teller).await;
    ended.unwrap_or_else(|| lost(&key, "it does not know it any more"))
}

/// Converses about an attempt that an earlier manager may have sent. Returns nothing if its agent
/// never heard of it.
pub(crate) async fn resume(
    home: &Home,
    attempt: Attempt,
    answers: &Answers,
    cancel: &CancellationToken,
    teller: &Teller,
) -> Option<Outcome> {
    let _needed = home.fleet.need(attempt.id);
    let mut conversation = Conversation {
        home,
        answers,
        teller,
        cancel,
        attempt,
        pending: VecDeque::new(),
        link: None,
        talk: None,
        gathered: Gathered::default(),
        storing: None,
        lull: None,
        outcome: None,
        refused: None,
        cancelled: false,
        lost: None,
        patience: Instant::now() + PATIENCE,
    };
    loop {
        let happened = conversation.next().await;
        match conversation.take(happened).await {
            Some(End::Outcome(outcome)) => return Some(outcome),
            Some(End::Unheard) => return None,
            None => {}
        }
    }
}

// === impl Conversation ===

impl Conversation<'_> {
    /// Waits for the next thing to happen. Cancel safe.
    async fn next(&mut self) -> Happened {
        if let Some(happened) = self.pending.pop_front() {
            return happened;
        }
        let Self { home, attempt, link, talk, storing, lull, cancel, lost, .. } = self;
        // What is not read waits at the agent.
        let has_room = storing.is_none() || self.gathered.len() < BATCH;
        let seeks = link.is_none() && storing.is_none();
        tokio::select! {
            biased;
            kept = ready(storing.as_mut()) => {
                *storing = None;
                Happened::Kept(kept)
            }
            () = cancel.cancelled(), if !self.cancelled => {
                self.cancelled = true;
                // The engine lets what runs end by itself, unless it is to be killed.
                Happened::Told(Input::Cancel(Order::Kill))
            }
            said = said(talk.as_mut()), if has_room => Happened::Said(said),
            () = over(*lull) => {
                *lull = None;
                Happened::Told(Input::Flush)
            }
            found = find(home, &attempt.agent, lost, self.patience), if seeks => {
                found.map_or(Happened::Told(Input::PatienceOver), Happened::Linked)
            }
        }
    }

    /// Takes what happened. Returns the end once it is there.
    async fn take(&mut self, happened: Happened) -> Option<End> {
        match happened {
            Happened::Linked(link) => {
                self.link = Some(link);
                self.step(Input::Linked).await
            }
            Happened::Told(input) => self.step(input).await,
            Happened::Kept(Kept::Stored) => self.step(Input::Stored).await,
            Happened::Kept(Kept::Unknown { stored }) => {
                self.step(Input::StoreFailed { stored }).await
            }
            Happened::Kept(Kept::Gone) => Some(End::Outcome(reason::gone())),
            Happened::Said(Said::Reply(question, answer)) => {
                if !self.attempt.half.step(Input::Answered(question)).is_empty()
                    && let Some(talk) = &mut self.talk
                {
                    talk.send(*answer).await;
                }
                None
            }
            Happened::Said(Said::Over(status)) => {
                let id = self.attempt.id;
                debug!(attempt = %id, agent = %self.attempt.agent, ?status, "the conversation broke off");
                let input =
                    status.as_ref().and_then(talk::refusal).map_or(Input::Cut, Input::Refused);
                self.refused = status;
                self.talk = None;
                self.step(input).await
            }
            Happened::Said(Said::Messages(messages)) => {
                for message in messages {
                    let end = match message {
                        Up::Record(record) => self.record(record).await,
                        Up::Accepted(_) => self.step(Input::Accepted).await,
                        Up::Heartbeat(Heartbeat { said }) => {
                            self.step(Input::Heartbeat { said }).await
                        }
                        Up::Question(question) => {
                            let id = question.question_id;
                            if !self.attempt.half.step(Input::Question(id)).is_empty()
                                && let Some(talk) = &mut self.talk
                            {
                                talk.answer(self.answers, self.attempt.id, question);
                            }
                            None
                        }
                    };
                    if end.is_some() {
                        return end;
                    }
                }
                if self.gathered.is_awaited() {
                    self.lull = None;
                    return self.step(Input::Flush).await;
                }
                let is_gathered = self.gathered.len() > 0;
                self.lull = self.lull.or_else(|| is_gathered.then(|| Instant::now() + LULL));
                None
            }
        }
    }

    async fn record(&mut self, mut message: RecordMessage) -> Option<End> {
        let taken = self.attempt.half.taken();
        let (sequence, said) = (message.sequence, message.chain);
        if sequence <= taken.length {
            return None;
        }
        let computed = waggoner_wire::chained(taken.chain, &mut message);
        let record = match waggoner_wire::from_record(message) {
            Ok(record) => record,
            Err(refusal) => {
                warn!(attempt = %self.attempt.id, %refusal, "a record cannot be read");
                return self.step(Input::Unreadable).await;
            }
        };
        let ends = matches!(record.body, Body::Outcome(_));
        let runs = matches!(record.body, Body::ProcessStarted { .. });
        let input = Input::Record(Record { sequence, said, computed, ends });
        let outputs = self.attempt.half.step(input);
        if outputs.contains(&Output::Take) {
            if runs {
                self.gathered.begun = Some(self.teller.started().await);
            }
            self.gathered.take(&self.attempt.speaker, record);
            return None;
        }
        if !outputs.is_empty() {
            warn!(attempt = %self.attempt.id, sequence, ?taken, "a record does not continue them");
        }
        self.perform_all(outputs).await
    }

    async fn step(&mut self, input: Input) -> Option<End> {
        let outputs = self.attempt.half.step(input);
        self.perform_all(outputs).await
    }

    async fn perform_all(&mut self, outputs: Vec<Output>) -> Option<End> {
        for output in outputs {
            if let Some(end) = self.perform(output).await {
                return Some(end);
            }
        }
        None
    }

    async fn perform(&mut self, output: Output) -> Option<End> {
        match output {
            Output::Open(opening) => self.open(opening).await,
            Output::Close => self.talk = None,
            Output::Wait => {
                self.talk = None;
                self.gathered.forget();
                self.lost = self.link.take().map(|link| (link, Instant::now() + PAUSE));
                self.patience = Instant::now() + PATIENCE;
            }
            Output::Store(Batch { upto, .. }) => {
                let (keep, outcome) = self.gathered.keep(self.home, self.attempt.id, upto);
                self.outcome = outcome;
                self.storing = Some(keep);
            }
            Output::Ack { upto } => self.send(Down::Ack(Ack { upto })).await,
            Output::Cancel(order) => {
                let reason = "the execution was cancelled".to_owned();
                self.send(Down::Cancel(Cancel { kill: order == Order::Kill, reason })).await;
            }
            Output::Tell => {
                if let Some(talk) = self.talk.take() {
                    self.home.tasks.spawn("farewell", talk.farewell());
                }
                return self.outcome.take().map(End::Outcome);
            }
            Output::GiveUp(Reason::Unheard) => return Some(End::Unheard),
            Output::GiveUp(reason) => return Some(End::Outcome(self.give_up(reason).await)),
            // Done where the record, the question and the answer are.
            Output::Take | Output::Answer { .. } | Output::Reply { .. } => {}
        }
        None
    }

    async fn open(&mut self, opening: Opening) {
        let Some(link) = &self.link else { return };
        let first = match opening {
            Opening::Start => Down::Start(self.attempt.start.clone().unwrap_or_default()),
            Opening::Resume(Prefix { length, chain }) => {
                let attempt_id = self.attempt.id.to_string();
                Down::Resume(Resume { attempt_id, after: length, chain })
            }
        };
        match Talk::open(link, first).await {
            Ok(talk) => self.talk = Some(talk),
            Err(status) => self.pending.push_back(Happened::Said(Said::Over(Some(status)))),
        }
    }

    async fn send(&mut self, message: Down) {
        if let Some(talk) = &mut self.talk {
            talk.send(OperateRequest { message: Some(message) }).await;
        }
    }

    /// Ends the attempt in the store too, and tells the agent, as far as it can be told now.
    async fn give_up(&mut self, reason: Reason) -> Outcome {
        let Attempt { id, agent, half, .. } = &self.attempt;
        let outcome = reason::outcome(reason, agent, self.refused.take(), self.cancelled);
        warn!(attempt = %id, %agent, ?reason, "an attempt was given up");
        reconcile::end(self.home, *id, &outcome).await;
        if let (Some(link), Reason::Broken) = (&self.link, reason) {
            let farewell =
                waggoner_attempt::Farewell { id: *id, after: half.stored().length, kill: true };
            reconcile::farewell(self.home, link, farewell).await;
        }
        outcome
    }
}

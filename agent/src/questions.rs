//! What an attempt asks of the manager, until it is answered.
//!
//! A question is asked on the conversation that lives now, and again on the next one if the link
//! was lost in between: whoever waits for the answer does not notice.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};
use waggoner_proto::agent::v1::{Answer, FileChunk, Question, Refusal, answer, question::Ask};

/// The open questions of one attempt.
#[derive(Debug)]
pub(crate) struct Questions {
    open: Mutex<BTreeMap<u64, Open>>,
    /// The id of the last question.
    last: watch::Sender<u64>,
    room: Semaphore,
}

#[derive(Debug)]
struct Open {
    ask: Ask,
    replies: mpsc::Sender<Reply>,
}

/// One of the things that come back for a question.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The value that was asked for; the last reply.
    Value(Value),
    /// A piece of the file that was asked for.
    Piece(FileChunk),
    /// It was refused; the last reply.
    Refused(Refusal),
    /// The question was asked again: pieces that came before are void.
    Again,
}

/// The replies to one question. Dropping it takes the question back.
#[derive(Debug)]
pub(crate) struct Replies<'a> {
    questions: &'a Questions,
    id: u64,
    inbox: mpsc::Receiver<Reply>,
    _room: tokio::sync::SemaphorePermit<'a>,
}

/// How many questions of an attempt may be open; the next waits. A plugin of many threads asks in
/// turn.
const OPEN: usize = 64;

/// How many replies wait for their reader: with pieces of 256 KiB, a mebibyte.
const REPLIES: usize = 4;

// === impl Questions ===

impl Questions {
    pub(crate) fn new() -> Self {
        Self { open: Mutex::default(), last: watch::Sender::new(0), room: Semaphore::new(OPEN) }
    }

    /// Asks, and waits for a value. Cancel safe.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Value, Refusal> {
        let mut replies = self.put(ask).await;
        loop {
            match replies.next().await {
                Reply::Value(value) => return Ok(value),
                Reply::Refused(refusal) => return Err(refusal),
                Reply::Piece(_) => return Err(nonsense("a piece of a file came for a value")),
                Reply::Again => {}
            }
        }
    }

    /// Asks, and returns the replies as they come. Cancel safe.
    pub(crate) async fn put(&self, ask: Ask) -> Replies<'_> {
        let room = self.room.acquire().await.expect("the room is never closed");
        let (replies, inbox) = mpsc::channel(REPLIES);
        let mut open = self.open();
        let id = *self.last.borrow() + 1;
        open.insert(id, Open { ask, replies });
        self.last.send_replace(id);
        drop(open);
        Replies { questions: self, id, inbox, _room: room }
    }

    /// Follows the id of the last question.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Returns the first open question with an id above `after`.
    pub(crate) fn after(&self, after: u64) -> Option<Question> {
        let open = self.open();
        let (id, question) = open.range(after.checked_add(1)?..).next()?;
        Some(Question { question_id: *id, ask: Some(question.ask.clone()), ..Question::default() })
    }

    /// Tells all who wait that their questions are asked again.
    pub(crate) async fn restart(&self) {
        let waiting: Vec<_> = self.open().values().map(|open| open.replies.clone()).collect();
        for replies in waiting {
            // Whoever took the question back does not wait any more.
            drop(replies.send(Reply::Again).await);
        }
    }

    /// Hands an answer to whoever waits for it; one that nobody waits for is dropped.
    pub(crate) async fn answer(&self, answer: Answer) {
        let reply = match answer.outcome {
            Some(answer::Outcome::Json(json)) => match serde_json::from_str(&json) {
                Ok(value) => Reply::Value(value),
                Err(error) => Reply::Refused(nonsense(&format!("the answer is not JSON: {error}"))),
            },
            Some(answer::Outcome::Chunk(chunk)) => Reply::Piece(chunk),
            Some(answer::Outcome::Refusal(refusal)) => Reply::Refused(refusal),
            None => Reply::Refused(nonsense("the answer is empty")),
        };
        let replies = self.open().get(&answer.question_id).map(|open| open.replies.clone());
        if let Some(replies) = replies {
            drop(replies.send(reply).await);
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        self.open.lock().expect("nothing panics while it holds the questions")
    }
}

// === impl Replies ===

impl Replies<'_> {
    /// Returns the next reply. Cancel safe.
    pub(crate) async fn next(&mut self) -> Reply {
        self.inbox.recv().await.expect("the question holds the other end until this is dropped")
    }
}

impl Drop for Replies<'_> {
    fn drop(&mut self) {
        self.questions.open().remove(&self.id);
    }
}

/// A refusal of our own, where the manager's answer cannot be used.
pub(crate) fn nonsense(message: &str) -> Refusal {
    Refusal {
        reason: "INTERNAL".to_owned(),
        message: format!("the manager's answer cannot be used: {message}"),
        status: 500,
        error_code: "internal_server_error".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, poll};
    use serde_json::json;
    use waggoner_proto::agent::v1::EvaluateFunctions;

    use super::*;

    fn ask() -> Ask {
        Ask::EvaluateFunctions(EvaluateFunctions { payload_json: "1".to_owned() })
    }

    fn value(id: u64, json: &str) -> Answer {
        Answer { question_id: id, outcome: Some(answer::Outcome::Json(json.to_owned())) }
    }

    #[tokio::test]
    async fn an_answer_reaches_who_asked_also_when_asked_again() {
        let questions = Questions::new();
        let mut first = Box::pin(questions.ask(ask()));
        let mut second = Box::pin(questions.ask(ask()));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        assert_eq!(questions.after(0).unwrap().question_id, 1);
        assert_eq!(questions.after(1).unwrap().question_id, 2);
        questions.restart().await;
        questions.answer(value(2, "{\"two\":2}")).await;
        assert_eq!(second.await.unwrap(), json!({"two": 2}));
        assert!(questions.after(1).is_none(), "it is answered");
        assert!(poll!(&mut first).is_pending());
    }

    #[tokio::test]
    async fn a_question_that_was_taken_back_is_not_asked() {
        let questions = Questions::new();
        assert!(questions.ask(ask()).now_or_never().is_none());
        assert!(questions.after(0).is_none());
        questions.answer(value(1, "1")).await;
    }

    #[tokio::test]
    async fn an_answer_that_is_not_json_refuses() {
        let questions = Questions::new();
        let mut asked = Box::pin(questions.ask(ask()));
        assert!(poll!(&mut asked).is_pending());
        questions.answer(value(1, "{")).await;
        assert!(asked.await.unwrap_err().message.contains("is not JSON"));
    }
}

//! What an attempt asks of the manager, until it is answered.
//!
//! A question is asked on the conversation that lives now, and again on the next one if the link
//! was lost in between: whoever waits for the answer does not notice.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use waggoner_proto::agent::v1::{Answer, FileChunk, Question, Refusal, answer, question::Ask};

use crate::context::Key;

/// The open questions of one attempt.
#[derive(Debug)]
pub(crate) struct Questions {
    open: Mutex<BTreeMap<u64, Open>>,
    /// The id of the last question.
    last: AtomicU64,
    room: Semaphore,
}

#[derive(Debug)]
struct Open {
    ask: Ask,
    key: Option<Key>,
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
        Self { open: Mutex::default(), last: AtomicU64::new(0), room: Semaphore::new(OPEN) }
    }

    /// Asks, and returns the replies as they come. Cancel safe.
    pub(crate) async fn put(&self, ask: Ask, key: Option<Key>) -> Replies<'_> {
        let room = self.room.acquire().await.expect("the room is never closed");
        let (replies, inbox) = mpsc::channel(REPLIES);
        let mut open = self.open();
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        open.insert(id, Open { ask, key, replies });
        drop(open);
        Replies { questions: self, id, inbox, _room: room }
    }

    /// Returns a question, if somebody still waits for its answer.
    pub(crate) fn get(&self, id: u64) -> Option<Question> {
        let open = self.open();
        let question = open.get(&id)?;
        let key = question.key.map(|key| key.as_bytes().to_vec()).unwrap_or_default();
        Some(Question { question_id: id, ask: Some(question.ask.clone()), key })
    }

    /// Tells the one who waits that a question is asked again.
    pub(crate) async fn again(&self, id: u64) {
        let waiting = self.open().get(&id).map(|open| open.replies.clone());
        if let Some(replies) = waiting {
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
    /// The id of the question.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Waits for a value. Cancel safe.
    pub(crate) async fn value(mut self) -> Result<Value, Refusal> {
        loop {
            match self.next().await {
                Reply::Value(value) => return Ok(value),
                Reply::Refused(refusal) => return Err(refusal),
                Reply::Piece(_) => return Err(nonsense("a piece of a file came for a value")),
                Reply::Again => {}
            }
        }
    }

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

    async fn asked(questions: &Questions) -> Result<Value, Refusal> {
        questions.put(ask(), None).await.value().await
    }

    #[tokio::test]
    async fn an_answer_reaches_who_asked_also_when_asked_again() {
        let questions = Questions::new();
        let mut first = Box::pin(asked(&questions));
        let mut second = Box::pin(asked(&questions));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        assert_eq!(questions.get(2).unwrap().question_id, 2);
        questions.again(2).await;
        questions.answer(value(2, "{\"two\":2}")).await;
        assert_eq!(second.await.unwrap(), json!({"two": 2}));
        assert!(questions.get(2).is_none(), "it is answered");
        assert!(poll!(&mut first).is_pending());
    }

    #[tokio::test]
    async fn a_question_that_was_taken_back_is_not_asked() {
        let questions = Questions::new();
        assert!(asked(&questions).now_or_never().is_none());
        assert!(questions.get(1).is_none());
        questions.answer(value(1, "1")).await;
    }

    #[tokio::test]
    async fn an_answer_that_is_not_json_refuses() {
        let questions = Questions::new();
        let mut asked = Box::pin(asked(&questions));
        assert!(poll!(&mut asked).is_pending());
        questions.answer(value(1, "{")).await;
        assert!(asked.await.unwrap_err().message.contains("is not JSON"));
    }

    #[tokio::test]
    async fn a_question_with_an_effect_brings_its_key() {
        let questions = Questions::new();
        let key = Key::fresh();
        let mut asked = Box::pin(questions.put(ask(), Some(key)));
        let replies = asked.as_mut().await;
        assert_eq!(questions.get(replies.id()).unwrap().key, key.as_bytes());
    }
}

//! What is kept in the journal of an operation's command lines: what they have changed, and what
//! the last ones of them that did were answered.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::{Value, json};
use waggoner_ctx::Reply;

use crate::context::Key;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// What command lines have changed, as `Ctx::snapshot` says it.
    pub(super) snapshot: Value,
    /// Oldest first.
    replies: VecDeque<(String, Value)>,
}

/// How many answers are kept: more than an operation has command lines on their way at once.
const REPLIES: usize = 64;

// === impl Kept ===

impl Kept {
    pub(super) fn read(note: &[u8]) -> Self {
        let mut note: Value = serde_json::from_slice(note).unwrap_or_default();
        if !note.is_object() {
            return Self::default();
        }
        let snapshot = note["snapshot"].take();
        let replies = match note["replies"].take() {
            Value::Array(replies) => replies,
            _ => Vec::new(),
        };
        let replies = replies.into_iter().filter_map(|mut reply| {
            Some((reply[0].as_str()?.to_owned(), reply.get_mut(1)?.take()))
        });
        Self { snapshot, replies: replies.collect() }
    }

    pub(super) fn note(&self) -> Bytes {
        json!({ "snapshot": self.snapshot, "replies": self.replies }).to_string().into()
    }

    /// Adds an answer, if there is a change to go with it; says whether there is.
    pub(super) fn add(&mut self, snapshot: Value, key: Key, reply: &Reply) -> bool {
        if self.snapshot == snapshot {
            return false;
        }
        self.snapshot = snapshot;
        self.replies.push_back((key.to_string(), reply.to_json()));
        if self.replies.len() > REPLIES {
            self.replies.pop_front();
        }
        true
    }

    pub(super) fn reply(&self, key: Key) -> Option<Reply> {
        let key = key.to_string();
        let (_, reply) = self.replies.iter().rev().find(|(known, _)| *known == key)?;
        Reply::from_json(reply.clone()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_goes_with_a_change_is_there_in_the_next_life() {
        let (key, other) = (Key::fresh(), Key::fresh());
        let reply = Reply::Result(json!(["done", 1]));
        let mut kept = Kept::default();
        assert!(kept.add(json!({"a": 1}), key, &reply));
        assert!(!kept.add(json!({"a": 1}), other, &reply), "nothing was changed");
        let next = Kept::read(&kept.note());
        assert_eq!(next.snapshot, json!({"a": 1}));
        assert_eq!(next.reply(key), Some(reply));
        assert_eq!(next.reply(other), None);
    }

    #[test]
    fn only_so_many_answers_are_kept_and_nonsense_is_none() {
        let mut kept = Kept::default();
        let keys: Vec<_> = (0..=REPLIES).map(|_| Key::fresh()).collect();
        for (at, key) in keys.iter().enumerate() {
            assert!(kept.add(json!(at), *key, &Reply::Result(Value::Null)));
        }
        assert!(kept.reply(keys[0]).is_none() && kept.reply(keys[1]).is_some());
        assert!(Kept::read(b"{\"replies\": [1, []]}").replies.is_empty());
        assert!(Kept::read(b"[1]").replies.is_empty());
    }
}

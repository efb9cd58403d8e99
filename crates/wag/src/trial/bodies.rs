//! Bodies of requests that come in pieces.

use std::collections::HashMap;

use serde_json::{Value, json};
use waggoner_proto::agent::v1::{PutBody, Refusal};

use super::world::{invalid, unfound};

/// Bodies that no request has taken yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Bodies(HashMap<String, Vec<u8>>);

/// How much of them is held: far more than any JSON that a plugin sends.
const MOST: usize = 64 << 20;

// === impl Bodies ===

impl Bodies {
    /// Adds a piece, which may come again, and says how much there is.
    pub(super) fn put(&mut self, piece: PutBody) -> Result<Value, Refusal> {
        let PutBody { body_id, offset, data } = piece;
        let held: usize = self.0.values().map(Vec::len).sum();
        if held + data.len() > MOST {
            return Err(invalid("the bodies of requests are longer than 64 MiB"));
        }
        let body = self.0.entry(body_id).or_default();
        let at = usize::try_from(offset).ok().filter(|at| *at <= body.len());
        let at = at.ok_or_else(|| invalid("a piece of a body does not follow what is there"))?;
        body.truncate(at);
        body.extend(data);
        Ok(json!({ "size": body.len() }))
    }

    pub(super) fn take(&mut self, id: &str) -> Result<Vec<u8>, Refusal> {
        self.0.remove(id).ok_or_else(|| unfound("body", id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u64, data: &str) -> PutBody {
        PutBody { body_id: "b".to_owned(), offset, data: data.as_bytes().to_vec() }
    }

    #[test]
    fn a_piece_that_comes_again_counts_once_and_one_too_many_is_refused() {
        let mut bodies = Bodies::default();
        bodies.put(piece(0, "ab")).unwrap();
        bodies.put(piece(2, "cd")).unwrap();
        assert_eq!(bodies.put(piece(2, "cd")).unwrap()["size"], 4);
        bodies.put(piece(5, "e")).unwrap_err();
        assert_eq!(bodies.take("b").unwrap(), b"abcd");
        bodies.take("b").unwrap_err();
    }
}

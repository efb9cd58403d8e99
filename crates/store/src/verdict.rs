//! Verdicts: what was answered to questions that have an effect.
//!
//! ```text
//!  asked with a key ──▶ known? ── yes ──▶ the first verdict
//!                         │ no
//!                         ▼            one transaction
//!                    the effect, and the verdict on it
//! ```
//!
//! So whoever asks again, because a link or the manager was gone in between, has no second effect
//! and gets the first answer. An effect on something else than the store is noted as begun before:
//! who asks again knows then that what he finds may be his own doing.

use std::sync::Arc;

use rusqlite::{Connection, params};
use serde_json::Value;
use waggoner_types::AttemptId;

use crate::{
    Error, Store,
    column::{Columns as _, json_text, one, run},
    error::Stop,
    instance::{InstanceUpdate, NodeInstance, UpdateError, judge},
};

/// A question that has an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who asks: an attempt that is stored.
    pub attempt: AttemptId,
    /// The same each time that the same thing is asked.
    pub key: Vec<u8>,
}

/// What a write decides.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    asked: Asked,
    verdict: Value,
}

/// How many verdicts of an attempt are kept.
///
/// A question is asked again only while it is open, of which an agent has 64 for an attempt at the
/// most; what was decided long before them was answered.
const KEPT: u32 = 256;

// === impl Store ===

impl Store {
    /// Changes a node instance as [`Store::update_node_instance`] does, once however often it is
    /// asked. `tell` makes the verdict, which is stored with the change. Returns the first verdict.
    pub async fn update_node_instance_once(
        &self,
        asked: Asked,
        update: InstanceUpdate,
        tell: impl FnOnce(Result<&NodeInstance, &UpdateError>) -> Value + Send + 'static,
    ) -> Result<Value, Error> {
        self.write("change the node instance", move |tx| {
            if let Some(verdict) = find(tx, &asked)? {
                return Ok(verdict);
            }
            let judged = match judge(tx, update) {
                Ok(judged) => judged,
                Err(Stop::Refused(error)) => Err(error.into()),
                Err(broken @ Stop::Broken(_)) => return Err(broken),
            };
            let verdict = tell(judged.as_ref());
            put(tx, &asked, &verdict)?;
            Ok(verdict)
        })
        .await
    }

    /// Returns a handle whose one write is the effect of a question: the verdict on it is stored in
    /// the same transaction, and where there is one already, nothing is written and the error is
    /// [`Error::Decided`].
    #[must_use]
    pub fn deciding(&self, asked: Asked, verdict: Value) -> Self {
        let inner = Arc::clone(&self.inner);
        Self { inner, decides: Some(Arc::new(Decision { asked, verdict })) }
    }

    /// Notes that an effect is tried that is none on the store. Its verdict is null until
    /// [`Store::add_verdict`].
    pub async fn begin_effect(&self, asked: Asked) -> Result<(), Error> {
        self.write("note that an effect is tried", move |tx| match find(tx, &asked)? {
            Some(_) => Ok(()),
            None => Ok(put(tx, &asked, &Value::Null)?),
        })
        .await
    }

    /// Returns the verdict on a question that was asked before; null where its effect was tried
    /// and nothing else is known.
    pub async fn verdict(&self, asked: Asked) -> Result<Option<Value>, Error> {
        self.read("read a verdict", move |connection| Ok(find(connection, &asked)?)).await
    }

    /// Stores the verdict on a question, unless there is one. Returns the first verdict.
    pub async fn add_verdict(&self, asked: Asked, verdict: Value) -> Result<Value, Error> {
        self.write("store a verdict", move |tx| {
            if let Some(verdict) = decided(tx, &asked)? {
                return Ok(verdict);
            }
            put(tx, &asked, &verdict)?;
            Ok(verdict)
        })
        .await
    }
}

/// Lets a write have its effect, and stores the verdict on it, unless there is one.
pub(crate) fn decide<T>(
    connection: &Connection,
    decision: &Decision,
    effect: impl FnOnce() -> Result<T, Stop>,
) -> Result<T, Stop> {
    let Decision { asked, verdict } = decision;
    if decided(connection, asked)?.is_some() {
        return Err(Error::Decided.into());
    }
    let done = effect()?;
    put(connection, asked, verdict)?;
    Ok(done)
}

/// Lets a write have its effect, which makes the verdict, unless there is one.
pub(crate) fn decide_once(
    connection: &Connection,
    asked: Option<&Asked>,
    effect: impl FnOnce() -> Result<Value, Stop>,
) -> Result<Value, Stop> {
    let Some(asked) = asked else { return effect() };
    if let Some(verdict) = decided(connection, asked)? {
        return Ok(verdict);
    }
    let verdict = effect()?;
    put(connection, asked, &verdict)?;
    Ok(verdict)
}

/// Forgets the verdicts of an attempt that has ended.
pub(crate) fn forget(connection: &Connection, attempt: AttemptId) -> rusqlite::Result<()> {
    let statement = "DELETE FROM verdicts WHERE attempt = ?1";
    run(connection, statement, [attempt.to_string()]).map(drop)
}

fn find(connection: &Connection, asked: &Asked) -> rusqlite::Result<Option<Value>> {
    let query = "SELECT verdict FROM verdicts WHERE attempt = ?1 AND key = ?2";
    let key = params![asked.attempt.to_string(), asked.key];
    one(connection, query, key, |row| row.json("verdict"))
}

fn decided(connection: &Connection, asked: &Asked) -> rusqlite::Result<Option<Value>> {
    Ok(find(connection, asked)?.filter(|verdict| !verdict.is_null()))
}

fn put(connection: &Connection, asked: &Asked, verdict: &Value) -> rusqlite::Result<()> {
    let attempt = asked.attempt.to_string();
    let statement = "INSERT INTO verdicts (attempt, key, verdict) VALUES (?1, ?2, ?3)
                     ON CONFLICT (attempt, key) DO UPDATE SET verdict = excluded.verdict";
    run(connection, statement, params![attempt, asked.key, json_text(verdict)])?;
    let statement = "DELETE FROM verdicts WHERE attempt = ?1 AND id <=
        (SELECT id FROM verdicts WHERE attempt = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    run(connection, statement, params![attempt, KEPT]).map(drop)
}

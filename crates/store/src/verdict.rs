//! Verdicts: what was answered to questions that have an effect.
//!
//! ```text
//!  asked with a key ──▶ known? ── yes ──▶ the first verdict
//!                         │ no
//!                         ▼            one transaction
//!                    the effect, and the verdict on it
//! ```

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
            insert(tx, &asked, &verdict)?;
            Ok(verdict)
        })
        .await
    }

    /// Returns the verdict on a question that was asked before.
    pub async fn verdict(&self, asked: Asked) -> Result<Option<Value>, Error> {
        self.read("read a verdict", move |connection| Ok(find(connection, &asked)?)).await
    }

    /// Stores the verdict on a question whose effect may be repeated, unless there is one. Returns
    /// the first verdict.
    pub async fn add_verdict(&self, asked: Asked, verdict: Value) -> Result<Value, Error> {
        self.write("store a verdict", move |tx| {
            if let Some(verdict) = find(tx, &asked)? {
                return Ok(verdict);
            }
            insert(tx, &asked, &verdict)?;
            Ok(verdict)
        })
        .await
    }
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

fn insert(connection: &Connection, asked: &Asked, verdict: &Value) -> rusqlite::Result<()> {
    let attempt = asked.attempt.to_string();
    let statement = "INSERT INTO verdicts (attempt, key, verdict) VALUES (?1, ?2, ?3)";
    run(connection, statement, params![attempt, asked.key, json_text(verdict)])?;
    let statement = "DELETE FROM verdicts WHERE attempt = ?1 AND id <=
        (SELECT id FROM verdicts WHERE attempt = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    run(connection, statement, params![attempt, KEPT]).map(drop)
}

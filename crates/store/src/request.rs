//! Request ids: a request that is sent again gets the answer of the first time.
//!
//! ```text
//!  claim ─▶ Fresh ─▶ do it ─┬─ it was done ──▶ answer_request ─▶ remembered for a day
//!    │                      └─ it was refused ▶ forget_request ─▶ as if never asked
//!    ├───▶ Answered: give the answer again
//!    └───▶ Running: the first one is still being worked on
//! ```
//!
//! What was claimed and not answered when the manager ended is forgotten at its next start.

use jiff::Timestamp;
use rusqlite::{Row, params};
use uuid::Uuid;
use waggoner_types::{Digest, TenantName};

use crate::{
    Error, Store,
    column::{Columns as _, micros, one, run},
    tenant,
};

/// What identifies a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The tenant it acts in.
    pub tenant: TenantName,
    /// The id that its sender gave it.
    pub id: Uuid,
    /// The full name of the method.
    pub method: String,
    /// The SHA-256 of its body.
    pub digest: Digest,
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is new, and the caller's to work on.
    Fresh,
    /// It was answered before.
    Answered(Vec<u8>),
    /// Somebody works on it.
    Running,
}

/// How long an answer is kept, in microseconds: a day.
const KEPT: i64 = 24 * 60 * 60 * 1_000_000;

// === impl Store ===

impl Store {
    /// Takes a request to work on, or finds out what became of it. The id of a different request
    /// is refused.
    pub async fn claim_request(&self, request: Request, now: Timestamp) -> Result<Claimed, Error> {
        self.write("look up the request id", move |tx| {
            tenant::require(tx, &request.tenant)?;
            let forgotten = "DELETE FROM requests WHERE asked_at < ?1 AND answer IS NOT NULL";
            run(tx, forgotten, [micros(now) - KEPT])?;

            let query = "SELECT * FROM requests WHERE tenant = ?1 AND id = ?2";
            let key = params![request.tenant.as_str(), request.id.to_string()];
            let known = one(tx, query, key, |row| {
                Ok((is_same(row, &request)?, row.get::<_, Option<Vec<u8>>>("answer")?))
            })?;
            match known {
                Some((false, _)) => Err(Error::RequestReused { id: request.id }.into()),
                Some((true, Some(answer))) => Ok(Claimed::Answered(answer)),
                Some((true, None)) => Ok(Claimed::Running),
                None => {
                    run(
                        tx,
                        "INSERT INTO requests (tenant, id, method, digest, asked_at)
                         VALUES (?1, ?2, ?3, ?4, ?5)",
                        params![
                            request.tenant.as_str(),
                            request.id.to_string(),
                            request.method,
                            request.digest.0,
                            micros(now),
                        ],
                    )?;
                    Ok(Claimed::Fresh)
                }
            }
        })
        .await
    }

    /// Remembers the answer of a request that was claimed.
    pub async fn answer_request(
        &self,
        tenant: TenantName,
        id: Uuid,
        answer: Vec<u8>,
    ) -> Result<(), Error> {
        self.write("remember the answer", move |tx| {
            let statement = "UPDATE requests SET answer = ?3 WHERE tenant = ?1 AND id = ?2";
            run(tx, statement, params![tenant.as_str(), id.to_string(), answer])?;
            Ok(())
        })
        .await
    }

    /// Forgets a request that was claimed and changed nothing.
    pub async fn forget_request(&self, tenant: TenantName, id: Uuid) -> Result<(), Error> {
        self.write("forget the request id", move |tx| {
            let statement = "DELETE FROM requests WHERE tenant = ?1 AND id = ?2 AND answer IS NULL";
            run(tx, statement, params![tenant.as_str(), id.to_string()])?;
            Ok(())
        })
        .await
    }
}

fn is_same(row: &Row<'_>, request: &Request) -> rusqlite::Result<bool> {
    let method: String = row.get("method")?;
    Ok(method == request.method && row.digest("digest")? == request.digest)
}

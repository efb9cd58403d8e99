//! Join tokens: with each of them one agent may join, once. Only their hashes are stored.

use jiff::Timestamp;
use rusqlite::{Row, params};
use waggoner_types::{AgentName, AgentRole, Digest, TenantName};

use crate::{
    Error, Kind, Store, Thing,
    agent::{self, Agent},
    column::{Columns as _, OrExists as _, micros, one, run},
    tenant,
};

/// A join token, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    /// The SHA-256 of its value.
    pub hash: Digest,
    pub tenant: TenantName,
    /// The only name that it is good for; absent leaves it to the agent.
    pub agent: Option<AgentName>,
    pub role: AgentRole,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub used: Option<Use>,
}

/// Who used a join token, and what was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub at: Timestamp,
    pub agent: AgentName,
    /// The SHA-256 of the public key that the certificate is for.
    pub key_hash: Digest,
    /// The certificate chain that was issued, leaf first, PEM.
    pub certificate: String,
}

/// What the caller made of a join token.
#[derive(Clone, Debug)]
pub enum Claim<T> {
    /// Nothing changes: the token was refused, or its answer is given again.
    Leave(T),
    /// The token is used up and the agent is stored, over one of the same name; both or neither.
    Grant { used: Use, agent: Box<Agent>, answer: T },
}

// === impl Store ===

impl Store {
    /// Stores a join token. Those that have expired a day ago are forgotten.
    pub async fn create_join_token(&self, token: JoinToken) -> Result<(), Error> {
        const REMEMBERED: i64 = 24 * 60 * 60 * 1_000_000;

        self.write("store the join token", move |tx| {
            tenant::require(tx, &token.tenant)?;
            let forgotten = micros(token.created_at) - REMEMBERED;
            run(tx, "DELETE FROM join_tokens WHERE expires_at < ?1", [forgotten])?;
            run(
                tx,
                "INSERT INTO join_tokens (hash, tenant, agent, role, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    token.hash.0,
                    token.tenant.as_str(),
                    token.agent.as_ref().map(AgentName::as_str),
                    token.role.as_str(),
                    micros(token.created_at),
                    micros(token.expires_at),
                ],
            )
            .or_exists(|| Thing::new(Kind::JoinToken, token.hash))?;
            Ok(())
        })
        .await
    }

    /// Lets `decide` judge a join token and stores what it decides, in one transaction.
    ///
    /// `decide` gets the token of that hash, if there is one, and the agent that is there already
    /// under the name the token is good for, or else under `asked`. It runs on the writer's
    /// thread: it may sign a certificate, and must not wait for anything.
    pub async fn claim_join_token<T, F>(
        &self,
        hash: Digest,
        asked: Option<AgentName>,
        decide: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(Option<&JoinToken>, Option<&Agent>) -> Claim<T> + Send + 'static,
    {
        self.write("claim the join token", move |tx| {
            let query = "SELECT * FROM join_tokens WHERE hash = ?1";
            let token = one(tx, query, [hash.0], join_token)?;
            let present = match &token {
                Some(token) => match token.agent.as_ref().or(asked.as_ref()) {
                    Some(name) => agent::find(tx, &token.tenant, name)?,
                    None => None,
                },
                None => None,
            };
            match decide(token.as_ref(), present.as_ref()) {
                Claim::Leave(answer) => Ok(answer),
                Claim::Grant { used, agent, answer } => {
                    let statement = "UPDATE join_tokens SET used_at = ?2, used_by = ?3,
                                     used_key = ?4, used_certificate = ?5 WHERE hash = ?1";
                    let at = micros(used.at);
                    let (by, key) = (used.agent.as_str(), used.key_hash.0);
                    run(tx, statement, params![hash.0, at, by, key, used.certificate])?;
                    agent::replace(tx, &agent)?;
                    Ok(answer)
                }
            }
        })
        .await
    }
}

fn join_token(row: &Row<'_>) -> rusqlite::Result<JoinToken> {
    let used = match row.maybe_time("used_at")? {
        Some(at) => Some(Use {
            at,
            agent: row.text("used_by")?,
            key_hash: row.digest("used_key")?,
            certificate: row.get("used_certificate")?,
        }),
        None => None,
    };
    Ok(JoinToken {
        hash: row.digest("hash")?,
        tenant: row.text("tenant")?,
        agent: row.maybe_text("agent")?,
        role: row.text("role")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        used,
    })
}

//! Whether a join token gets an agent a certificate, as a pure function.
//!
//! ```text
//!  token              request            decision
//!  unknown            any                refuse
//!  unused, alive      a name that fits   issue, and bind the token to this key
//!  used, alive        the same key       repeat the same certificate: an answer may get lost
//!  used               another key        refuse, and raise an alarm: somebody else has the token
//!  expired            any other          refuse
//! ```
//!
//! The caller stores the outcome of [`Decision::Issue`] in the transaction in which it has read the
//! row, so that two requests at once cannot both be the first.

use jiff::Timestamp;
use waggoner_types::{AgentName, TenantName};

use crate::KeyHash;

/// What is stored of a join token, beside the hash by which it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The tenant that the agent will belong to.
    pub tenant: TenantName,
    /// The only name that the token is good for. `None` leaves it to the agent.
    pub name: Option<AgentName>,
    pub expires: Timestamp,
    pub used: Option<Use>,
}

/// How a join token was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub key: KeyHash,
    pub name: AgentName,
    /// The answer: the chain as PEM.
    pub certificate: String,
}

/// What an agent asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The key that the certificate is to be for.
    pub key: KeyHash,
    /// The name that the agent would have. `None` leaves it to the token.
    pub name: Option<AgentName>,
}

/// What to do about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Issue a certificate for this agent, and store that the key has used the token.
    Issue {
        tenant: TenantName,
        name: AgentName,
    },
    /// Answer with the certificate of before, PEM.
    Repeat {
        tenant: TenantName,
        name: AgentName,
        certificate: String,
    },
    Refuse(Refusal),
}

/// Why a request gets no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the join token is not known to this manager: make one with `wag agents token create`")]
    Unknown,
    #[error("the join token expired at {0}: make a new one with `wag agents token create`")]
    Expired(Timestamp),
    #[error(
        "the join token was used before, with another key: if that was not you, remove the agent \
         that joined with it; make a new token with `wag agents token create`"
    )]
    UsedByAnotherKey,
    #[error("the join token is for an agent named `{allowed}`, not `{asked}`")]
    NameMismatch { allowed: AgentName, asked: AgentName },
    #[error("neither the join token nor the agent says how the agent is named: give it a name")]
    NameMissing,
}

// === impl Refusal ===

impl Refusal {
    /// Returns the stable word for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "TOKEN_UNKNOWN",
            Self::Expired(_) => "TOKEN_EXPIRED",
            Self::UsedByAnotherKey => "TOKEN_USED",
            Self::NameMismatch { .. } => "NAME_MISMATCH",
            Self::NameMissing => "NAME_MISSING",
        }
    }

    /// Says whether somebody may have got hold of a token that is not theirs.
    pub fn is_alarm(&self) -> bool {
        matches!(self, Self::UsedByAnotherKey)
    }
}

/// Decides about a request. `row` is what is stored under the hash of the token it came with.
pub fn decide(row: Option<&Row>, request: &Request, now: Timestamp) -> Decision {
    let Some(row) = row else { return Decision::Refuse(Refusal::Unknown) };
    // Before the expiry: a thief who comes late is still a thief.
    if row.used.as_ref().is_some_and(|used| used.key != request.key) {
        return Decision::Refuse(Refusal::UsedByAnotherKey);
    }
    if row.expires <= now {
        return Decision::Refuse(Refusal::Expired(row.expires));
    }
    let fixed = row.used.as_ref().map(|used| &used.name).or(row.name.as_ref());
    let name = match (fixed, &request.name) {
        (Some(allowed), Some(asked)) if allowed != asked => {
            let (allowed, asked) = (allowed.clone(), asked.clone());
            return Decision::Refuse(Refusal::NameMismatch { allowed, asked });
        }
        (Some(name), _) | (None, Some(name)) => name.clone(),
        (None, None) => return Decision::Refuse(Refusal::NameMissing),
    };
    let tenant = row.tenant.clone();
    match &row.used {
        None => Decision::Issue { tenant, name },
        Some(used) => Decision::Repeat { tenant, name, certificate: used.certificate.clone() },
    }
}

#[cfg(test)]
mod tests;

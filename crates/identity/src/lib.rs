//! Who is who: the CA, certificates, SPIFFE names, tokens and rustls settings.
//!
//! ```text
//!  manager                                             agent
//!  Ca ── issue_manager ─▶ Identity                     Key ── request ─▶ Csr ──┐
//!   │                        │                                                 │
//!   │   JoinToken (secret, pin of the CA) ───── by a person's hand ─────▶      │
//!   │                        │                                                 │
//!   │◀───────────── enrolment::decide(token, key, name) ◀──────────────────────┘
//!   └── issue_agent ─▶ Chain ─────────────────────────▶ Identity ─▶ Credentials ─▶ tls::…
//! ```
//!
//! - TLS 1.3 only, and no session is ever resumed: resuming skips the verification of certificates,
//!   so that a removed agent would get in again.
//! - A peer is who the SPIFFE URI in its certificate says, never who it says it is.
//! - Every certificate is good for both ends of a connection, since either end may dial.
//!
//! This crate opens no socket and reads no clock: time comes in as an argument, or is rustls' own
//! when it verifies.

mod ca;
mod certificate;
mod credentials;
pub mod enrolment;
mod files;
mod hash;
mod identity;
mod key;
mod pem;
mod refusal;
mod spiffe;
pub mod tls;
mod token;
mod verifier;

pub use self::{
    ca::{Ca, CaError, IssueError, Validity},
    certificate::{BadCertificate, CaCertificate, Chain},
    credentials::Credentials,
    hash::{CaPin, KeyHash, TokenHash},
    identity::{Identity, IdentityError},
    key::{BadRequest, Csr, Key, KeyError},
    refusal::refusal,
    spiffe::{InvalidSpiffeId, SpiffeId, TrustDomain, Who},
    token::{ApiToken, InvalidToken, JoinToken},
    verifier::WrongPeer,
};

//! Why the supervisor does not do what it is asked.

use std::error::Error as _;

use waggoner_journal::Refused as Unwritten;
use waggoner_proto::supervisor::v1 as pb;

/// The supervisor's no. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub refusal: Refusal,
    /// The sentence for people.
    pub message: String,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The attempt is not known.
    Unknown,
    /// The attempt is known already.
    Known { epoch: u64 },
    /// A newer attempt at the same is known.
    StaleEpoch { newest: u64 },
    /// The attempt has ended.
    Ended,
    /// The attempt, or all attempts together, hold as much as they may until some is acknowledged.
    OverQuota,
    /// The disk is full.
    Full,
    /// The disk has failed.
    Io,
    /// The program did not start; nothing runs.
    NotStarted,
    /// The attempt was cancelled.
    Cancelled,
    /// The attempt's process ran, or may have run, and is not started again.
    Spent,
    /// The supervisor is about to end.
    Leaving,
    /// The request makes no sense.
    Invalid,
    /// There is no version of the protocol that both speak.
    Protocol,
}

// === impl Refused ===

impl Refused {
    pub(crate) fn new(refusal: Refusal, message: impl Into<String>) -> Self {
        Self { refusal, message: message.into() }
    }

    pub(crate) fn invalid(message: impl std::fmt::Display) -> Self {
        Self::new(Refusal::Invalid, format!("the request makes no sense: {message}"))
    }

    pub(crate) fn into_message(self) -> pb::Refused {
        let epoch = match self.refusal {
            Refusal::Known { epoch } | Refusal::StaleEpoch { newest: epoch } => epoch,
            _ => 0,
        };
        let refusal = match self.refusal {
            Refusal::Unknown => pb::Refusal::Unknown,
            Refusal::Known { .. } => pb::Refusal::Known,
            Refusal::StaleEpoch { .. } => pb::Refusal::StaleEpoch,
            Refusal::Ended => pb::Refusal::Ended,
            Refusal::OverQuota => pb::Refusal::OverQuota,
            Refusal::Full => pb::Refusal::Full,
            Refusal::Io => pb::Refusal::Io,
            Refusal::NotStarted => pb::Refusal::NotStarted,
            Refusal::Cancelled => pb::Refusal::Cancelled,
            Refusal::Spent => pb::Refusal::Spent,
            Refusal::Leaving => pb::Refusal::Leaving,
            Refusal::Invalid => pb::Refusal::Invalid,
            Refusal::Protocol => pb::Refusal::Protocol,
        };
        pb::Refused { refusal: refusal.into(), message: self.message, epoch }
    }

    /// A word that this side does not know is a newer supervisor's: its sentence still tells.
    pub(crate) fn from_message(message: pb::Refused) -> Self {
        let pb::Refused { refusal, message, epoch } = message;
        let refusal = match pb::Refusal::try_from(refusal) {
            Ok(pb::Refusal::Unknown) => Refusal::Unknown,
            Ok(pb::Refusal::Known) => Refusal::Known { epoch },
            Ok(pb::Refusal::StaleEpoch) => Refusal::StaleEpoch { newest: epoch },
            Ok(pb::Refusal::Ended) => Refusal::Ended,
            Ok(pb::Refusal::OverQuota) => Refusal::OverQuota,
            Ok(pb::Refusal::Full) => Refusal::Full,
            Ok(pb::Refusal::Io) => Refusal::Io,
            Ok(pb::Refusal::NotStarted) => Refusal::NotStarted,
            Ok(pb::Refusal::Cancelled) => Refusal::Cancelled,
            Ok(pb::Refusal::Spent) => Refusal::Spent,
            Ok(pb::Refusal::Leaving) => Refusal::Leaving,
            Ok(pb::Refusal::Protocol) => Refusal::Protocol,
            Ok(pb::Refusal::Invalid | pb::Refusal::Unspecified) | Err(_) => Refusal::Invalid,
        };
        Self { refusal, message }
    }
}

impl From<Unwritten> for Refused {
    fn from(unwritten: Unwritten) -> Self {
        let refusal = match &unwritten {
            Unwritten::Unknown => Refusal::Unknown,
            Unwritten::Known { epoch } => Refusal::Known { epoch: *epoch },
            Unwritten::StaleEpoch { newest } => Refusal::StaleEpoch { newest: *newest },
            Unwritten::Ended(_) => Refusal::Ended,
            Unwritten::OverQuota => Refusal::OverQuota,
            Unwritten::Full => Refusal::Full,
            Unwritten::TooLarge { .. } => Refusal::Invalid,
            Unwritten::Io(_) | Unwritten::Stopped => Refusal::Io,
        };
        let source = unwritten.source().map(|source| format!(": {source}")).unwrap_or_default();
        Self::new(refusal, format!("{unwritten}{source}"))
    }
}

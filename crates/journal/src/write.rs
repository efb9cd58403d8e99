//! What is asked of the journal, and what it answers.

use std::{collections::BTreeMap, io, ops::RangeInclusive, sync::Arc};

use bytes::Bytes;
use waggoner_types::AttemptId;

/// One thing to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Begins an attempt. `note` becomes its note in slot 0.
    Open { attempt: AttemptId, epoch: u64, note: Bytes },
    /// Private state of who writes. It has no sequence; the last note of each slot stands.
    Note { attempt: AttemptId, slot: u8, bytes: Bytes },
    /// The next record.
    Record { attempt: AttemptId, class: Class, bytes: Bytes },
    /// The outcome: the last record.
    End { attempt: AttemptId, bytes: Bytes },
    /// Records up to this sequence are not needed any more. What lies behind the last one counts
    /// as the last one.
    Ack { attempt: AttemptId, upto: u64 },
}

/// What becomes of a record when there is little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Refused at the quota, and on a full disk.
    Log,
    /// Fits a little longer: into an eighth above the quota, and into half of the reserve.
    Kept,
}

/// Where the records of the attempt stand after the write: the sequence and the digest of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub sequence: u64,
    /// `chain_n = xxh3_64(record_n, seed = chain_{n-1})`, and `chain_0 = 0`.
    pub chain: u64,
}

/// Why something was not written. Nothing of it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    #[error("the attempt is not in the journal")]
    Unknown,
    #[error("the attempt has been opened before, with epoch {epoch}")]
    Known { epoch: u64 },
    #[error("the attempt is known with a newer epoch, {newest}")]
    StaleEpoch { newest: u64 },
    #[error("the attempt has ended with record {}", .0.sequence)]
    Ended(Written),
    #[error("too many bytes wait for an acknowledgement")]
    OverQuota,
    #[error("the disk of the journal is full")]
    Full,
    #[error("{size} bytes are more than a record may have")]
    TooLarge { size: usize },
    #[error("failed to write the journal")]
    Io(#[source] Arc<io::Error>),
    #[error("the journal's writer has ended")]
    Stopped,
}

/// What the journal knows of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    pub attempt: AttemptId,
    pub epoch: u64,
    pub notes: BTreeMap<u8, Bytes>,
    /// The sequence of the last record; 0 if there is none.
    pub last: u64,
    /// The digest of the last record.
    pub chain: u64,
    /// Up to here the records are not needed any more.
    pub acked: u64,
    /// The last record is the outcome.
    pub ended: bool,
    /// Ended and acknowledged: only the fact is left.
    pub tombstone: bool,
    /// Records that are needed and cannot be read any more.
    pub lost: Vec<RangeInclusive<u64>>,
}

// === impl Write ===

impl Write {
    pub fn attempt(&self) -> AttemptId {
        match self {
            Self::Open { attempt, .. }
            | Self::Note { attempt, .. }
            | Self::Record { attempt, .. }
            | Self::End { attempt, .. }
            | Self::Ack { attempt, .. } => *attempt,
        }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        match self {
            Self::Open { note: bytes, .. }
            | Self::Note { bytes, .. }
            | Self::Record { bytes, .. }
            | Self::End { bytes, .. } => bytes,
            Self::Ack { .. } => &[],
        }
    }
}

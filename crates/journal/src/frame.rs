//! The bytes of a segment: its prefix, and the frames behind it.
//!
//! ```text
//!  segment   prefix │ frame │ frame │ … │ zeros, allocated ahead
//!  prefix    2 × { magic, number, nonce, check }           a flipped bit spoils one copy
//!  frame     check, length, synced, kind, slot, attempt, epoch, number, before, chain, extra │ payload
//! ```
//!
//! All numbers are little-endian, and everything begins at a multiple of 8. `check` covers the rest
//! of the header, seeded with the segment's nonce and the frame's offset: bytes that only look like
//! a frame (an operation may print anything) are not taken for one. `chain` covers the payload,
//! seeded with `before`.

use uuid::Uuid;
use waggoner_types::AttemptId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a frame says, without its payload.
///
/// | kind | `number` | `before` | `chain` | `extra` |
/// | --- | --- | --- | --- | --- |
/// | open, note | 0 | 0 | digest of the payload | 0 |
/// | record, end | sequence | digest of the record before | digest of the record | 0 |
/// | ack | what it reaches | the last sequence | the last record's digest | 0 |
/// | tombstone | the last sequence | seconds since 1970 | the last record's digest | its first segment |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// The slot of a note; 0 elsewhere.
    pub(crate) slot: u8,
    pub(crate) attempt: AttemptId,
    pub(crate) epoch: u64,
    pub(crate) number: u64,
    pub(crate) before: u64,
    pub(crate) chain: u64,
    pub(crate) extra: u64,
    /// The bytes of the payload.
    pub(crate) length: u32,
    /// Up to where the segment was on the disk when the frame was written.
    pub(crate) synced: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Open = 1,
    Note = 2,
    Record = 3,
    End = 4,
    Ack = 5,
    Tombstone = 6,
}

/// The bytes of a header.
pub(crate) const HEADER: usize = 80;

/// The bytes of a segment's prefix.
pub(crate) const PREFIX: usize = 2 * COPY;

/// The longest payload.
pub(crate) const MOST: usize = 16 << 20;

const COPY: usize = 32;
const MAGIC: [u8; 8] = *b"waggonj1";

// === impl Header ===

impl Header {
    /// Where the frame after this one begins, which begins at `offset`.
    pub(crate) fn end(&self, offset: u64) -> u64 {
        offset + size(self.length as usize)
    }

    /// Says whether this is the payload that was written with the header.
    pub(crate) fn fits(&self, payload: &[u8]) -> bool {
        match self.kind {
            Kind::Open | Kind::Note | Kind::Record | Kind::End => {
                digest(payload, self.before) == self.chain
            }
            Kind::Ack | Kind::Tombstone => true,
        }
    }

    pub(crate) fn encode(&self, seed: u64, into: &mut Vec<u8>) {
        let start = into.len();
        into.extend([0; 8]);
        into.extend(self.length.to_le_bytes());
        into.extend(self.synced.to_le_bytes());
        into.extend([self.kind as u8, self.slot, 0, 0, 0, 0, 0, 0]);
        into.extend(self.attempt.0.as_bytes());
        for number in [self.epoch, self.number, self.before, self.chain, self.extra] {
            into.extend(number.to_le_bytes());
        }
        let check = digest(&into[start + 8..], seed);
        into[start..start + 8].copy_from_slice(&check.to_le_bytes());
    }

    /// `None` for what is no header: zeros, or spoilt.
    pub(crate) fn decode(bytes: &[u8; HEADER], seed: u64) -> Option<Self> {
        let kind = Kind::from_byte(bytes[16])?;
        let length = u32::try_from(number(bytes, 8) & 0xffff_ffff).ok()?;
        if length as usize > MOST || digest(&bytes[8..], seed) != number(bytes, 0) {
            return None;
        }
        Some(Self {
            kind,
            slot: bytes[17],
            attempt: AttemptId(Uuid::from_slice(&bytes[24..40]).ok()?),
            epoch: number(bytes, 40),
            number: number(bytes, 48),
            before: number(bytes, 56),
            chain: number(bytes, 64),
            extra: number(bytes, 72),
            length,
            synced: u32::try_from(number(bytes, 8) >> 32).ok()?,
        })
    }
}

// === impl Kind ===

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Open, Self::Note, Self::Record, Self::End, Self::Ack, Self::Tombstone]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// The digest of a payload that follows what has the digest `before`.
pub(crate) fn digest(payload: &[u8], before: u64) -> u64 {
    xxh3_64_with_seed(payload, before)
}

/// The bytes a frame takes, with what aligns the next one.
pub(crate) fn size(payload: usize) -> u64 {
    (HEADER + payload.next_multiple_of(8)) as u64
}

/// What seeds the check of a header.
pub(crate) fn seed(nonce: u64, offset: u64) -> u64 {
    nonce ^ offset
}

/// The prefix of a segment.
pub(crate) fn prefix(segment: u64, nonce: u64) -> [u8; PREFIX] {
    let mut copy = [0; COPY];
    copy[..8].copy_from_slice(&MAGIC);
    copy[8..16].copy_from_slice(&segment.to_le_bytes());
    copy[16..24].copy_from_slice(&nonce.to_le_bytes());
    let check = digest(&copy[..24], 0);
    copy[24..].copy_from_slice(&check.to_le_bytes());
    let mut prefix = [0; PREFIX];
    prefix[..COPY].copy_from_slice(&copy);
    prefix[COPY..].copy_from_slice(&copy);
    prefix
}

/// The nonce of a segment, if one copy of its prefix is whole.
pub(crate) fn nonce(bytes: &[u8; PREFIX], segment: u64) -> Option<u64> {
    let whole = |copy: &&[u8]| {
        copy[..8] == MAGIC
            && number(copy, 8) == segment
            && digest(&copy[..24], 0) == number(copy, 24)
    };
    bytes.chunks_exact(COPY).find(whole).map(|copy| number(copy, 16))
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes[at..at + 8].try_into().expect("eight bytes are eight bytes");
    u64::from_le_bytes(bytes)
}

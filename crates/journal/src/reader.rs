//! Reads the files while another process writes them.

use std::{io, ops::RangeInclusive};

use bytes::Bytes;
use camino::Utf8Path;
use fs_err as fs;
use waggoner_types::AttemptId;

use crate::{
    Place,
    frame::{HEAD, Kind},
    journal::walk,
};

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub sequence: u64,
    pub chain: u64,
    pub bytes: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk has spoilt records: the next that can be read follows them.
    #[error("records {} to {} cannot be read any more", .0.start(), .0.end())]
    Lost(RangeInclusive<u64>),
    #[error("failed to read the journal")]
    Io(#[from] io::Error),
}

/// A view of a journal's directory, up to the place it was told.
#[derive(Debug)]
pub struct Reader {
    file: fs::File,
    place: Place,
}

// === impl Reader ===

impl Reader {
    pub fn open(directory: &Utf8Path) -> io::Result<Self> {
        let file = fs::File::open(directory.join(format!("{:016x}.seg", 1)))?;
        Ok(Self { file, place: Place::default() })
    }

    /// Learns what was written up to `upto`, which the writer has named.
    pub fn advance(&mut self, upto: Place) -> io::Result<()> {
        self.place = self.place.max(upto);
        Ok(())
    }

    /// The records after `after`, without a hole: at least one if there is one, then as many as fit
    /// into `most_bytes`.
    pub fn read(
        &mut self,
        attempt: AttemptId,
        after: u64,
        most_bytes: usize,
    ) -> Result<Vec<Stored>, ReadError> {
        let mut records: Vec<Stored> = vec![];
        let mut room = most_bytes;
        walk(&mut self.file, self.place.offset, |head, payload| {
            let next = after + records.len() as u64 + 1;
            let record = matches!(head.kind, Kind::Record | Kind::End);
            if !record || head.attempt != attempt || head.number != next {
                return;
            }
            let cost = HEAD + payload.len();
            if records.is_empty() || cost <= room {
                room = room.saturating_sub(cost);
                records.push(Stored {
                    sequence: head.number,
                    chain: head.chain,
                    bytes: Bytes::copy_from_slice(payload),
                });
            } else {
                room = 0;
            }
        })?;
        Ok(records)
    }

    /// Forgets what it knows of the attempt's records up to `upto`: they will not be read again.
    pub fn acked(&mut self, _attempt: AttemptId, _upto: u64) {}
}

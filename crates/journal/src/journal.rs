//! The journal itself: decides, appends, recovers.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Seek as _, SeekFrom, Write as _},
    sync::Arc,
};

use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::{self as fs, os::unix::fs::FileExt as _};
use waggoner_types::AttemptId;

use crate::{
    Recovered, Refused, Settings, Write, Written,
    frame::{self, HEAD, Head, Kind, PREFIX},
};

/// The end of what is readable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub segment: u64,
    pub offset: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another process writes the journal `{directory}`")]
    InUse { directory: Utf8PathBuf },
    #[error("failed to open the journal `{directory}`")]
    Io {
        directory: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The only writer of a directory.
#[derive(Debug)]
pub struct Journal {
    file: fs::File,
    offset: u64,
    nonce: u64,
    attempts: HashMap<AttemptId, Recovered>,
}

// === impl Journal ===

impl Journal {
    pub fn open(
        directory: &Utf8Path,
        _settings: Settings,
    ) -> Result<(Self, Vec<Recovered>), OpenError> {
        let failed = |source| OpenError::Io { directory: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        let journal = Self::recover(directory).map_err(failed)?;
        let recovered = journal.snapshot().map_err(failed)?;
        Ok((journal, recovered))
    }

    fn recover(directory: &Utf8Path) -> io::Result<Self> {
        let path = directory.join(format!("{:016x}.seg", 1));
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        if file.metadata()?.len() < PREFIX as u64 {
            let nonce = uuid::Uuid::new_v4().as_u64_pair().0;
            file.write_all(&frame::prefix(1, nonce))?;
            file.sync_data()?;
        }
        let mut attempts = HashMap::new();
        let (nonce, offset) = walk(&mut file, u64::MAX, |head, payload| {
            note(&mut attempts, &head, payload);
        })?;
        file.set_len(offset)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file, offset, nonce, attempts })
    }

    /// Appends what it does not refuse; an answer for each write. Not durable yet.
    pub fn apply(&mut self, writes: Vec<Write>) -> Vec<Result<Written, Refused>> {
        writes.into_iter().map(|write| self.write(&write)).collect()
    }

    /// Makes what was applied durable.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub fn place(&self) -> Place {
        Place { segment: 1, offset: self.offset }
    }

    pub fn snapshot(&self) -> io::Result<Vec<Recovered>> {
        Ok(self.attempts.values().cloned().collect())
    }

    fn write(&mut self, write: &Write) -> Result<Written, Refused> {
        let payload = write.payload();
        let known = self.attempts.get(&write.attempt());
        let mut head = Head {
            kind: Kind::Note,
            slot: 0,
            attempt: write.attempt(),
            epoch: known.map_or(0, |known| known.epoch),
            number: 0,
            before: 0,
            chain: 0,
            length: u32::try_from(payload.len())
                .map_err(|_| Refused::TooLarge { size: payload.len() })?,
            synced: 0,
        };
        match (write, known) {
            (Write::Open { epoch, .. }, None) => {
                head.kind = Kind::Open;
                head.epoch = *epoch;
            }
            (Write::Open { epoch, .. }, Some(known)) if *epoch < known.epoch => {
                return Err(Refused::StaleEpoch { newest: known.epoch });
            }
            (Write::Open { .. }, Some(known)) => {
                return Err(Refused::Known { epoch: known.epoch });
            }
            (_, None) => return Err(Refused::Unknown),
            (Write::Note { slot, .. }, Some(_)) => head.slot = *slot,
            (Write::Record { .. } | Write::End { .. }, Some(known)) if known.ended => {
                let written = Written { sequence: known.last, chain: known.chain };
                return Err(Refused::Ended(written));
            }
            (Write::Record { .. } | Write::End { .. }, Some(known)) => {
                let end = matches!(write, Write::End { .. });
                head.kind = if end { Kind::End } else { Kind::Record };
                head.number = known.last + 1;
                head.before = known.chain;
            }
            (Write::Ack { upto, .. }, Some(known)) => {
                head.kind = Kind::Ack;
                head.number = (*upto).min(known.last);
            }
        }
        head.chain = frame::digest(payload, head.before);
        let mut bytes = Vec::new();
        head.encode(frame::seed(self.nonce, self.offset), &mut bytes);
        bytes.extend_from_slice(payload);
        bytes.resize(usize::try_from(frame::size(payload.len())).unwrap_or(usize::MAX), 0);
        self.file.write_all(&bytes).map_err(|error| Refused::Io(Arc::new(error)))?;
        self.offset = head.end(self.offset);
        note(&mut self.attempts, &head, payload);
        let known = &self.attempts[&head.attempt];
        Ok(Written { sequence: known.last, chain: known.chain })
    }
}

pub(crate) fn walk(
    file: &mut fs::File,
    upto: u64,
    mut found: impl FnMut(Head, &[u8]),
) -> io::Result<(u64, u64)> {
    let mut prefix = [0; PREFIX];
    file.read_exact_at(&mut prefix, 0)?;
    let nonce = frame::nonce(&prefix, 1).ok_or(io::ErrorKind::InvalidData)?;
    let mut offset = PREFIX as u64;
    let mut bytes = [0; HEAD];
    while offset < upto && file.read_exact_at(&mut bytes, offset).is_ok() {
        let Some(head) = Head::decode(&bytes, frame::seed(nonce, offset)) else { break };
        let mut payload = vec![0; head.length as usize];
        if file.read_exact_at(&mut payload, offset + HEAD as u64).is_err() || !head.fits(&payload) {
            break;
        }
        found(head, &payload);
        offset = head.end(offset);
    }
    Ok((nonce, offset))
}

fn note(attempts: &mut HashMap<AttemptId, Recovered>, head: &Head, payload: &[u8]) {
    let known = attempts.entry(head.attempt).or_insert_with(|| Recovered {
        attempt: head.attempt,
        epoch: head.epoch,
        notes: BTreeMap::new(),
        last: 0,
        chain: 0,
        acked: 0,
        ended: false,
        tombstone: false,
        lost: vec![],
    });
    match head.kind {
        Kind::Open | Kind::Note => {
            known.notes.insert(head.slot, Bytes::copy_from_slice(payload));
        }
        Kind::Record | Kind::End => {
            known.last = head.number;
            known.chain = head.chain;
            known.ended = head.kind == Kind::End;
        }
        Kind::Ack | Kind::Tombstone => known.acked = head.number,
    }
    known.tombstone = known.ended && known.acked == known.last;
}

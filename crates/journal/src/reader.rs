//! Reads the files while another process writes them.

use std::{io, ops::RangeInclusive};

use bytes::Bytes;
use camino::Utf8Path;
use waggoner_types::AttemptId;

use self::index::{Index, Spot, Trail};
use crate::{
    Place,
    disk::{Disk, Host},
    frame::{HEADER, Header, Kind, PREFIX},
    walk::{Look, Step, Walk},
};

mod index;

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub sequence: u64,
    pub chain: u64,
    pub bytes: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Spoilt by the disk; or acknowledged, and removed. What can be read next follows them.
    #[error("the records {} to {} cannot be read any more", .records.start(), .records.end())]
    Lost {
        records: RangeInclusive<u64>,
        /// The digest of the last of them; 0 where it is not known.
        chain: u64,
    },
    #[error("failed to read the journal")]
    Io(#[from] io::Error),
}

/// A view of a journal's directory, up to the place it was told.
///
/// It remembers where some of the records are, and seeks the others from there, so that its memory
/// has a bound however long the journal is.
#[derive(Debug)]
pub struct Reader {
    disk: Box<dyn Disk>,
    place: Place,
    index: Index,
    /// The segment that was read last.
    open: Option<(u64, Walk)>,
}

/// What became of the search for a record.
enum Search {
    Found(Header, u64),
    /// It is not where it was.
    Spoilt,
    /// The segment was removed: its records are not needed, or are elsewhere.
    Removed,
}

/// How many bytes behind the last one are at hand: a part of the least memory of a host.
const AT_HAND: u64 = 4 * 1024 * 1024;

// === impl Reader ===

impl Reader {
    pub fn open(directory: &Utf8Path) -> io::Result<Self> {
        Ok(Self::open_on(Box::new(Host::reading(directory)?)))
    }

    pub(crate) fn open_on(disk: Box<dyn Disk>) -> Self {
        Self { disk, place: Place::default(), index: Index::default(), open: None }
    }

    /// Learns what was written up to `upto`, which the writer has named.
    pub fn advance(&mut self, upto: Place) -> io::Result<()> {
        if upto <= self.place {
            return Ok(());
        }
        let segments = if upto.segment == self.place.segment {
            vec![upto.segment]
        } else {
            let there = self.disk.segments()?;
            self.index.keep_segments(&there);
            let news = self.place.segment..=upto.segment;
            there.into_iter().filter(|segment| news.contains(segment)).collect()
        };
        for segment in segments {
            let last = segment == upto.segment;
            let end = if last { upto.offset } else { u64::MAX };
            let from = if segment == self.place.segment { self.place.offset } else { 0 };
            self.learn(segment, from, end)?;
            self.place = Place { segment, offset: end };
        }
        self.place = upto;
        Ok(())
    }

    /// The records after `after`, without a hole: at least one if there is one, then as many as fit
    /// into `most_bytes`, each counted with the 80 bytes it costs on the disk.
    ///
    /// Records that were written again behind the place are there once that is told.
    pub fn read(
        &mut self,
        attempt: AttemptId,
        after: u64,
        most_bytes: usize,
    ) -> Result<Vec<Stored>, ReadError> {
        let mut records: Vec<Stored> = vec![];
        let mut room = most_bytes;
        let mut at = None;
        let mut sequence = after + 1;
        while let Some(trail) = self.index.find(attempt, sequence) {
            let spot = trail.spot;
            let search = self.search(attempt, sequence, follow(at, trail))?;
            let (header, offset) = match search {
                Search::Found(header, offset) => (header, offset),
                Search::Removed => {
                    self.index.drop_segment(spot.segment);
                    continue;
                }
                Search::Spoilt if records.is_empty() => {
                    return Err(self.lost(attempt, sequence..=sequence)?);
                }
                Search::Spoilt => return Ok(records),
            };
            let cost = HEADER + header.length as usize;
            if !records.is_empty() && cost > room {
                return Ok(records);
            }
            let (_, walk) = self.open.as_mut().expect("the search has opened the segment");
            let Some(payload) = walk.payload(&header, offset)? else {
                return if records.is_empty() {
                    let chain = header.chain;
                    Err(ReadError::Lost { records: sequence..=sequence, chain })
                } else {
                    Ok(records)
                };
            };
            let bytes = Bytes::copy_from_slice(payload);
            records.push(Stored { sequence, chain: header.chain, bytes });
            room = room.saturating_sub(cost);
            let behind = Spot { offset: header.end(offset), ..spot };
            at = Some(Trail { spot: behind, ..trail });
            sequence += 1;
        }
        if records.is_empty()
            && let Some(first) = self.index.first_after(attempt, sequence)
            && !self.is_ahead(attempt, sequence)?
        {
            return Err(self.lost(attempt, sequence..=first - 1)?);
        }
        Ok(records)
    }

    /// Says whether a record was written so lately that its bytes are surely in memory still.
    pub fn is_at_hand(&self, attempt: AttemptId, sequence: u64) -> bool {
        self.index.find(attempt, sequence).is_some_and(|trail| {
            let Spot { segment, offset } = trail.spot;
            segment == self.place.segment && offset + AT_HAND > self.place.offset
        })
    }

    /// Forgets where the attempt's records up to `upto` are: they will not be asked for again.
    pub fn acked(&mut self, attempt: AttemptId, upto: u64) {
        self.index.acked(attempt, upto);
    }

    /// Tells of records that are gone; the one behind them knows the digest of the last.
    fn lost(&mut self, attempt: AttemptId, records: RangeInclusive<u64>) -> io::Result<ReadError> {
        let next = records.end() + 1;
        let chain = match self.index.find(attempt, next) {
            Some(trail) => match self.search(attempt, next, trail.spot)? {
                Search::Found(header, _) => header.before,
                Search::Spoilt | Search::Removed => 0,
            },
            None => 0,
        };
        Ok(ReadError::Lost { records, chain })
    }

    /// Notes where the records of a segment are.
    fn learn(&mut self, segment: u64, from: u64, end: u64) -> io::Result<()> {
        let Some(mut walk) = self.walk(segment, end)? else { return Ok(()) };
        walk.seek(from.max(PREFIX as u64));
        while let Some(step) = walk.next()? {
            let Step::Frame { header, offset, .. } = step else { continue };
            match header.kind {
                Kind::Record | Kind::End => {
                    let spot = Spot { segment, offset };
                    self.index.add(header.attempt, header.number, spot);
                }
                Kind::Ack | Kind::Tombstone => self.index.acked(header.attempt, header.number),
                Kind::Open | Kind::Note => {}
            }
        }
        self.open = Some((segment, walk));
        Ok(())
    }

    /// Looks for a record, which is not before `from`.
    fn search(&mut self, attempt: AttemptId, sequence: u64, from: Spot) -> io::Result<Search> {
        let end = if from.segment == self.place.segment { self.place.offset } else { u64::MAX };
        if self.open.as_ref().is_none_or(|(segment, _)| *segment != from.segment) {
            let Some(walk) = self.walk(from.segment, end)? else { return Ok(Search::Removed) };
            self.open = Some((from.segment, walk));
        }
        let (_, walk) = self.open.as_mut().expect("it was just opened");
        walk.extend(end)?;
        walk.seek(from.offset);
        let found = find(walk, attempt, sequence)?;
        Ok(found.map_or(Search::Spoilt, |(header, offset)| Search::Found(header, offset)))
    }

    /// Says whether a record is behind the place: it was written again there, and where it was
    /// before is removed already.
    fn is_ahead(&self, attempt: AttemptId, sequence: u64) -> io::Result<bool> {
        let mut seen = Vec::new();
        loop {
            let segments = self.disk.segments()?;
            // One that is removed meanwhile may have been written again into a new one.
            if segments == seen {
                return Ok(false);
            }
            for segment in segments.iter().filter(|segment| **segment >= self.place.segment) {
                let Some(mut walk) = self.walk(*segment, u64::MAX)? else { continue };
                if *segment == self.place.segment {
                    walk.seek(self.place.offset);
                }
                if find(&mut walk, attempt, sequence)?.is_some() {
                    return Ok(true);
                }
            }
            seen = segments;
        }
    }

    /// A way through a segment; `None` if it is not there any more.
    fn walk(&self, segment: u64, end: u64) -> io::Result<Option<Walk>> {
        match self.disk.open(segment) {
            Ok(file) => Walk::begin(file, segment, end, Look::Headers),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Goes on to a record.
fn find(walk: &mut Walk, attempt: AttemptId, sequence: u64) -> io::Result<Option<(Header, u64)>> {
    while let Some(step) = walk.next()? {
        let Step::Frame { header, offset, .. } = step else { continue };
        let record = matches!(header.kind, Kind::Record | Kind::End);
        if record && header.attempt == attempt && header.number == sequence {
            return Ok(Some((header, offset)));
        }
    }
    Ok(None)
}

/// Where to look on: behind the record before, if that is nearer. What was written again may lie
/// before it, and is then in another run.
fn follow(at: Option<Trail>, trail: Trail) -> Spot {
    let nearer = at.filter(|at| at.run == trail.run && at.spot.segment == trail.spot.segment);
    let offset = nearer.map_or(0, |at| at.spot.offset).max(trail.spot.offset);
    Spot { offset, ..trail.spot }
}

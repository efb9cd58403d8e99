//! The start: goes through all segments, cuts the torn tail, steps over what is spoilt.

use std::{collections::BTreeMap, io, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use tracing::{error, warn};
use waggoner_types::AttemptId;

use super::Journal;
use crate::{
    Recovered, Settings,
    disk::{Disk, File, Host},
    frame::{Header, PREFIX},
    front::{Front, Stuck},
    state::{Spot, State},
    walk::{Look, Step, Walk},
};

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

/// Bytes of a segment that are not what was written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub segment: u64,
    pub from: u64,
    pub to: u64,
    /// Whose they were, if that can be told. If not, a hole in the records of an attempt may tell.
    pub attempt: Option<AttemptId>,
}

/// How many damages are told one by one.
const TOLD: usize = 1000;

/// What is found of the segments.
#[derive(Default)]
struct Found {
    state: State,
    sizes: BTreeMap<u64, u64>,
    damages: Vec<Damage>,
    /// Where the last segment that was written is to be cut.
    tail: Option<(u64, u64)>,
    next: u64,
}

// === impl Journal ===

impl Journal {
    /// Takes the directory, which is made if it is not there, and finds out what it holds.
    ///
    /// What was synced is there, and of what was not, some first part. Bytes that are not what was
    /// written are stepped over and told ([`Journal::damages`], [`Recovered::lost`]).
    pub fn open(
        directory: &Utf8Path,
        settings: Settings,
    ) -> Result<(Self, Vec<Recovered>), OpenError> {
        let failed = |source| OpenError::Io { directory: directory.to_owned(), source };
        let host = Host::lock(directory).map_err(failed)?;
        let host = host.ok_or_else(|| OpenError::InUse { directory: directory.to_owned() })?;
        Self::open_on(Arc::new(host), settings).map_err(failed)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        settings: Settings,
    ) -> io::Result<(Self, Vec<Recovered>)> {
        let Found { state, mut sizes, damages, tail, next } = Found::gather(&*disk)?;
        let mut front = Front::new(Arc::clone(&disk), &settings, next);

        // The next segment takes its room before the last one gives its own away.
        let mut prepared = front.prepare(0);
        if let Some((segment, end)) = tail {
            let file = disk.open(segment)?;
            // What is told from now on must not be lost after all.
            if file.size()? > end {
                file.truncate(end)?;
            } else {
                file.sync()?;
            }
            sizes.insert(segment, end);
            if let Err(Stuck::Full) = prepared {
                front.retry();
                prepared = front.prepare(0);
            }
        }
        match prepared {
            Ok(prepared) => front.install(prepared)?,
            Err(Stuck::Full) => warn!("the disk of the journal is full"),
            Err(Stuck::Io(error)) => return Err(error),
        }

        let journal = Self {
            disk,
            settings,
            state,
            front,
            closed: sizes,
            staged: vec![],
            cleaning: None,
            written: 0,
            damages,
            broken: None,
        };
        let recovered = journal.snapshot()?;
        Ok((journal, recovered))
    }
}

// === impl Found ===

impl Found {
    fn gather(disk: &dyn Disk) -> io::Result<Self> {
        let mut segments = disk.segments()?;
        let mut found =
            Self { next: segments.last().map_or(1, |last| last + 1), ..Self::default() };

        // What has no prefix at the end was prepared, and holds nothing.
        while let Some(&last) = segments.last() {
            let file = disk.open(last)?;
            let size = file.size()?;
            if Walk::begin(file, last, 0, Look::Headers)?.is_some() {
                break;
            }
            if !is_blank(&*disk.open(last)?)? {
                found.damaged(last, 0, size, None);
            }
            disk.remove(last)?;
            segments.pop();
        }
        let newest = segments.last().copied();
        for segment in segments {
            let cut = if newest == Some(segment) { Some(cut_of(disk, segment)?) } else { None };
            found.take_in(disk, segment, cut)?;
            found.tail = cut.map(|cut| (segment, cut));
        }
        found.state.settle();
        Ok(found)
    }

    fn take_in(&mut self, disk: &dyn Disk, segment: u64, cut: Option<u64>) -> io::Result<()> {
        let file = disk.open(segment)?;
        let size = file.size()?;
        self.sizes.insert(segment, cut.unwrap_or(size));
        let end = cut.unwrap_or(u64::MAX);
        let Some(mut walk) = Walk::begin(file, segment, end, Look::Whole)? else {
            if !is_blank(&*disk.open(segment)?)? {
                self.damaged(segment, 0, size, None);
            }
            return Ok(());
        };
        while let Some(step) = walk.next()? {
            match step {
                Step::Frame { header, offset, .. } => {
                    let spot = Spot { segment, offset, size: header.end(offset) - offset };
                    self.state.replay(&header, spot);
                }
                Step::Spoilt { header, from, to } => {
                    if let Some(header) = &header {
                        self.state.spoilt(header);
                    }
                    self.damaged(segment, from, to, header);
                }
            }
        }
        Ok(())
    }

    fn damaged(&mut self, segment: u64, from: u64, to: u64, header: Option<Header>) {
        let attempt = header.map(|header| header.attempt);
        let whose = attempt.map(tracing::field::display);
        error!(segment, from, to, attempt = whose, "a part of the journal is spoilt");
        if self.damages.len() < TOLD {
            self.damages.push(Damage { segment, from, to, attempt });
        }
    }
}

/// Says whether a segment was prepared and not begun: it has no frame, and at the most a part of a
/// prefix.
fn is_blank(file: &dyn File) -> io::Result<bool> {
    let mut bytes = vec![0; 1 << 16];
    let mut offset = PREFIX as u64;
    loop {
        let count = file.read(&mut bytes, offset)?;
        if count == 0 || bytes[..count].iter().any(|byte| *byte != 0) {
            return Ok(count == 0);
        }
        offset += count as u64;
    }
}

/// Where the last segment ends: behind what is known to have been on the disk, the first bytes that
/// are not a frame are where a write was torn, and what follows them was not durable either.
fn cut_of(disk: &dyn Disk, segment: u64) -> io::Result<u64> {
    let Some(mut walk) = Walk::begin(disk.open(segment)?, segment, u64::MAX, Look::Whole)? else {
        return Ok(0);
    };
    let mut synced = 0;
    let mut end = PREFIX as u64;
    let mut spoilt = vec![];
    while let Some(step) = walk.next()? {
        match step {
            Step::Frame { header, offset, .. } => {
                synced = synced.max(u64::from(header.synced));
                end = header.end(offset);
            }
            Step::Spoilt { from, to, header } => {
                synced = synced.max(header.map_or(0, |header| u64::from(header.synced)));
                spoilt.push((from, to));
            }
        }
    }
    let torn = spoilt.iter().find(|(_, to)| *to > synced);
    Ok(torn.map_or(end, |(from, _)| synced.max(*from)))
}

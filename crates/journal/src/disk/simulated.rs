//! A disk that loses, tears and flips, as often as it is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::{Disk, File};

/// A disk in memory. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Simulated(Arc<Mutex<Inner>>, Arc<Mutex<()>>);

#[derive(Debug)]
struct Inner {
    /// What the processes see.
    files: BTreeMap<u64, Vec<u8>>,
    /// What is on the plates: contents, and which of them have a name.
    settled: BTreeMap<u64, Vec<u8>>,
    named: BTreeSet<u64>,
    /// What may or may not get there, in order.
    pending: Vec<Change>,
    space: u64,
    /// How many operations may still be done before one fails, and how.
    fault: Option<(u64, Fault)>,
    crashed: bool,
    now: Duration,
}

#[derive(Clone, Debug)]
enum Change {
    Created(u64),
    Removed(u64),
    Resized(u64, u64),
    Wrote(u64, u64, Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies in the middle of it; `part` of 256 of a write is done.
    Crash { part: u8 },
    /// It fails; `part` of 256 of a write is done.
    Error { part: u8 },
}

/// What a crash takes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process: the host keeps what was written.
    Process,
    /// The host: any sectors of what was not synced are lost, chosen by the seed.
    Host { seed: u64 },
}

#[derive(Debug)]
struct Handle {
    disk: Simulated,
    segment: u64,
}

/// Much smaller than a real one, so that frames are torn inside.
const SECTOR: usize = 32;

// === impl Simulated ===

impl Simulated {
    pub(crate) fn new() -> Self {
        let inner = Inner {
            files: BTreeMap::new(),
            settled: BTreeMap::new(),
            named: BTreeSet::new(),
            pending: vec![],
            space: u64::MAX,
            fault: None,
            crashed: false,
            now: Duration::from_secs(1_000_000),
        };
        Self(Arc::new(Mutex::new(inner)), Arc::default())
    }

    /// Lets who syncs a segment wait for as long as this is held.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.1.lock().unwrap()
    }

    /// Lets the operation after `after` others fail.
    pub(crate) fn fail(&self, after: u64, fault: Fault) {
        self.inner().fault = Some((after, fault));
    }

    pub(crate) fn has_crashed(&self) -> bool {
        self.inner().crashed
    }

    pub(crate) fn set_space(&self, space: u64) {
        self.inner().space = space;
    }

    pub(crate) fn used(&self) -> u64 {
        self.inner().used()
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.inner().now += time;
    }

    /// Ends the process that uses the disk, and leaves what the next one finds.
    pub(crate) fn restart(&self, crash: Crash) {
        let mut inner = self.inner();
        inner.crashed = false;
        inner.fault = None;
        if let Crash::Host { seed } = crash {
            inner.lose(seed);
        }
    }

    /// The sizes of the segments.
    pub(crate) fn sizes(&self) -> BTreeMap<u64, u64> {
        self.inner().files.iter().map(|(number, bytes)| (*number, bytes.len() as u64)).collect()
    }

    /// Flips a bit, on the plates too.
    pub(crate) fn flip(&self, segment: u64, offset: u64, bit: u8) {
        let mut inner = self.inner();
        let at = usize::try_from(offset).unwrap();
        let Inner { files, settled, .. } = &mut *inner;
        for contents in [files, settled] {
            if let Some(byte) = contents.get_mut(&segment).and_then(|bytes| bytes.get_mut(at)) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl Disk for Simulated {
    fn segments(&self) -> io::Result<Vec<u64>> {
        Ok(self.inner().files.keys().copied().collect())
    }

    fn create(&self, segment: u64) -> io::Result<Box<dyn File>> {
        let mut inner = self.inner();
        inner.begin()?;
        assert!(!inner.files.contains_key(&segment), "segment {segment} is there already");
        inner.files.insert(segment, vec![]);
        inner.pending.push(Change::Created(segment));
        Ok(Box::new(Handle { disk: self.clone(), segment }))
    }

    fn open(&self, segment: u64) -> io::Result<Box<dyn File>> {
        if !self.inner().files.contains_key(&segment) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(Handle { disk: self.clone(), segment }))
    }

    fn remove(&self, segment: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.begin()?;
        inner.files.remove(&segment);
        inner.pending.push(Change::Removed(segment));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.begin()?;
        inner.named = inner.files.keys().copied().collect();
        inner.pending.retain(|change| matches!(change, Change::Resized(..) | Change::Wrote(..)));
        Ok(())
    }

    fn now(&self) -> Duration {
        self.inner().now
    }
}

impl File for Handle {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.inner().files.get(&self.segment).map_or(0, |bytes| bytes.len() as u64))
    }

    fn read(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let inner = self.disk.inner();
        let bytes = inner.files.get(&self.segment).ok_or(io::ErrorKind::NotFound)?;
        let rest = bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut inner = self.disk.inner();
        let grown = (offset + bytes.len() as u64).saturating_sub(inner.size(self.segment));
        if inner.used() + grown > inner.space {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let begun = inner.begin();
        let part = match &begun {
            Ok(()) => bytes.len(),
            Err(Stop { part }) => bytes.len() * usize::from(*part) / 256,
        };
        inner.change(Change::Wrote(self.segment, offset, bytes[..part].to_vec()));
        Ok(begun?)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        let mut inner = self.disk.inner();
        inner.begin()?;
        let there = inner.size(self.segment);
        if inner.used() + size.saturating_sub(there) > inner.space {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if size > there {
            inner.change(Change::Resized(self.segment, size));
        }
        Ok(())
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        let mut inner = self.disk.inner();
        inner.begin()?;
        inner.change(Change::Resized(self.segment, size));
        inner.settle(self.segment);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let _held = self.disk.hold();
        let mut inner = self.disk.inner();
        inner.begin()?;
        inner.settle(self.segment);
        Ok(())
    }
}

// === impl Inner ===

impl Inner {
    /// Counts an operation that changes something.
    fn begin(&mut self) -> Result<(), Stop> {
        if self.crashed {
            return Err(Stop { part: 0 });
        }
        match &mut self.fault {
            Some((0, fault)) => {
                let (Fault::Crash { part } | Fault::Error { part }) = *fault;
                self.crashed = matches!(fault, Fault::Crash { .. });
                self.fault = None;
                Err(Stop { part })
            }
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn size(&self, segment: u64) -> u64 {
        self.files.get(&segment).map_or(0, |bytes| bytes.len() as u64)
    }

    fn used(&self) -> u64 {
        self.files.values().map(|bytes| bytes.len() as u64).sum()
    }

    fn change(&mut self, change: Change) {
        if let Some((segment, change)) = change.of_contents() {
            let bytes = self.files.entry(segment).or_default();
            if let Change::Wrote(_, offset, written) = change {
                let end = usize::try_from(*offset).unwrap() + written.len();
                bytes.resize(bytes.len().max(end), 0);
            }
            change.apply(bytes, |_| true);
        }
        self.pending.push(change);
    }

    fn settle(&mut self, segment: u64) {
        let bytes = self.files.get(&segment).cloned().unwrap_or_default();
        self.settled.insert(segment, bytes);
        self.pending.retain(|change| change.of_contents().is_none_or(|(of, _)| of != segment));
    }

    /// Loses what the host's crash loses: any of the names, sizes and sectors that were changed and
    /// not synced.
    fn lose(&mut self, mut seed: u64) {
        for change in std::mem::take(&mut self.pending) {
            let kept = random(&mut seed).is_multiple_of(2);
            match change {
                Change::Created(segment) if kept => {
                    self.named.insert(segment);
                }
                Change::Removed(segment) if kept => {
                    self.named.remove(&segment);
                }
                Change::Resized(segment, _) if kept => {
                    change.apply(self.settled.entry(segment).or_default(), |_| true);
                }
                Change::Wrote(segment, ..) => {
                    let bytes = self.settled.entry(segment).or_default();
                    change.apply(bytes, |_| random(&mut seed).is_multiple_of(2));
                }
                Change::Created(_) | Change::Removed(_) | Change::Resized(..) => {}
            }
        }
        self.settled.retain(|segment, _| self.named.contains(segment));
        let settled = &self.settled;
        let contents = |segment: &u64| settled.get(segment).cloned().unwrap_or_default();
        self.files = self.named.iter().map(|segment| (*segment, contents(segment))).collect();
    }
}

// === impl Change ===

impl Change {
    fn of_contents(&self) -> Option<(u64, &Self)> {
        match self {
            Self::Resized(segment, _) | Self::Wrote(segment, ..) => Some((*segment, self)),
            Self::Created(_) | Self::Removed(_) => None,
        }
    }

    /// Changes the contents; of a write, the sectors that are chosen and inside of the file.
    fn apply(&self, bytes: &mut Vec<u8>, mut chosen: impl FnMut(usize) -> bool) {
        match self {
            Self::Created(_) | Self::Removed(_) => {}
            Self::Resized(_, size) => bytes.resize(usize::try_from(*size).unwrap(), 0),
            Self::Wrote(_, offset, written) => {
                let start = usize::try_from(*offset).unwrap();
                let mut sector = None;
                for (at, byte) in written.iter().enumerate() {
                    let number = (start + at) / SECTOR;
                    let keep = match sector {
                        Some((last, keep)) if last == number => keep,
                        _ => chosen(number),
                    };
                    sector = Some((number, keep));
                    if let Some(there) = bytes.get_mut(start + at).filter(|_| keep) {
                        *there = *byte;
                    }
                }
            }
        }
    }
}

/// The operation does not happen; of a write, `part` of 256 does.
struct Stop {
    part: u8,
}

impl From<Stop> for io::Error {
    fn from(_: Stop) -> Self {
        Self::other("the simulated disk fails")
    }
}

/// The next of a row of numbers that look like chance (`SplitMix64`).
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

//! The little the journal needs of a disk, so that tests can put a worse one in its place.

use std::{fmt, io, time::Duration};

mod host;
#[cfg(test)]
pub(crate) mod simulated;

pub(crate) use host::Host;

/// A directory of numbered segments, and the time.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// The numbers of the segments, in order.
    fn segments(&self) -> io::Result<Vec<u64>>;
    /// Makes an empty segment, which must not be there yet.
    fn create(&self, segment: u64) -> io::Result<Box<dyn File>>;
    fn open(&self, segment: u64) -> io::Result<Box<dyn File>>;
    fn remove(&self, segment: u64) -> io::Result<()>;
    /// Makes what was created and removed durable.
    fn sync(&self) -> io::Result<()>;
    /// The time since 1970.
    fn now(&self) -> Duration;
}

/// A segment.
pub(crate) trait File: fmt::Debug + Send {
    fn size(&self) -> io::Result<u64>;
    /// Reads as much as there is, up to the length of `into`.
    fn read(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of it, or fails with any part of it written.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Extends the segment with zeros whose blocks are taken now.
    fn allocate(&self, size: u64) -> io::Result<()>;
    /// Cuts the segment, durably.
    fn truncate(&self, size: u64) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&self) -> io::Result<()>;
}

/// Says whether there is no room, which may change.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

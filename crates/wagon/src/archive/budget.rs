//! What one archive may cost.

use std::{
    error, fmt,
    io::{self, Read},
};

/// The limits of one archive, kept while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The largest file, in bytes as it is packed.
    pub archive_bytes: u64,
    /// The most entries.
    pub entries: usize,
    /// The largest entry, in bytes as it is unpacked.
    pub entry_bytes: u64,
    /// All entries together, in bytes as they are unpacked.
    pub total_bytes: u64,
    /// How many times larger than packed it may be unpacked, beyond the first 8 MiB.
    pub ratio: u64,
    /// The largest `package.json`, in bytes.
    pub metadata_bytes: u64,
}

/// What every archive may unpack to whatever its size: padding and text compress well.
const SLACK: u64 = 8 << 20;

/// A reader that fails beyond an allowance of bytes.
pub(crate) struct Limited<R> {
    inner: R,
    left: u64,
    allowance: u64,
}

/// More was read than the budget allows.
#[derive(Debug)]
pub(crate) struct OverBudget(u64);

// === impl Budget ===

impl Budget {
    /// For wagons: the largest known (Azure, with all its client libraries) has 120 MB and 200
    /// wheels, which are compressed already.
    pub const WAGON: Self = Self {
        archive_bytes: 1 << 30,
        entries: 5_000,
        entry_bytes: 1 << 30,
        total_bytes: 2 << 30,
        ratio: 20,
        metadata_bytes: 1 << 20,
    };

    /// For blueprints: mostly text, at times an installer beside it.
    pub const BLUEPRINT: Self = Self {
        archive_bytes: 512 << 20,
        entries: 20_000,
        entry_bytes: 512 << 20,
        total_bytes: 1 << 30,
        ratio: 100,
        metadata_bytes: 1 << 20,
    };

    pub(crate) fn allowance(&self, packed: u64) -> u64 {
        self.total_bytes.min(SLACK.saturating_add(packed.saturating_mul(self.ratio)))
    }
}

// === impl Limited ===

impl<R> Limited<R> {
    pub(crate) fn new(inner: R, allowance: u64) -> Self {
        Self { inner, left: allowance, allowance }
    }

    /// Goes on where another one of the same allowance stopped.
    pub(crate) fn resume(inner: R, left: u64, allowance: u64) -> Self {
        Self { inner, left, allowance }
    }

    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other(OverBudget(self.allowance)))?;
        Ok(count)
    }
}

// === impl OverBudget ===

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unpacks to more than the {} bytes that are taken for its size", self.0)
    }
}

impl error::Error for OverBudget {}

//! The sizes and times the journal keeps to.

use std::time::Duration;

/// How much the journal may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The bytes of a segment, after which the next one begins. At most 1 GiB.
    pub segment: u64,
    /// The bytes of records of one attempt that may wait for an acknowledgement.
    pub per_attempt: u64,
    /// The bytes that may be needed in all. On the disk there may be twice as many and three
    /// segments, until they are collected.
    pub total: u64,
    /// The bytes kept allocated ahead, so that outcomes and notes fit on a full disk.
    pub reserve: u64,
    /// How long it is remembered that an attempt was.
    pub remembered: Duration,
    /// How many attempts are remembered; of more, the oldest are forgotten.
    pub remembered_count: usize,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment: 32 << 20,
            per_attempt: 256 << 20,
            total: 2 << 30,
            reserve: 8 << 20,
            remembered: Duration::from_hours(8 * 24),
            remembered_count: 20_000,
        }
    }
}

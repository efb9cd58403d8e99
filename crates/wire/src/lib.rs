//! Messages to types and back; refusals with field paths.
//!
//! Everything that comes over the wire is parsed here once: what leaves this crate is believed. It
//! decides nothing.

mod host;
mod record;
mod refusal;
mod time;

pub use host::{from_host, to_host};
pub use record::{chain, chained, from_exit, from_record, payload, to_exit, to_record};
pub use refusal::{At, Reason, Refused};
pub use time::{duration, from_duration, from_timestamp, timestamp};

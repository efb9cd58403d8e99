//! The agent's append-only record log: one directory, one writer, segments shared by all attempts.
//!
//! ```text
//!  callers            bounded channel         one thread              one fdatasync
//!  Record ──┐                              ┌─ apply: one write ─┐
//!  Note ────┼──▶ │ write │ write │ … ─────▶│ sync, if one of    │──▶ every caller of the group
//!  End ─────┘                              │ them is durable    │    is answered
//!                                          └────────┬───────────┘
//!                                                   ▼
//!  journal/   00…01.seg   00…02.seg   00…03.seg │ head, allocated ahead
//!                                                   │
//!  another process                                  ▼
//!  Reader ◀── told the Place up to which it may read ┘
//! ```

mod frame;
mod journal;
mod reader;
mod settings;
mod write;
mod writer;

pub use self::{
    journal::{Journal, OpenError, Place},
    reader::{ReadError, Reader, Stored},
    settings::Settings,
    write::{Class, Recovered, Refused, Write, Written},
    writer::Writer,
};

#[cfg(test)]
mod tests;

//! The agent's append-only record log: one directory, one writer, segments shared by all attempts.
//!
//! ```text
//!  callers            bounded channel         one thread              one fdatasync
//!  Record ──┐                              ┌─ apply: one write ─┐
//!  Note ────┼──▶ │ write │ write │ … ─────▶│ sync, if one of    │──▶ every caller of the group
//!  End ─────┘                              │ them is durable    │    is answered
//!                                          └────────┬───────────┘
//!                                                   ▼
//!  journal/   00…07.seg   00…08.seg   00…09.seg ▏front, allocated ahead ▕
//!             └ needs nothing: removed          ▲           │
//!                         └ needs little: written again     │ Place
//!  another process                                          ▼
//!  Reader ◀── reads the files up to the place it was told ──┘
//! ```
//!
//! Records have one sequence for each attempt, and each record a digest over itself and all before
//! it, so that two sides agree on a history by its length and one number. An attempt that has ended
//! and is acknowledged is remembered as a tombstone.
//!
//! What was synced is there after a crash, and of what was not, some first part of it. A bit that
//! flips takes the frame it is in and no other, and that is told. On a full disk nothing is torn:
//! what waits can wait, and notes and outcomes have a reserve, which is allocated before it is
//! needed.
//!
//! The crate does not know what a record says.

mod disk;
mod frame;
mod front;
mod journal;
mod reader;
mod runs;
mod settings;
mod state;
mod walk;
mod write;
mod writer;

pub use self::{
    journal::{Damage, Journal, OpenError, Place},
    reader::{ReadError, Reader, Stored},
    settings::Settings,
    write::{Class, Recovered, Refused, Write, Written},
    writer::Writer,
};

#[cfg(test)]
mod tests;

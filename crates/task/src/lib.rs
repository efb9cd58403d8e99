//! Owned async tasks, shutdown, and backoff with jitter.
//!
//! `tokio::spawn` is banned outside this crate (see `clippy.toml`): a task that nobody joins can
//! fail, or outlive its purpose, without a trace. Each task here has a name, an owner and an end.
//!
//! ```text
//!  Group  the named parts of a daemon, known at its start:   one fails ─▶ all stop
//!  Tasks  what comes and goes (connections, attempts):       one fails ─▶ it is logged
//! ```
//!
//! This crate knows nothing of managers, agents or operations.

mod backoff;
#[cfg(test)]
mod captured;
mod group;
mod handover;
mod outcome;
mod quiet;
mod slow;
mod tasks;

pub use tokio_util::sync::CancellationToken;

pub use self::{
    backoff::Backoff,
    group::{Failure, Group},
    handover::{Delivery, Handover, gather},
    outcome::{BoxError, Outcome},
    quiet::{Reading, Writing, quiet},
    slow::slow,
    tasks::{Overdue, Tasks},
};

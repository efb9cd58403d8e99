//! Runs operations on its host as subprocesses and streams back what they say.
//!
//! ```text
//!              link ── api ──┬── conversation ── attempt ── operation   (one life of the daemon)
//!  manager ◀──(mTLS)         │   one stream      questions  program, python, script
//!                            │   per attempt        ▲          │
//!                            ├── artifacts          │          ▼
//!                            ├── environments    host api,   journal ──(unix socket)──▶ supervisor
//!                            └── identity        facade         ▲                          │
//!                                                   ▲           └── reads ── the files ◀───┤
//!                                                   └────────── process ◀── parent of ─────┘
//! ```
//!
//! - `journal` is the only way to the supervisor, which is the parent of every operation and keeps
//!   every record. Both outlive the daemon: another life of it goes on where this one was.
//! - An attempt outlives the conversations about it: what the link loses is said again.
//! - Whatever an operation asks for twice, because the answer was lost, has its effect once: its
//!   call has a key.

mod agent;
mod api;
mod artifacts;
mod attempt;
mod attempts;
mod config;
mod context;
pub mod ctx;
mod enrol;
mod environments;
pub mod error;
mod facade;
mod host;
mod house;
mod identity;
mod journal;
mod link;
mod operation;
mod questions;
mod start;
mod state;
pub mod supervise;

pub use self::{agent::Agent, config::Config};

#[cfg(test)]
mod tests;

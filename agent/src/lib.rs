//! Runs operations on its host as subprocesses and streams back what they say.
//!
//! ```text
//!              link ── api ──┬── conversation ── attempt ── operation ── parent ── process
//!  manager ◀──(mTLS)         │   one stream      records    program       who spawns  │
//!                            │   per attempt     questions  python, script            │
//!                            ├── artifacts, environments                              │
//!                            └── identity         questions ◀── host api, facade ◀────┘
//! ```
//!
//! - `records` alone knows where records live until they are acknowledged: in memory, bounded.
//! - `parent` alone starts the processes of operations.
//! - An attempt outlives the conversations about it: what the link loses is said again.

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
mod link;
mod operation;
mod parent;
mod questions;
mod records;
mod start;
mod state;

pub use self::{agent::Agent, config::Config};

#[cfg(test)]
mod tests;

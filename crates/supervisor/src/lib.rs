//! The parent of a host's operations, which outlives the agent's daemon, and the way to it.
//!
//! ```text
//!   daemon                                 supervisor (a process of its own, no network)
//!  ┌───────────────┐  open spawn append   ┌──────────────────────────┐  pipes  ┌───────────┐
//!  │ Supervisor    │ ───────────────────▶ │ supervise                │ ◀────── │ operation │
//!  │ Events        │ ◀─────────────────── │  one actor per process   │ ──────▶ │ + family  │
//!  └──────┬────────┘  advanced, ended     └────────────┬─────────────┘  stop   └───────────┘
//!         │ reads                                      │ the only writer
//!         └──────────────▶  journal's files  ◀─────────┘
//! ```
//!
//! [`supervise`] is the process; it serves one daemon at a time and goes on without any. What a
//! daemon has to know after it was away is in the attempts that [`Supervisor::attempts`] lists.
//!
//! The supervisor knows nothing of what an operation means: what is to be run comes with a
//! [`Spawn`], and what came of it is an [`Exited`] for the daemon to make an outcome of.

mod client;
mod frame;
mod home;
mod message;
mod news;
mod refusal;
mod server;
mod words;

pub use client::{CallError, ConnectError, Events, Kept, Launch, Leave, Supervisor};
pub use home::Home;
pub use news::Event;
pub use refusal::{Refusal, Refused};
pub use server::{Config, SuperviseError, supervise};
pub use words::{
    Attempt, CancelOrder, Exited, Greeting, Limits, Mode, Opened, Place, Process, Spawn, Tail,
    Warm, Written,
};

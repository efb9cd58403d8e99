//! The conversation about an attempt, as two pure state machines: what either side may say next,
//! and what it must do first.
//!
//! ```text
//!   manager::Half                                                agent::Half
//!  ┌──────────────────┐  start | resume{after, chain}           ┌──────────────────┐
//!  │ stored ≤ taken   │ ──────────────────────────────────────▶ │ acked ≤ said     │
//!  │                  │ ◀────────────────────────────── accepted │       ≤ last     │
//!  │ record: take     │ ◀────────────────── record(n, chain n)  │                  │
//!  │ flush:  store    │                                         │ the window bounds│
//!  │ stored: ack ─────│── ack(n) ─────────────────────────────▶ │ said − acked     │
//!  │ question: answer │ ◀──────────────────────── question(key) │                  │
//!  │         reply ───│── answer ─────────────────────────────▶ │                  │
//!  │ cancel ──────────│── cancel, again after each loss ──────▶ │                  │
//!  └──────────────────┘                                         └──────────────────┘
//!     the store                                                    the journal
//! ```
//!
//! They do no IO, read no clock and know no messages: what happens comes in, what is to be done
//! goes out. Every input has an answer in every state. What they promise together, whatever the
//! network does and whoever is killed (`tests/simulation`):
//!
//! - What the manager stored is a prefix of what the agent appended, by length and digest.
//! - The agent drops nothing that is not stored.
//! - An operation runs once, and a question with a key has one effect and one answer.
//! - A conversation whose link comes back ends: with the outcome, or with the reason why nobody
//!   can know it.

pub mod agent;
pub mod manager;
mod prefix;
mod reconcile;

pub use prefix::{Order, Prefix};
pub use reconcile::{Farewell, Known, Listed, Reconciled, reconcile};

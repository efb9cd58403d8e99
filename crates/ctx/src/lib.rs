//! The ctx object as a script sees it: its argument language over an operation's data.
//!
//! ```text
//!  ctx executable                          agent
//!  argv ─ Request::parse ─▶ args ──────▶ Ctx::evaluate ─┬─▶ Outcome::Reply ───────▶ Reply
//!                                             ▲         ├─▶ Outcome::Log, Event     │
//!                                             │         └─▶ Outcome::Ask(Call) ─┐   │
//!                                        Ctx::resume ◀── answer ── host ◀───────┘   │
//!  Printed ◀─ Reply::print ◀────────────────────────────────────────────────────────┘
//! ```
//!
//! It is the language of Cloudify's ctx proxy (`cloudify/proxy/server.py` and `client.py`,
//! `cloudify/context.py`, `script_runner/tasks.py`), with the same results and the same errors.
//! It does no IO: what only the host or the manager knows is a [`Call`], which the caller answers.
//!
//! Deliberately different from Cloudify 7.0.5:
//! - a runtime property set below the first level (`a.b`) is stored at the operation's end, where
//!   Cloudify loses it unless something else has changed as well;
//! - a change that fails changes nothing;
//! - `get-resource` returns text, where Cloudify fails on its own bytes;
//! - a log line whose `%` signs do not fit its arguments is logged, where Cloudify drops it;
//! - a change to any other dictionary (`ctx workflow-parameters x 1`) is forgotten at once;
//! - names with a leading underscore and the methods of Python's strings, numbers and lists are not
//!   reachable.

mod call;
mod command;
mod context;
mod ctx;
mod python;
mod reply;

pub use call::{Answer, Call, Refusal, Update};
pub use command::Request;
pub use context::{Context, InvalidContext};
pub use ctx::{Ctx, Outcome, Pending, Verdict};
pub use python::{json, repr, text};
pub use reply::{Error, ForeignReply, Format, Printed, Reply};

//! Plan, instances, event and time to state and effects: the task graphs of every workflow.
//!
//! ```text
//!  Plan ─┐
//!  Start ┼─▶ Execution::start ──▶ Execution ◀── Execution::restore ◀── Start + Rows
//!        │        │ Refusal          │  ▲
//!        ▼                           │  │ Event, now
//!  (kept by the manager)             ▼  │
//!                                  Vec<Effect>
//! ```
//!
//! The engine decides and does nothing: it reads no clock, opens no file and draws no lots.
//! Its caller feeds it one [`Event`] at a time and carries out the [`Effect`]s it answers with:
//!
//! 1. Keep [`Start`] with the execution, then call [`Execution::start`] and step
//!    [`Event::Started`].
//! 2. Persist all effects of a step in *one* transaction ([`Effect::Save`] rows, instance states,
//!    events, the finish), and only then do the rest (dispatch, cancel, wake).
//! 3. Report what operations do with the `task` and `retry_number` of their [`Dispatch`]. A
//!    report about an attempt that is not running changes nothing, so reporting twice is safe.
//! 4. After a crash call [`Execution::restore`] with the same plan, the same `Start` and the rows
//!    that were saved, and step [`Event::Restored`]: operations that were sent are dispatched
//!    once more, marked [`Dispatch::again`]. An execution whose first step was never persisted
//!    has not been started: start it.
//! 5. An execution that failed or was cancelled goes on with [`Execution::resume`] and
//!    [`Event::Resumed`].
//!
//! Where this is not Cloudify, on purpose:
//!
//! - An instance that is tried again as a whole (`subgraph_retries`) is really uninstalled
//!   first; Cloudify decides by the states at the beginning, and mostly does nothing.
//! - An instance that waits for one operation of another does not begin when that one failed
//!   before it.
//! - Operations that are out when an execution has failed are awaited, however long ago it was.
//! - A cancelled execution ends as cancelled, whatever failed in it.
//!
//! Only operations have rows. All else in a task graph (instance states, events, the beginning
//! and end of groups, the next phase of a workflow) follows from them, and takes no time.

mod effect;
mod event;
mod execution;
mod explain;
mod graph;
mod message;
mod parameters;
mod refusal;
mod row;
mod start;
mod workflow;
mod world;

pub use effect::{
    Cause, Dispatch, Effect, EventType, Finish, ModificationEnd, RelationshipContext, Side, Told,
};
pub use event::Event;
pub use execution::{Execution, Resume};
pub use explain::{Explanation, Line, Standing, Task};
pub use refusal::Refusal;
pub use row::{Failure, Row, TaskNumber, TaskState};
pub use start::{Backoff, Modification, ModificationRequest, Settings, Start, Update};

#[cfg(test)]
mod testkit;

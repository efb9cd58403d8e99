//! Real supervisors, real daemons, real operations.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "supervisor/endings.rs"]
mod endings;
#[path = "supervisor/lives.rs"]
mod lives;
#[path = "supervisor/output.rs"]
mod output;
#[path = "supervisor/room.rs"]
mod room;
#[path = "supervisor/site.rs"]
mod site;
#[path = "supervisor/warm.rs"]
mod warm;

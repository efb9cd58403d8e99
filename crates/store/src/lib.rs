//! The manager's database: typed queries, migrations, one writer that commits in groups.
//!
//! ```text
//!  callers            bounded channel         one thread             one fsync
//!  create_tenant ──┐                       ┌─ BEGIN ──────────┐
//!  advance ────────┼──▶ │write│write│… ───▶│ savepoint, write │───▶ COMMIT ──▶ every caller of
//!  ingest ─────────┘                       │ savepoint, write │                the group is answered
//!                                          └──────────────────┘
//!  lists, gets ───────▶ a small pool of read connections in blocking threads
//! ```
//!
//! A write that is answered with `Ok` is on the disk. A write that is refused is undone alone; the
//! others of its group are committed. Reads see every write that was answered before they began.
//!
//! [`Store`] is the whole face: async methods over plain structs, one module for each family of
//! them. SQL stays inside, so that another database can stand beside SQLite. Times are passed in
//! and kept to the microsecond. Lists come in pages by key: what is added or deleted meanwhile
//! neither repeats nor hides another row.
//!
//! The data directory holds `store.db`, `store.lock`, `secrets.key` (which seals the values of
//! secrets: a backup without it has none) and `artifacts/` (see [`artifact`]).

pub mod advance;
pub mod agent;
pub mod artifact;
pub mod attempt;
pub mod blueprint;
mod column;
pub mod dependency;
pub mod deployment;
mod error;
pub mod event;
pub mod execution;
mod filter;
pub mod group;
pub mod installation;
pub mod instance;
pub mod join;
pub mod label;
mod open;
mod page;
pub mod plugin;
mod reader;
pub mod request;
pub mod reshape;
mod schema;
pub mod secret;
pub mod site;
mod store;
pub mod tenant;
pub mod token;
mod vault;
pub mod verdict;
mod writer;

pub use self::{
    error::{Error, Kind, Thing, Users},
    open::OpenError,
    page::{Page, PageRequest},
    store::{Activity, Deletion, Store},
};

//! Spawn, group, signal, reap: one subprocess and all its descendants.
//!
//! ```text
//!  Spawn ── start ──┬─▶ Child    wait ─▶ Exit            the leader alone; descendants live on
//!                   │            stop ─▶ Stopped         TERM, grace, KILL to the whole family
//!                   └─▶ Output   next ─▶ Chunk …, end    stdout and stderr, as bytes
//! ```
//!
//! The child leads a process group of its own. It is not reaped before its [`Child`] and its
//! [`Output`] are dropped, so its id, which is also the group's, cannot come to mean another
//! process while a signal is on its way.
//!
//! The *family* of a child is its group, every descendant still linked to it by parents, every
//! session and group made by one of these, and every process that carries its mark in the
//! environment ([`MARK`]). A daemon that left the group with `setsid`, lost its parents and
//! cleared its environment is not found, unless the child was born in a [`Cgroup`]: then all that
//! came of it are.
//!
//! A child may also be a [`Fork`] of a [`ForkServer`], a process that is ready to become it. It is the
//! same in all that is said here, but for who its parent is.
//!
//! An [`Output`] is pulled: who does not ask for the next chunk lets the pipe fill, which slows
//! the child and nothing else.

mod birth;
mod cgroup;
mod child;
mod detach;
mod exit;
mod family;
mod fork;
mod identity;
mod leader;
mod moment;
mod orphans;
mod output;
mod spawn;
mod table;

pub use cgroup::{Cgroup, Cgroups};
pub use child::{Child, Stopped};
pub use detach::{detach, lead_session};
pub use exit::Exit;
pub use fork::{Fork, ForkServer};
pub use identity::{BOOT_ID, Buried, Identity, Parent, Proof, boot_id};
pub use orphans::Orphans;
pub use output::{Chunk, Output, Source};
pub use spawn::{Flaw, MARK, Spawn, SpawnError};

//! A wagon and its plugin.yaml: read, check, choose for a host, write.
//!
//! ```text
//!  bytes ──► archive (tar, tar.gz, zip; a budget, clean paths) ─┬─► Wagon       what a wagon holds
//!                                                               └─► unpack_tree a blueprint's files
//!  plugin.yaml ──► PluginManifest ── agrees with ──► Wagon
//!  wagons + requirement + host ──► choose ──► the best, or why each fell out
//!  wheels ──► write ──► wagon            directory ──► pack_tree ──► tar.gz
//! ```
//!
//! Everything here is synchronous and reads files only: who serves others meanwhile calls it
//! from a thread for blocking work.

mod archive;
mod choose;
mod manifest;
mod metadata;
mod refusal;
mod tree;
mod wagon;
mod wheel;
mod write;

pub use self::{
    archive::{Budget, Format},
    choose::{
        Choice, NoneFits, Offer, Offered, Requirement, VersionSpec, best_python_tag, choose,
        choose_import,
    },
    manifest::{Executor, ManifestError, PluginEntry, PluginManifest},
    metadata::{Metadata, OsProperties},
    refusal::{Flaw, Refusal},
    tree::{Unpacked, pack_tree, unpack_tree},
    wagon::{Wagon, Wheel},
    wheel::{InvalidWheelName, WheelName, check_wheel, normalized_name, wheel_identity},
    write::{Packed, Recipe, WriteError, write},
};

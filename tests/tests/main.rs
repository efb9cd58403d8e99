//! Stories with real processes: managers, agents, `wag`, the Python counterparts.
//!
//! Each has its own temporary directory and takes free ports, so that they run side by side.

#![expect(clippy::unwrap_used, reason = "a story ends at the first thing that is not as it should")]

mod ages;
mod author;
mod aws;
mod bad_blueprints;
mod bad_identities;
mod bad_operations;
mod bad_wagons;
mod chaos;
mod client;
mod crash;
mod drain;
mod example;
mod fixtures;
mod fleet;
mod follow;
mod honest;
mod imports;
mod installs;
mod interrupted;
mod kill;
mod links;
mod rest;
mod reunions;
mod scripts;
mod sources;
mod wagons;
mod warm;
mod workflows;

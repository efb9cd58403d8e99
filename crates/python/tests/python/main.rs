//! Real interpreters, real environments, and the real cloudify-common against an agent's stub.
//!
//! The tests of operations need cloudify-common. It is packed once with pip and kept below the
//! target directory; where pip cannot fetch it they say so and prove nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

mod agent;
mod beside;
mod endings;
mod environments;
mod naughty;
mod operations;
mod packs;
mod sources;
mod support;
mod ways;

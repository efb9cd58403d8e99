//! Wagons and trees, good ones and hostile ones, as files.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod hostile;
mod support;
mod trees;
mod wagons;

//! The rules of the house, each a test.

mod contracts;
mod crates;
mod sources;

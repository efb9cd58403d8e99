//! Runs operations on its host as subprocesses and streams back what they say.

mod api;
mod artifacts;
mod attempt;
mod attempts;
pub mod error;
mod host;
mod house;
mod operation;
mod parent;
mod questions;
mod records;
mod start;
mod state;

#[cfg(test)]
mod tests;

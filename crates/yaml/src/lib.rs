//! YAML as PyYAML's safe loader reads it, with the position of every value.
//!
//! ```text
//! text ──► scanner (tokens) ──► compose (structure, anchors, merges, budget) ──► Node
//!                                  │
//!                                  └── scalar (YAML 1.1: yes, 0644, 1:30, dates)
//! ```
//!
//! Blueprints and plugin files were written for PyYAML, so `on`, `0644`, `1_000`, `1:30`,
//! `2001-01-01`, merge keys and repeated keys mean here what they mean there. What PyYAML
//! refuses is refused; so is what would cost more than its [`Budget`].

mod budget;
mod compose;
mod error;
mod json;
mod node;
mod scalar;
mod scanner;
mod timestamp;
mod token;

pub use self::{
    budget::Budget,
    compose::parse,
    error::{Error, snippet},
    json::python_float,
    node::{Entry, Key, Map, Mark, Node, Value},
};

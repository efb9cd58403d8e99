//! The command line: what people type, said to a manager, and its answers shown.
//!
//! ```text
//!  cli ──▶ commands ──▶ client ──▶ manager          one module of commands per noun
//!             │  └────▶ site ────▶ manager, agent   the processes of `wag up` and `wag down`
//!             ├───────▶ trial ───▶ agent            an operation without a manager
//!             └───────▶ ui                          stdout is data, stderr is talk
//! ```
//!
//! Nothing is kept between two runs but what `wag up` writes to its data directory.

mod cli;
mod client;
mod commands;
mod error;
mod inputs;
mod picture;
mod profile;
mod record;
mod site;
mod source;
mod task_graph;
mod trial;
mod ui;

pub use self::{
    cli::Cli,
    commands::run,
    error::{Error, Exit},
    ui::Ui,
};

#[cfg(test)]
mod tests;

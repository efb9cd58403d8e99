//! A wheel set to an environment, and what makes the stock cloudify package talk to an agent.
//!
//! ```text
//!  wagon ──► Environments::ensure ──► Environment { prefix, python, tag }     (uv, or venv and pip)
//!                                          │
//!  context + inputs ──► dispatch::input_json ──► <dispatch_dir>/input.json
//!                                          │
//!             python -m waggoner_runtime <dispatch_dir>      environment: dispatch::Variables
//!                 stock cloudify.dispatch ⇄ agent's unix socket (WAGGONER_SOCKET)
//!                                          │
//!  Outcome ◄── dispatch::outcome ◄── <dispatch_dir>/output.json, exit
//!
//!  source tree ──► pack ──► wagon
//! ```
//!
//! An environment holds a wagon's wheels and nothing of ours. What is ours lies beside it: the
//! runtime, a small Python package that replaces `cloudify.context.ManagerEndpoint` in the
//! process of an operation. No plugin is changed, and none of this runs Python in the agent.
//!
//! This crate starts no operation: who does, does it with `waggoner-process` and
//! [`dispatch::Variables`].

mod environments;
mod interpreters;
mod pack;
mod runtime;
mod tool;

pub mod dispatch;

pub use self::{
    environments::{
        Environment, EnvironmentError, EnvironmentSpec, Environments, Form, Installed, Lease,
        Progress, Unwanted, WagonFile,
    },
    interpreters::{Interpreter, find_interpreters, interpreters},
    pack::{PackError, PackRequest, PackSource, pack},
    runtime::Runtime,
    tool::ToolFailure,
};

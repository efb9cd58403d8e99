//! Keeps plugins, blueprints and deployments, and turns workflows into operations on agents.
//!
//! ```text
//!  manager   binds everything that can be refused, then runs
//!   ├── doors       the one public port: ALPN decides what a connection is
//!   ├── api         one thin file per service of `waggoner.v1`
//!   ├── catalog     wagons and blueprints: checked, stored, found for an import
//!   ├── executions  one actor per execution: engine turn → transaction → effects
//!   └── fleet       links to agents, artifacts, enrolment
//! ```

mod api;
pub mod bench;
mod catalog;
mod config;
mod doors;
mod error;
mod executions;
mod fleet;
mod home;
mod log;
mod manager;
mod profile;
mod retention;

pub use self::{
    config::{Config, LogFormat},
    error::{StartError, report},
    log::log,
    manager::Manager,
};

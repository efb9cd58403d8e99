//! A site of real processes, for whole-system tests.
//!
//! ```text
//!  Site ── a data directory, a manager, and agents, all in one temporary directory
//!   ├── Daemon   one of our daemons; ended with the site
//!   ├── Wag      the command line, against this site's manager; Lines, while it runs
//!   └── Network  hosts of their own: network namespaces joined by virtual cables, with Weather
//!
//!  chaos ── a site at work while everything in it goes wrong
//! ```

pub mod chaos;
mod daemon;
mod disk;
mod eventually;
mod http;
mod lines;
mod namespace;
mod oracle;
mod processes;
mod programs;
mod site;
mod wag;
mod weather;

pub use self::{
    daemon::Daemon,
    disk::Disk,
    eventually::eventually,
    http::http_get,
    lines::Lines,
    namespace::{Host, Network},
    oracle::{cache, cached, python, python_command, python_program, root, run_python},
    processes::{Process, processes_of},
    programs::program,
    site::Site,
    wag::{Said, Wag},
    weather::Weather,
};

//! A site of real processes, for whole-system tests.
//!
//! ```text
//!  Site ── a data directory, a manager, and agents, all in one temporary directory
//!   ├── Daemon   one of our daemons; ended with the site
//!   ├── Wag      the command line, against this site's manager; Lines, while it runs
//!   └── Network  hosts of their own: network namespaces joined by virtual cables
//! ```

mod daemon;
mod eventually;
mod http;
mod lines;
mod namespace;
mod oracle;
mod programs;
mod site;
mod wag;

pub use self::{
    daemon::Daemon,
    eventually::eventually,
    http::http_get,
    lines::Lines,
    namespace::{Host, Network},
    oracle::{cache, cached, python, python_command, python_program, root, run_python},
    programs::program,
    site::Site,
    wag::{Said, Wag},
};

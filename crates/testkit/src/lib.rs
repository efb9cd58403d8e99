//! A site of real processes, for whole-system tests.
//!
//! ```text
//!  Site ── a data directory, a manager, and agents, all in one temporary directory
//!   ├── Daemon      one of our daemons; ended with the site
//!   ├── wag(…)      the command line, against this site's manager
//!   └── Namespaces  hosts of their own: network namespaces joined by virtual cables
//! ```

mod daemon;
mod eventually;
mod namespace;
mod oracle;
mod programs;
mod site;
mod wag;

pub use self::{
    daemon::Daemon,
    eventually::eventually,
    namespace::{Host, Network},
    oracle::{cache, python},
    programs::program,
    site::Site,
    wag::{Said, Wag},
};

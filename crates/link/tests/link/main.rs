//! Links over real TLS on loopback. The health service stands for a service of ours.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should")]

mod bootstrap;
mod directions;
mod endings;
mod house;
mod port;
mod refusals;
mod sessions;

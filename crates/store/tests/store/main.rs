//! The store as the manager sees it.

#![expect(clippy::unwrap_used, reason = "the scene is built for tests alone")]

mod annotations;
mod artifacts;
mod attempts;
mod catalog;
mod crash;
mod deployments;
mod events;
mod executions;
mod fleet;
mod opening;
mod output;
mod scene;
mod tenants;

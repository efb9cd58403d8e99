//! What the manager may call: one module for each service.

mod agent;
mod conversation;
mod identity;

pub(crate) use self::{agent::AgentApi, identity::IdentityApi};

//! What the manager may call: one module for each service.

mod agent;
mod conversation;

pub(crate) use agent::AgentApi;

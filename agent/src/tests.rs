//! The agent as a manager sees it: real processes, an in-memory link.

mod conversation;
mod daemon;
mod facade;
mod host_api;
mod processes;
mod python;
mod scripts;
mod site;
mod stock;

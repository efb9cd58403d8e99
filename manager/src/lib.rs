//! Keeps plugins, blueprints and deployments, and turns workflows into operations on agents.

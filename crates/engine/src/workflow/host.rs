//! What is done around the start and stop of a host: its agent, its monitoring.

use serde_json::{Map, Value};

use super::steps::Steps;
use crate::{
    graph::{Call, Handler},
    world::{InstanceIx, World},
};

/// How the agent of a host comes there (`cloudify/constants.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InstallMethod {
    None,
    /// The manager goes there, or nothing is said.
    Remote,
    InitScript,
    Plugin,
    /// Somebody else brings it.
    Provided,
}

/// After `start`: wait until the host is up, then bring its agent.
pub(super) fn post_start(instance: InstanceIx, world: &World) -> Steps {
    let mut steps = Steps::new(instance);
    let call = |name: &'static str| Call::of_node(world, instance, name);
    let state = call("cloudify.interfaces.host.get_state");
    steps.call(state.map(|call| call.handled(Handler::HostState)));

    let method = InstallMethod::of(&world.node(instance).properties);
    let old_install = call("cloudify.interfaces.worker_installer.install");
    if method != InstallMethod::None && old_install.is_some() {
        // A host of Cloudify 3.2's types.
        steps
            .tell("Installing agent")
            .call(old_install)
            .tell("Agent installed")
            .tell("Starting agent")
            .call(call("cloudify.interfaces.worker_installer.start"))
            .tell("Agent started");
    } else if method != InstallMethod::None {
        steps
            .tell("Creating agent")
            .call(call("cloudify.interfaces.cloudify_agent.create"))
            .tell("Agent created");
        if matches!(method, InstallMethod::Plugin | InstallMethod::InitScript) {
            steps
                .tell("Waiting for agent to start")
                .call(call("cloudify.interfaces.cloudify_agent.start"))
                .tell("Agent started");
        }
    }
    steps
        .call(call("cloudify.interfaces.monitoring_agent.install"))
        .call(call("cloudify.interfaces.monitoring_agent.start"));
    steps
}

/// Before `stop`: take the agent away.
pub(super) fn pre_stop(instance: InstanceIx, world: &World) -> Steps {
    let mut steps = Steps::new(instance);
    let call = |name: &'static str| Call::of_node(world, instance, name);
    steps
        .call(call("cloudify.interfaces.monitoring_agent.stop"))
        .call(call("cloudify.interfaces.monitoring_agent.uninstall"));

    let method = InstallMethod::of(&world.node(instance).properties);
    if method == InstallMethod::None {
        return steps;
    }
    steps.tell("Stopping agent");
    let old_stop = call("cloudify.interfaces.worker_installer.stop");
    let (stop, delete) = if method.is_script() {
        (
            call("cloudify.interfaces.cloudify_agent.stop_amqp"),
            call("cloudify.interfaces.cloudify_agent.delete"),
        )
    } else if old_stop.is_some() {
        (old_stop, call("cloudify.interfaces.worker_installer.uninstall"))
    } else {
        (
            call("cloudify.interfaces.cloudify_agent.stop"),
            call("cloudify.interfaces.cloudify_agent.delete"),
        )
    };
    steps.call(stop).tell("Deleting agent").call(delete).tell("Agent deleted");
    steps
}

// === impl InstallMethod ===

impl InstallMethod {
    /// As in `cloudify/utils.py`, `get_install_method`.
    fn of(properties: &Map<String, Value>) -> Self {
        match properties.get("install_agent").and_then(Value::as_bool) {
            Some(false) => return Self::None,
            Some(true) => return Self::Remote,
            None => {}
        }
        let config = properties.get("agent_config");
        match config.and_then(|config| config.get("install_method")).and_then(Value::as_str) {
            Some("none") => Self::None,
            Some("init_script") => Self::InitScript,
            Some("plugin") => Self::Plugin,
            Some("provided") => Self::Provided,
            Some(_) | None => Self::Remote,
        }
    }

    fn is_script(self) -> bool {
        matches!(self, Self::InitScript | Self::Plugin | Self::Provided)
    }
}

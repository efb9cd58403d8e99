//! What is cleared away before a step of an installation is taken once more
//! (`_update_resumed_install` in `cloudify/plugins/lifecycle.py`).

use waggoner_types::plan::InstanceState;

use super::{host, steps::Steps};
use crate::{
    graph::Call,
    world::{InstanceIx, World},
};

/// What an interrupted `create` or `start` may have left; nothing where nothing is implemented.
pub(crate) fn cleanup(instance: InstanceIx, operation: &str, world: &World) -> Option<Steps> {
    let state = world.instance(instance).state;
    let call = |name: &'static str| Call::of_node(world, instance, name);
    let mut work = Steps::new(instance);
    match (operation, state) {
        ("cloudify.interfaces.lifecycle.start", InstanceState::Starting) => {
            if let prestop @ Some(_) = call("cloudify.interfaces.lifecycle.prestop") {
                work.tell("Prestopping node instance")
                    .call(prestop)
                    .tell("Node instance prestopped");
            }
            if world.is_host(instance) {
                work.append(host::pre_stop(instance, world));
            }
            if let stop @ Some(_) = call("cloudify.interfaces.lifecycle.stop") {
                work.call(stop).tell("Stopped node instance");
            }
        }
        ("cloudify.interfaces.lifecycle.create", InstanceState::Creating) => {
            if let delete @ Some(_) = call("cloudify.interfaces.lifecycle.delete") {
                work.tell("Deleting node instance").call(delete).tell("Deleted node instance");
            }
            if let postdelete @ Some(_) = call("cloudify.interfaces.lifecycle.postdelete") {
                work.tell("Postdeleting node instance")
                    .call(postdelete)
                    .tell("Node instance postdeleted");
            }
        }
        _ => {}
    }
    if work.is_empty() {
        return None;
    }
    let mut all = Steps::new(instance);
    all.tell("Rolling back prior to resuming install")
        .append(work)
        .tell("Finished rolling back, now resuming install");
    Some(all.ignoring_failures())
}

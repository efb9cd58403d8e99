//! The life of an instance downwards, from wherever it is (`uninstall_node_instance_subgraph`).

use waggoner_types::plan::InstanceState::{
    Configured, Deleted, Deleting, Stopped, Stopping, Uninitialized,
};

use super::{
    host,
    relationships::{self, Order},
    steps::Steps,
};
use crate::{
    graph::Call,
    world::{InstanceIx, World},
};

/// What is left to do from the state the instance is in.
pub(super) fn steps(instance: InstanceIx, world: &World) -> Steps {
    let state = world.instance(instance).state;
    let mut all = Steps::new(instance);

    if matches!(state, Stopped | Deleting | Deleted | Uninitialized | Configured) {
        all.tell("Validating node instance after deletion: nothing to do")
            .tell(format!("Stop: instance already {state}"));
    } else {
        all.set(Stopping).tell("Stopping node instance");
        stop(&mut all, world);
    }
    if !matches!(state, Stopped | Deleting | Deleted) {
        all.set(Stopped);
    }
    if matches!(state, Deleted | Uninitialized) {
        all.tell(format!("Delete: instance already {state}"));
    } else {
        unlink(&mut all, world);
        delete(&mut all, world);
    }
    if state != Deleted {
        all.set(Deleted).tell("Deleted node instance");
    }
    all
}

pub(super) fn stop(all: &mut Steps, world: &World) {
    let instance = all.instance;
    let call = |name: &'static str| Call::of_node(world, instance, name);

    match call("cloudify.interfaces.validation.delete") {
        None => all.tell("Validating node instance after deletion: nothing to do"),
        validation => all
            .tell("Validating node instance before deletion")
            .call(validation)
            .tell("Node instance validated before deletion"),
    };
    all.call(call("cloudify.interfaces.monitoring.stop"));
    let prestop = call("cloudify.interfaces.lifecycle.prestop");
    if prestop.is_some() {
        all.tell("Prestopping node instance").call(prestop).tell("Node instance prestopped");
    }
    if world.is_host(instance) {
        all.append(host::pre_stop(instance, world));
    }
    match call("cloudify.interfaces.lifecycle.stop") {
        None => all.tell("Stopped node instance: nothing to do"),
        stop => all.call(stop).tell("Stopped node instance"),
    };
}

pub(super) fn unlink(all: &mut Steps, world: &World) {
    const UNLINK: &str = "cloudify.interfaces.relationship_lifecycle.unlink";
    let inner = relationships::steps(all.instance, world, UNLINK, Order::Reverse);
    if !inner.is_empty() {
        all.tell("Unlinking relationships").append(inner).tell("Relationships unlinked");
    }
}

pub(super) fn delete(all: &mut Steps, world: &World) {
    let instance = all.instance;
    let call = |name: &'static str| Call::of_node(world, instance, name);

    match call("cloudify.interfaces.lifecycle.delete") {
        None => all.tell("Deleting node instance: nothing to do"),
        delete => all.set(Deleting).tell("Deleting node instance").call(delete),
    };
    let postdelete = call("cloudify.interfaces.lifecycle.postdelete");
    if postdelete.is_some() {
        all.tell("Postdeleting node instance").call(postdelete).tell("Node instance postdeleted");
    }
}

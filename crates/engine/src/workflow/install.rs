//! The life of an instance upwards, from wherever it is (`install_node_instance_subgraph`).

use waggoner_types::plan::InstanceState::{
    self, Configured, Configuring, Created, Creating, Initializing, Started, Starting,
    Uninitialized,
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
    steps_from(world.instance(instance).state, instance, world)
}

/// All of it.
pub(super) fn from_scratch(instance: InstanceIx, world: &World) -> Steps {
    steps_from(Uninitialized, instance, world)
}

fn steps_from(state: InstanceState, instance: InstanceIx, world: &World) -> Steps {
    let parts = Parts { instance, world };
    let none = || Steps::new(instance);
    let is_in = |states: &[InstanceState]| states.contains(&state);

    let begun = is_in(&[Started, Starting, Created, Creating, Configured, Configuring]);
    let (validation, precreate) =
        if begun { (none(), none()) } else { (parts.validation(), parts.precreate()) };
    let created = is_in(&[Started, Starting, Created, Configuring, Configured]);
    let create = if created { none() } else { parts.create() };
    let (preconfigure, configure) = if is_in(&[Started, Starting, Configured]) {
        (none(), none())
    } else {
        (parts.preconfigure(), parts.configure())
    };
    let rest = if state == Started { None } else { Some(parts) };
    let postconfigure = rest.map_or_else(none, Parts::postconfigure);
    let start = rest.map_or_else(none, Parts::start);
    let is_host = world.is_host(instance);
    let host = rest.filter(|_| is_host).map_or_else(none, |_| host::post_start(instance, world));
    let poststart = rest.map_or_else(none, Parts::poststart);
    let monitoring = rest.map_or_else(none, Parts::monitoring);
    let establish = rest.map_or_else(none, Parts::establish);

    let mut all = Steps::new(instance);
    let work = [
        &validation,
        &precreate,
        &create,
        &preconfigure,
        &configure,
        &postconfigure,
        &start,
        &host,
        &poststart,
        &monitoring,
        &establish,
    ];
    if work.iter().all(|steps| steps.is_empty()) {
        all.set(Started).tell("Node instance started (nothing to do)");
        return all;
    }
    all.set(Initializing)
        .append_or_tell(validation, "Validating node instance before creation: nothing to do")
        .append_or_tell(precreate, "Precreating node instance: nothing to do")
        .append_or_tell(create, "Creating node instance: nothing to do")
        .append(preconfigure)
        .append_or_tell(configure, "Configuring node instance: nothing to do")
        .append(postconfigure)
        .append_or_tell(start, "Starting node instance: nothing to do")
        .append(host)
        .append_or_tell(poststart, "Poststarting node instance: nothing to do")
        .append(monitoring)
        .append(establish)
        .set(Started)
        .tell("Node instance started");
    all
}

#[derive(Clone, Copy, Debug)]
struct Parts<'w> {
    instance: InstanceIx,
    world: &'w World,
}

// === impl Parts ===

impl Parts<'_> {
    fn validation(self) -> Steps {
        self.told(
            "Validating node instance before creation",
            "cloudify.interfaces.validation.create",
            "Node instance validated before creation",
        )
    }

    fn precreate(self) -> Steps {
        self.told(
            "Precreating node instance",
            "cloudify.interfaces.lifecycle.precreate",
            "Node instance precreated",
        )
    }

    fn create(self) -> Steps {
        self.with_call("cloudify.interfaces.lifecycle.create", |steps, call| {
            steps
                .tell("Creating node instance")
                .set(Creating)
                .call(call)
                .tell("Node instance created")
                .set(Created);
        })
    }

    fn preconfigure(self) -> Steps {
        self.related(
            "Pre-configuring relationships",
            "cloudify.interfaces.relationship_lifecycle.preconfigure",
            "Relationships pre-configured",
        )
    }

    fn configure(self) -> Steps {
        self.with_call("cloudify.interfaces.lifecycle.configure", |steps, call| {
            steps
                .set(Configuring)
                .tell("Configuring node instance")
                .call(call)
                .set(Configured)
                .tell("Node instance configured");
        })
    }

    fn postconfigure(self) -> Steps {
        self.related(
            "Post-configuring relationships",
            "cloudify.interfaces.relationship_lifecycle.postconfigure",
            "Relationships post-configured",
        )
    }

    fn start(self) -> Steps {
        self.with_call("cloudify.interfaces.lifecycle.start", |steps, call| {
            steps.set(Starting).tell("Starting node instance").call(call);
        })
    }

    fn poststart(self) -> Steps {
        self.told(
            "Poststarting node instance",
            "cloudify.interfaces.lifecycle.poststart",
            "Node instance poststarted",
        )
    }

    fn monitoring(self) -> Steps {
        self.with_call("cloudify.interfaces.monitoring.start", |steps, call| {
            steps.call(call);
        })
    }

    fn establish(self) -> Steps {
        self.related(
            "Establishing relationships",
            "cloudify.interfaces.relationship_lifecycle.establish",
            "Relationships established",
        )
    }

    fn told(self, before: &'static str, name: &'static str, after: &'static str) -> Steps {
        self.with_call(name, |steps, call| {
            steps.tell(before).call(call).tell(after);
        })
    }

    fn related(self, before: &'static str, name: &'static str, after: &'static str) -> Steps {
        let mut steps = Steps::new(self.instance);
        let inner = relationships::steps(self.instance, self.world, name, Order::AsDeclared);
        if !inner.is_empty() {
            steps.tell(before).append(inner).tell(after);
        }
        steps
    }

    /// Nothing where the operation does nothing.
    fn with_call(self, name: &'static str, write: impl FnOnce(&mut Steps, Option<Call>)) -> Steps {
        let mut steps = Steps::new(self.instance);
        let call = Call::of_node(self.world, self.instance, name);
        if call.is_some() {
            write(&mut steps, call);
        }
        steps
    }
}

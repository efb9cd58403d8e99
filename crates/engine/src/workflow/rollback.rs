//! The way back of an instance that got stuck on its way up (`rollback_node_instance_subgraph`).

use std::collections::BTreeSet;

use waggoner_types::plan::InstanceState::{
    Configured, Configuring, Creating, Starting, Stopping, Uninitialized,
};

use super::{steps::Steps, uninstall};
use crate::world::{InstanceIx, World};

/// Those of the instances that are neither here nor there.
pub(super) fn unresolved(chosen: BTreeSet<InstanceIx>, world: &World) -> BTreeSet<InstanceIx> {
    let is_stuck = |instance: &InstanceIx| {
        matches!(world.instance(*instance).state, Creating | Configuring | Starting)
    };
    chosen.into_iter().filter(is_stuck).collect()
}

/// From `starting` back to `configured`, from `creating` and `configuring` to `uninitialized`.
pub(super) fn steps(instance: InstanceIx, world: &World) -> Steps {
    let state = world.instance(instance).state;
    let mut all = Steps::new(instance);

    if state == Starting {
        all.set(Stopping).tell("Stopping node instance");
        uninstall::stop(&mut all, world);
        all.set(Configured);
    } else {
        all.tell("Validating node instance after deletion: nothing to do")
            .tell(format!("Rollback Stop: nothing to do, instance state is {state}"));
    }
    if matches!(state, Creating | Configuring) {
        uninstall::unlink(&mut all, world);
        uninstall::delete(&mut all, world);
        all.set(Uninitialized);
    } else {
        all.tell(format!("Rollback Delete: nothing to do, instance state is {state}"));
    }
    if matches!(state, Creating | Configuring | Starting) {
        all.tell("Rollbacked node instance");
    }
    all
}

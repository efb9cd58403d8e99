//! The operations of an instance's relationships.

use super::steps::Steps;
use crate::{
    Side,
    graph::Call,
    world::{InstanceIx, World},
};

/// In which order relationships are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    AsDeclared,
    Reverse,
}

/// One operation on both sides of all relationships: relationships to instances of one node
/// that stand together side by side, the others one after the other.
pub(super) fn steps(
    instance: InstanceIx,
    world: &World,
    operation: &'static str,
    order: Order,
) -> Steps {
    let links = &world.instance(instance).relationships;
    let mut groups: Vec<Vec<Call>> = links
        .chunk_by(|left, right| {
            let node = |link: &crate::world::Link| &world.definition(instance, *link).target_id;
            node(left) == node(right)
        })
        .map(|links| {
            let sides = links
                .iter()
                .flat_map(|link| [Side::Source, Side::Target].map(|side| (side, *link)));
            let call = |(side, link)| Call::of_side(world, side, instance, link, operation);
            sides.filter_map(call).collect()
        })
        .collect();
    if order == Order::Reverse {
        groups.reverse();
    }
    let mut steps = Steps::new(instance);
    for calls in groups {
        steps.calls(calls);
    }
    steps
}

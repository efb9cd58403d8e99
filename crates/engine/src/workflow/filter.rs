//! Which instances a workflow is about.

use std::collections::{BTreeSet, HashSet};

use crate::{
    Refusal,
    parameters::Parameters,
    refusal::Known,
    world::{InstanceIx, World},
};

/// Empty lists let all through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    node_ids: HashSet<String>,
    node_instance_ids: HashSet<String>,
    type_names: HashSet<String>,
}

// === impl Filter ===

impl Filter {
    pub(super) fn new(given: &Parameters, world: &World) -> Result<Self, Refusal> {
        let node_ids = given.names("node_ids")?;
        let nodes = || world.plan().nodes.iter().map(|node| node.id.as_str());
        let known: HashSet<&str> = nodes().collect();
        if let Some(unknown) = node_ids.iter().find(|id| !known.contains(id.as_str())) {
            return Err(refusal(given, "node_ids", "node", unknown, Known::of(unknown, nodes())));
        }

        let node_instance_ids = given.names("node_instance_ids")?;
        if let Some(unknown) = node_instance_ids.iter().find(|id| world.find(id).is_none()) {
            let known = Known::of(unknown, world.ids());
            return Err(refusal(given, "node_instance_ids", "node instance", unknown, known));
        }

        let type_names = given.names("type_names")?.into_iter().collect();
        Ok(Self {
            node_ids: node_ids.into_iter().collect(),
            node_instance_ids: node_instance_ids.into_iter().collect(),
            type_names,
        })
    }

    pub(super) fn select(&self, world: &World) -> BTreeSet<InstanceIx> {
        world.all().filter(|instance| self.lets_through(world, *instance)).collect()
    }

    fn lets_through(&self, world: &World, instance: InstanceIx) -> bool {
        let node = world.node(instance);
        (self.node_ids.is_empty() || self.node_ids.contains(&node.id))
            && (self.type_names.is_empty()
                || node.type_hierarchy.iter().any(|name| self.type_names.contains(name)))
            && (self.node_instance_ids.is_empty()
                || self.node_instance_ids.contains(&world.instance(instance).id))
    }
}

pub(super) fn refusal(
    given: &Parameters,
    parameter: &'static str,
    kind: &'static str,
    unknown: &str,
    known: Known,
) -> Refusal {
    let (workflow, unknown) = (given.workflow().to_owned(), unknown.to_owned());
    Refusal::Unknown { workflow, parameter, kind, given: unknown, known }
}

//! The deployment as workflows see it: nodes and instances by index, and what the execution
//! itself has changed so far.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::{Map, Value};
use waggoner_types::plan::{
    InstanceState, Node, NodeInstance, Plan, Relationship, ScalingGroupInstance,
};

use crate::Refusal;

const CONTAINED_IN: &str = "cloudify.relationships.contained_in";
const COMPUTE: &str = "cloudify.nodes.Compute";

/// An instance's place in [`World::instances`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InstanceIx(pub(crate) u32);

#[derive(Debug)]
pub(crate) struct World {
    plan: Arc<Plan>,
    instances: Vec<Instance>,
    by_id: HashMap<String, InstanceIx>,
}

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) host: Option<String>,
    pub(crate) state: InstanceState,
    pub(crate) system_properties: Map<String, Value>,
    pub(crate) scaling_groups: Vec<ScalingGroupInstance>,
    pub(crate) relationships: Vec<Link>,
    /// The instances directly contained in this one.
    pub(crate) contained: Vec<InstanceIx>,
    node: usize,
}

/// A relationship of an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) target: InstanceIx,
    /// The place of its definition in the relationships of the source's node.
    pub(crate) definition: usize,
}

// === impl InstanceIx ===

impl InstanceIx {
    fn at(self) -> usize {
        self.0 as usize
    }
}

// === impl World ===

impl World {
    pub(crate) fn new(plan: Arc<Plan>, instances: &[NodeInstance]) -> Result<Self, Refusal> {
        let nodes: HashMap<&str, usize> =
            plan.nodes.iter().enumerate().map(|(at, node)| (node.id.as_str(), at)).collect();
        let too_many = || Refusal::Inconsistent("it has over four billion instances".to_owned());
        let by_id = instances
            .iter()
            .enumerate()
            .map(|(at, instance)| Ok((instance.id.clone(), InstanceIx(u32::try_from(at)?))))
            .collect::<Result<HashMap<_, _>, std::num::TryFromIntError>>()
            .map_err(|_| too_many())?;

        let mut list = Vec::with_capacity(instances.len());
        for instance in instances {
            let node = *nodes.get(instance.node_id.as_str()).ok_or_else(|| {
                Refusal::Inconsistent(format!(
                    "node instance `{}` is of node `{}`, which the plan does not have",
                    instance.id, instance.node_id
                ))
            })?;
            let relationships = links(&plan.nodes[node], instance, &by_id)?;
            list.push(Instance {
                id: instance.id.clone(),
                host: instance.host_id.clone(),
                state: instance.state,
                system_properties: instance.system_properties.clone(),
                scaling_groups: instance.scaling_groups.clone(),
                relationships,
                contained: Vec::new(),
                node,
            });
        }
        let mut world = Self { plan, instances: list, by_id };
        world.contain();
        Ok(world)
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = InstanceIx> + use<> {
        (0..u32::try_from(self.instances.len()).unwrap_or(u32::MAX)).map(InstanceIx)
    }

    pub(crate) fn find(&self, id: &str) -> Option<InstanceIx> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.instances.iter().map(|instance| instance.id.as_str())
    }

    pub(crate) fn instance(&self, instance: InstanceIx) -> &Instance {
        &self.instances[instance.at()]
    }

    pub(crate) fn instance_mut(&mut self, instance: InstanceIx) -> &mut Instance {
        &mut self.instances[instance.at()]
    }

    pub(crate) fn node(&self, instance: InstanceIx) -> &Node {
        &self.plan.nodes[self.instance(instance).node]
    }

    pub(crate) fn is_host(&self, instance: InstanceIx) -> bool {
        self.node(instance).is_a(COMPUTE)
    }

    pub(crate) fn definition(&self, source: InstanceIx, link: Link) -> &Relationship {
        &self.node(source).relationships[link.definition]
    }

    /// The instance and all that is contained in it, at any depth.
    pub(crate) fn contained_subgraph(&self, root: InstanceIx) -> Vec<InstanceIx> {
        let mut found = vec![root];
        let mut seen = HashSet::from([root]);
        let mut next = 0;
        while let Some(instance) = found.get(next).copied() {
            let contained = &self.instance(instance).contained;
            found.extend(contained.iter().filter(|child| seen.insert(**child)));
            next += 1;
        }
        found
    }

    fn contain(&mut self) {
        for source in self.all() {
            for at in 0..self.instance(source).relationships.len() {
                let link = self.instance(source).relationships[at];
                if self.definition(source, link).is_a(CONTAINED_IN) {
                    self.instance_mut(link.target).contained.push(source);
                }
            }
        }
    }
}

/// The relationships of an instance that its node defines.
///
/// As in `cloudify/workflows/workflow_context.py` there is one per target: of two definitions
/// with the same target node the last one counts.
fn links(
    node: &Node,
    instance: &NodeInstance,
    by_id: &HashMap<String, InstanceIx>,
) -> Result<Vec<Link>, Refusal> {
    let mut links: Vec<Link> = Vec::with_capacity(instance.relationships.len());
    let mut places: HashMap<InstanceIx, usize> = HashMap::new();
    for relationship in &instance.relationships {
        let target = *by_id.get(&relationship.target_id).ok_or_else(|| {
            Refusal::Inconsistent(format!(
                "node instance `{}` is related to `{}`, which does not exist",
                instance.id, relationship.target_id
            ))
        })?;
        let is_it = |defined: &Relationship| defined.target_id == relationship.target_name;
        let Some(definition) = node.relationships.iter().rposition(is_it) else { continue };
        let link = Link { target, definition };
        if let Some(place) = places.get(&target) {
            links[*place] = link;
        } else {
            places.insert(target, links.len());
            links.push(link);
        }
    }
    Ok(links)
}

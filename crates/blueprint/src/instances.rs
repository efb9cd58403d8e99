//! Nodes and groups to instances: how many there are, what contains what, who relates to whom.
//!
//! ```text
//! plan nodes + scaling groups ─► plan graph ─► containment trees, one instance each time its
//!                                              container has one ─► relationships between them
//! ```
//!
//! A scaling group stands between its members and what contains them, so that a member has as
//! many instances as the group and itself have together. Source: `dsl_parser/rel_graph.py`.

mod extract;
mod graph;
mod grow;
mod modify;
mod plan_graph;
mod previous;
mod relate;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map as Object, Value as Json};

use self::{graph::Graph, plan_graph::PlanGraph};
use crate::Refusal;

pub use self::modify::modify_deployment;

/// Makes the random part of instance ids.
pub trait Ids {
    /// Returns six characters out of `a-z0-9`. One that is taken is asked for again.
    fn suffix(&mut self) -> String;
}

/// Makes ids from a seed: the same seed, the same ids.
#[derive(Clone, Debug)]
pub struct SeededIds(u64);

/// One instance, of a node or of a group.
#[derive(Clone, Debug, PartialEq)]
struct Instance {
    /// The name of the node or the group.
    name: String,
    is_group: bool,
    /// What the plan says about it.
    fields: Object<String, Json>,
}

/// A relationship of an instance: what is written into it, and where in the list.
#[derive(Clone, Debug, PartialEq)]
struct Link {
    fields: Object<String, Json>,
    /// The place among the relationships of the node; -1 for what only groups know.
    index: i64,
    /// Whether a group stands in for the real target.
    is_replaced: bool,
    /// Whether it only says that something is in a group.
    is_group: bool,
}

/// Instance ids that are not to be given again, by node.
pub type TakenIds = BTreeMap<String, BTreeSet<String>>;

type InstanceGraph = Graph<Instance, Link>;

/// What is known while instances are made.
struct Making<'m> {
    plan: &'m PlanGraph,
    ids: &'m mut dyn Ids,
    /// The ids that are taken, by node.
    taken: TakenIds,
    made: InstanceGraph,
}

/// Adds `node_instances` to a plan whose functions are evaluated. `taken` holds the ids, by
/// node, that are not to be given again.
pub fn create_node_instances(
    plan: &mut Json,
    ids: &mut dyn Ids,
    taken: TakenIds,
) -> Result<(), Refusal> {
    let graph = PlanGraph::of(&plan["nodes"], &plan["scaling_groups"])?;
    let mut making = Making { plan: &graph, ids, taken, made: InstanceGraph::default() };
    making.grow(&mut grow::Fresh)?;
    let contained = making.made.clone();
    making.relate(&contained, None)?;
    plan["node_instances"] = Json::Array(extract::instances(&making.made, &contained, None));
    Ok(())
}

// === impl SeededIds ===

impl SeededIds {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number of the sequence (splitmix64).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Ids for SeededIds {
    fn suffix(&mut self) -> String {
        const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut number = self.next();
        (0..6)
            .map(|_| {
                let letter = ALPHABET[usize::try_from(number % 36).unwrap_or(0)];
                number /= 36;
                char::from(letter)
            })
            .collect()
    }
}

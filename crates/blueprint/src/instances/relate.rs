//! Draws the relationships between instances that do not contain each other.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;

use super::{
    InstanceGraph, Link, Making,
    plan_graph::{Connection, PlanGraph, Relation},
};
use crate::{Kind, Refusal};

/// The most relationships between the instances of one deployment: all to all multiplies.
const MOST: usize = 1_000_000;

// === impl Making ===

impl Making<'_> {
    /// Connects the instances. `contained` holds them as they are contained in each other;
    /// `previous` is what was, whose choice of "one" stays.
    pub(super) fn relate(
        &mut self,
        contained: &InstanceGraph,
        previous: Option<&InstanceGraph>,
    ) -> Result<(), Refusal> {
        let mut by_node: HashMap<&str, Vec<&str>> = HashMap::new();
        for (id, instance) in contained.nodes() {
            by_node.entry(&instance.name).or_default().push(id);
        }
        let chosen = previous.map(chosen).unwrap_or_default();
        let none = vec![];
        let mut drawn = 0;
        let plan: &PlanGraph = self.plan;
        for (source, target, relation) in plan.connections() {
            let connection = relation.connection()?;
            let sources = by_node.get(source).unwrap_or(&none);
            let targets = by_node.get(target).unwrap_or(&none);
            if sources.is_empty() || targets.is_empty() {
                continue;
            }
            let group = plan.shared_group(source, target);
            match (connection, group) {
                (Connection::AllToOne, Some(group)) => {
                    let message = format!(
                        "`{source}` and `{target}` are both in the group `{group}`, where \
                         `all_to_one` cannot connect them"
                    );
                    return Err(Refusal::new(Kind::AllToOneInGroup, message));
                }
                (Connection::AllToOne, None) => {
                    let one = one_target(&chosen, source, target, relation, targets)?;
                    self.connect(sources, &[&one], relation, &mut drawn)?;
                }
                (Connection::AllToAll, None) => {
                    self.connect(sources, targets, relation, &mut drawn)?;
                }
                (Connection::AllToAll, Some(group)) => {
                    let sources = by_group(contained, sources, group);
                    let targets = by_group(contained, targets, group);
                    for (group, sources) in sources {
                        let targets = targets.get(group).unwrap_or(&none);
                        self.connect(&sources, targets, relation, &mut drawn)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Draws every link from `sources` to `targets`; `drawn` counts those of the deployment.
    fn connect(
        &mut self,
        sources: &[&str],
        targets: &[&str],
        relation: &Relation,
        drawn: &mut usize,
    ) -> Result<(), Refusal> {
        *drawn = drawn.saturating_add(sources.len().saturating_mul(targets.len()));
        if *drawn > MOST {
            let message = format!("the deployment has more than {MOST} relationships");
            return Err(Refusal::new(Kind::Runtime, message));
        }
        for source in sources {
            for target in targets {
                self.made.link(source, target, Link::new(relation, target));
            }
        }
        Ok(())
    }
}

/// The targets that were: by the source's node, the target's node and the type.
type Chosen = HashMap<(String, String, String), BTreeSet<String>>;

fn chosen(previous: &InstanceGraph) -> Chosen {
    let mut chosen = Chosen::new();
    for (source, target, link) in previous.edges() {
        let name = |id| previous.node(id).map(|instance| instance.name.clone()).unwrap_or_default();
        let key = (name(source), name(target), link.text("type").to_owned());
        chosen.entry(key).or_default().insert(link.text("target_id").to_owned());
    }
    chosen
}

fn one_target(
    chosen: &Chosen,
    source: &str,
    target: &str,
    relation: &Relation,
    targets: &[&str],
) -> Result<String, Refusal> {
    let key = (source.to_owned(), target.to_owned(), relation.type_name.clone());
    match chosen.get(&key) {
        None => Ok(targets.iter().min().copied().unwrap_or_default().to_owned()),
        Some(known) if known.len() == 1 => Ok(known.iter().next().cloned().unwrap_or_default()),
        Some(_) => {
            let message =
                format!("`{source}` is connected to several instances of `{target}`, not to one");
            Err(Refusal::new(Kind::AllToOneState, message))
        }
    }
}

/// Sorts instances by the instance of a group they are in.
fn by_group<'i>(
    contained: &'i InstanceGraph,
    ids: &[&'i str],
    group: &str,
) -> IndexMap<&'i str, Vec<&'i str>> {
    let mut sorted: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for id in ids {
        let mut here = *id;
        while let Some((outer, _)) = contained.out(here).next() {
            here = outer;
            if contained.node(here).is_some_and(|it| it.is_group && it.name == group) {
                sorted.entry(here).or_default().push(id);
                break;
            }
        }
    }
    sorted
}

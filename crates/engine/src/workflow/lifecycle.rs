//! The lives of many instances, each waiting for those it is related to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Site, heal, install, rollback, steps::Steps, uninstall, update};
use crate::{
    Side,
    graph::{Call, Graph, GroupIx, Handler, Rule, TaskIx},
    world::{InstanceIx, Link, World},
};

const ESTABLISH: &str = "cloudify.interfaces.relationship_lifecycle.establish";
const UNLINK: &str = "cloudify.interfaces.relationship_lifecycle.unlink";
const LIFECYCLE: &str = "cloudify.interfaces.lifecycle.";

/// What is done with each chosen instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Install,
    Uninstall {
        ignore_failure: bool,
    },
    Rollback {
        ignore_failure: bool,
    },
    Heal,
    Update,
    /// Nothing but relationships that come.
    Establish,
    /// Nothing but relationships that go.
    Unlink,
}

/// Which way round instances wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    /// Sources wait for their targets.
    Up,
    Down,
}

/// A phase that does the same with all chosen instances. Of those that are not chosen only
/// relationships to the chosen are touched.
#[derive(Debug)]
pub(super) struct Lifecycle {
    doing: Doing,
    chosen: BTreeSet<InstanceIx>,
    /// Relationships that are touched although neither end is chosen, by node.
    modified: BTreeMap<String, BTreeSet<String>>,
}

/// The group of each instance.
pub(super) type Groups = BTreeMap<InstanceIx, GroupIx>;

// === impl Doing ===

impl Doing {
    fn direction(self) -> Direction {
        match self {
            Self::Install | Self::Heal | Self::Update | Self::Establish => Direction::Up,
            Self::Uninstall { .. } | Self::Rollback { .. } | Self::Unlink => Direction::Down,
        }
    }
}

// === impl Lifecycle ===

impl Lifecycle {
    pub(super) fn new(doing: Doing, chosen: BTreeSet<InstanceIx>) -> Self {
        Self { doing, chosen, modified: BTreeMap::new() }
    }

    /// A phase that establishes or unlinks relationships of instances that stay.
    pub(super) fn of_relationships(
        doing: Doing,
        modified: BTreeMap<String, BTreeSet<String>>,
    ) -> Self {
        Self { doing, chosen: BTreeSet::new(), modified }
    }

    pub(super) fn build(&self, site: &mut Site<'_>) {
        let mut groups = Groups::new();
        for instance in &self.chosen {
            groups.insert(*instance, self.group(*instance, site));
        }
        for instance in self.intact(site.world) {
            groups.insert(instance, site.graph.add_group(instance, Rule::Fail));
        }
        for instance in &self.chosen {
            for link in self.links(*instance, site.world) {
                self.order(*instance, link, &groups, site);
            }
        }
        let intact: Vec<_> = match self.doing {
            // These touch no relationships of others.
            Doing::Heal | Doing::Update => Vec::new(),
            _ => self.intact(site.world).collect(),
        };
        for instance in intact {
            for link in self.links(instance, site.world) {
                self.order(instance, link, &groups, site);
                if self.chosen.contains(&link.target) || self.is_modified(instance, link, site) {
                    self.relate(instance, link, groups[&instance], site);
                }
            }
        }
        for group in groups.values() {
            site.graph.seal(*group);
        }
    }

    fn group(&self, instance: InstanceIx, site: &mut Site<'_>) -> GroupIx {
        let world = site.world;
        let (steps, rule) = match self.doing {
            Doing::Install => (install::steps(instance, world), Rule::Reinstall),
            Doing::Uninstall { ignore_failure: false } => {
                (uninstall::steps(instance, world), Rule::Uninstall)
            }
            Doing::Rollback { ignore_failure: false } => {
                (rollback::steps(instance, world), Rule::Fail)
            }
            Doing::Uninstall { ignore_failure: true } => {
                (uninstall::steps(instance, world).ignoring_failures(), Rule::Fail)
            }
            Doing::Rollback { ignore_failure: true } => {
                (rollback::steps(instance, world).ignoring_failures(), Rule::Fail)
            }
            Doing::Heal => (heal::steps(instance, world), Rule::Note),
            Doing::Update => (update::steps(instance, world), Rule::Note),
            Doing::Establish | Doing::Unlink => (Steps::new(instance), Rule::Fail),
        };
        steps.into_group(site, rule)
    }

    fn is_modified(&self, source: InstanceIx, link: Link, site: &Site<'_>) -> bool {
        let targets = self.modified.get(&site.world.node(source).id);
        targets.is_some_and(|targets| targets.contains(&site.world.node(link.target).id))
    }

    fn intact<'a>(&'a self, world: &'a World) -> impl Iterator<Item = InstanceIx> + 'a {
        world.all().filter(|instance| !self.chosen.contains(instance))
    }

    fn links(&self, instance: InstanceIx, world: &World) -> Vec<Link> {
        let mut links = world.instance(instance).relationships.clone();
        if self.doing.direction() == Direction::Down {
            links.reverse();
        }
        links
    }

    /// Lets the source wait for its target, or the other way round.
    fn order(&self, source: InstanceIx, link: Link, groups: &Groups, site: &mut Site<'_>) {
        let (waits, first) = match self.doing.direction() {
            Direction::Up => (source, link.target),
            Direction::Down => (link.target, source),
        };
        if waits == first {
            return;
        }
        let begin = site.graph.group(groups[&waits]).begin;
        let properties = &site.world.definition(source, link).properties;
        match properties.get("operation").and_then(Value::as_str) {
            None | Some("") => {
                let end = site.graph.group(groups[&first]).end;
                site.graph.wait(begin, end);
            }
            // `depends_on_lifecycle_operation`: what comes after that operation.
            Some(operation) => {
                for after in behind(operation, first, groups[&first], site.graph) {
                    site.graph.wait(begin, after);
                }
            }
        }
    }

    /// Connects an instance that stays with one that comes, or takes it from one that goes.
    fn relate(&self, source: InstanceIx, link: Link, group: GroupIx, site: &mut Site<'_>) {
        let (name, handler) = match self.doing.direction() {
            Direction::Up => (ESTABLISH, Handler::Plain),
            Direction::Down => (UNLINK, Handler::Ignore),
        };
        let mut steps = Steps::new(source);
        for side in [Side::Source, Side::Target] {
            let call = Call::of_side(site.world, side, source, link, name);
            steps.call(call.map(|call| call.handled(handler)));
        }
        steps.extend(site.graph, group);
    }
}

/// Puts another try into a renewed group: what is left of the instance goes, and it comes again.
pub(crate) fn again(instance: InstanceIx, group: GroupIx, rule: Rule, site: &mut Site<'_>) {
    let mut steps = Steps::new(instance);
    if rule == Rule::Reinstall {
        steps.tell("Node lifecycle failed. Attempting to re-run node lifecycle");
    }
    steps.append(uninstall::steps(instance, site.world));
    if rule == Rule::Reinstall {
        steps.append(install::from_scratch(instance, site.world));
    }
    steps.extend(site.graph, group);
    site.graph.seal(group);
}

/// Lets each instance wait for the targets of its relationships, whatever they do.
pub(super) fn wait_for_targets(groups: &Groups, site: &mut Site<'_>) {
    for (instance, group) in groups {
        for link in &site.world.instance(*instance).relationships {
            if link.target != *instance {
                let begin = site.graph.group(*group).begin;
                let end = site.graph.group(groups[&link.target]).end;
                site.graph.wait(begin, end);
            }
        }
    }
}

/// What in a group comes right after a lifecycle operation.
fn behind(operation: &str, instance: InstanceIx, group: GroupIx, graph: &Graph) -> Vec<TaskIx> {
    let is_it = |call: &Call| {
        call.instance == instance && call.name.strip_prefix(LIFECYCLE) == Some(operation)
    };
    let found = graph.calls_of(group).find(|(_, call)| is_it(call));
    found.map(|(task, _)| graph.task(task).then.clone()).unwrap_or_default()
}

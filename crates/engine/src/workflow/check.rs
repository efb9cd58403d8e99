//! `check_status` and `check_drift`: one operation each, the outcome written down.

use std::collections::{BTreeMap, BTreeSet};

use super::{Filter, Site, lifecycle::wait_for_targets, steps::Steps};
use crate::{
    Refusal, Side,
    graph::{Call, Drift, Handler, Rule},
    parameters::Parameters,
    world::{InstanceIx, World},
};

const CHECK_STATUS: &str = "cloudify.interfaces.validation.check_status";
const CHECK_DRIFT: &str = "cloudify.interfaces.lifecycle.check_drift";
const CHECK_RELATED: &str = "cloudify.interfaces.relationship_lifecycle.check_drift";

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looking {
    Status,
    /// At the instance and at both sides of its relationships.
    Drift,
}

/// A look at many instances.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    looking: Looking,
    filter: Filter,
    run_by_dependency_order: bool,
    ignore_failure: bool,
}

// === impl Check ===

impl Check {
    pub(super) fn new(
        looking: Looking,
        given: &Parameters,
        filter: Filter,
    ) -> Result<Self, Refusal> {
        let by_order = looking == Looking::Drift;
        Ok(Self {
            looking,
            filter,
            run_by_dependency_order: given.flag("run_by_dependency_order", by_order)?,
            ignore_failure: given.flag("ignore_failure", false)?,
        })
    }

    pub(super) fn build(&self, site: &mut Site<'_>) {
        self.build_for(&self.filter.select(site.world), site);
    }

    fn build_for(&self, chosen: &BTreeSet<InstanceIx>, site: &mut Site<'_>) {
        let ignore_failure = self.ignore_failure;
        let mut groups = BTreeMap::new();
        for instance in site.world.all() {
            let mut steps = Steps::new(instance);
            if chosen.contains(&instance) {
                let (name, handler) = match self.looking {
                    Looking::Status => (CHECK_STATUS, Handler::Status { ignore_failure }),
                    Looking::Drift => {
                        (CHECK_DRIFT, Handler::Drift { about: Drift::Instance, ignore_failure })
                    }
                };
                let call = Call::of_node(site.world, instance, name);
                steps.call(call.map(|call| call.handled(handler)));
            } else if !self.run_by_dependency_order {
                continue;
            }
            groups.insert(instance, steps.into_group(site, Rule::Fail));
        }
        if self.run_by_dependency_order {
            wait_for_targets(&groups, site);
        }
        for group in groups.values() {
            site.graph.seal(*group);
        }
        if self.looking == Looking::Drift {
            for instance in chosen {
                let end = site.graph.group(groups[instance]).end;
                for call in self.sides(*instance, site.world) {
                    // Each is alone: nothing waits for it, and its failure stops nothing.
                    let mut steps = Steps::new(*instance);
                    steps.call(Some(call));
                    let group = steps.into_group(site, Rule::Fail);
                    let begin = site.graph.group(group).begin;
                    site.graph.wait(begin, end);
                    site.graph.seal(group);
                }
            }
        }
    }

    fn sides(&self, source: InstanceIx, world: &World) -> Vec<Call> {
        let ignore_failure = self.ignore_failure;
        let links = &world.instance(source).relationships;
        let side = |side, link| {
            let call = Call::of_side(world, side, source, link, CHECK_RELATED)?;
            let about = match side {
                Side::Source => Drift::Source { target: link.target },
                Side::Target => Drift::Target { source },
            };
            Some(call.handled(Handler::Drift { about, ignore_failure }))
        };
        links
            .iter()
            .flat_map(|link| [side(Side::Source, *link), side(Side::Target, *link)])
            .flatten()
            .collect()
    }
}

/// A look at these instances that fails for nobody.
pub(super) fn look_at(looking: Looking, chosen: &BTreeSet<InstanceIx>, site: &mut Site<'_>) {
    let check = Check {
        looking,
        filter: Filter::default(),
        run_by_dependency_order: looking == Looking::Drift,
        ignore_failure: true,
    };
    check.build_for(chosen, site);
}

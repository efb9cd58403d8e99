//! `update`: from what a deployment was to what it is to be.
//!
//! What has changed is found outside ([`Update`]). The order is that of Cloudify's manager:
//! relationships and instances that go, then changes in place, then what has to be reinstalled
//! after all, then instances and relationships that come.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

use super::{
    Next, Past, Site,
    check::{self, Looking},
    lifecycle::{Doing, Lifecycle},
    steps::Steps,
};
use crate::{
    Refusal, Side, Start, Update,
    graph::{Action, Call},
    parameters::Parameters,
    world::{InstanceIx, World},
};

/// An update on its way.
#[derive(Debug)]
pub(crate) struct Updating {
    update: Update,
    added: BTreeSet<InstanceIx>,
    removed: BTreeSet<InstanceIx>,
    changed: BTreeSet<InstanceIx>,
    to_reinstall: BTreeSet<InstanceIx>,
    ignore_failure: bool,
    skip_reinstall: bool,
    /// What is still to be done.
    stages: VecDeque<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Unlink,
    UninstallRemoved,
    CheckDrift,
    Update,
    UninstallAgain,
    InstallAgain,
    InstallAdded,
    Establish,
}

// === impl Updating ===

impl Updating {
    pub(super) fn new(given: &Parameters, start: &Start, world: &World) -> Result<Self, Refusal> {
        let impossible =
            |reason: String| Refusal::Impossible { workflow: given.workflow().to_owned(), reason };
        let Some(update) = start.update.clone() else {
            return Err(impossible("its deployment update is not made".to_owned()));
        };
        let find = |ids: &[String]| {
            let one = |id: &String| {
                world.find(id).ok_or_else(|| {
                    impossible(format!("its update names `{id}`, which does not exist"))
                })
            };
            ids.iter().map(one).collect::<Result<BTreeSet<_>, _>>()
        };
        Ok(Self {
            added: find(&update.added)?,
            removed: find(&update.removed)?,
            changed: find(&update.changed)?,
            to_reinstall: find(&update.reinstall)?,
            update,
            ignore_failure: given.flag("ignore_failure", false)?,
            skip_reinstall: given.flag("skip_reinstall", false)?,
            stages: stages(given)?,
        })
    }

    pub(super) fn phase(&mut self, past: Past, site: &mut Site<'_>) -> Next {
        if let Err(error) = past.last {
            return Next::Failed(error);
        }
        // Only updating notes failures: what could not be updated is reinstalled.
        self.to_reinstall.extend(past.noted);
        let ignore_failure = self.ignore_failure;
        let Some(stage) = self.stages.pop_front() else { return Next::Done };
        let lifecycle = match stage {
            Stage::Unlink => {
                Lifecycle::of_relationships(Doing::Unlink, self.update.reduced.clone())
            }
            Stage::UninstallRemoved => {
                Lifecycle::new(Doing::Uninstall { ignore_failure }, self.removed.clone())
            }
            Stage::CheckDrift => {
                check::look_at(Looking::Drift, &self.changed, site);
                return Next::Phase;
            }
            Stage::Update => Lifecycle::new(Doing::Update, self.changed.clone()),
            Stage::UninstallAgain => {
                Lifecycle::new(Doing::Uninstall { ignore_failure }, self.again())
            }
            Stage::InstallAgain => Lifecycle::new(Doing::Install, self.again()),
            Stage::InstallAdded => Lifecycle::new(Doing::Install, self.added.clone()),
            Stage::Establish => {
                Lifecycle::of_relationships(Doing::Establish, self.update.extended.clone())
            }
        };
        lifecycle.build(site);
        Next::Phase
    }

    fn again(&self) -> BTreeSet<InstanceIx> {
        if self.skip_reinstall { BTreeSet::new() } else { self.to_reinstall.clone() }
    }
}

fn stages(given: &Parameters) -> Result<VecDeque<Stage>, Refusal> {
    use Stage::{
        CheckDrift, Establish, InstallAdded, InstallAgain, UninstallAgain, UninstallRemoved, Unlink,
    };
    let skipped = |name: &str, stages: &'static [Stage]| {
        Ok(if given.flag(name, false)? { &[][..] } else { stages })
    };
    let go = skipped("skip_uninstall", &[Unlink, UninstallRemoved])?;
    let look = skipped("skip_drift_check", &[CheckDrift])?;
    let change = &[Stage::Update, UninstallAgain, InstallAgain][..];
    let come = skipped("skip_install", &[InstallAdded, Establish])?;
    let order = if given.flag("install_first", false)? {
        [come, go, look, change]
    } else {
        [go, look, change, come]
    };
    Ok(order.concat().into())
}

/// The operations that bring an instance and its relationships to what they are to be, where
/// they have drifted from it.
pub(super) fn steps(instance: InstanceIx, world: &World) -> Steps {
    let mut calls = Steps::new(instance);
    let drift = property(instance, world, "configuration_drift");
    if drift.and_then(|drift| drift.get("result")).is_some_and(crate::message::is_true) {
        for name in [
            "cloudify.interfaces.lifecycle.preupdate",
            "cloudify.interfaces.lifecycle.update",
            "cloudify.interfaces.lifecycle.postupdate",
            "cloudify.interfaces.lifecycle.update_config",
            "cloudify.interfaces.lifecycle.update_apply",
            "cloudify.interfaces.lifecycle.update_postapply",
        ] {
            calls.call(Call::of_node(world, instance, name));
        }
    }
    for link in &world.instance(instance).relationships {
        for (side, owner, other, name) in [
            (Side::Source, instance, link.target, "source_relationships_configuration_drift"),
            (Side::Target, link.target, instance, "target_relationships_configuration_drift"),
        ] {
            const UPDATE: &str = "cloudify.interfaces.relationship_lifecycle.update";
            let other = world.instance(other).id.as_str();
            if property(owner, world, name).is_some_and(|drifts| drifts.get(other).is_some()) {
                calls.call(Call::of_side(world, side, instance, *link, UPDATE));
            }
        }
    }
    let mut all = Steps::new(instance);
    if !calls.is_empty() {
        all.tell("Updating node instance")
            .append(calls)
            .tell("Node instance updated")
            .act(Action::SetUpdated(instance));
    }
    all
}

fn property<'w>(instance: InstanceIx, world: &'w World, name: &str) -> Option<&'w Value> {
    world.instance(instance).system_properties.get(name)
}

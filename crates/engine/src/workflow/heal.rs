//! `heal`: look at a part of the deployment, heal what is ill, reinstall what cannot be healed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Next, Past, Site,
    check::{self, Looking},
    filter::refusal,
    lifecycle::{Doing, Lifecycle},
    steps::Steps,
};
use crate::{
    Refusal,
    graph::{Action, Call},
    parameters::Parameters,
    refusal::Known,
    world::{InstanceIx, World},
};

const HEAL: &str = "cloudify.interfaces.lifecycle.heal";

#[derive(Debug)]
pub(crate) struct Heal {
    /// One instance, or all.
    target: Option<InstanceIx>,
    ignore_failure: bool,
    check_status: bool,
    allow_reinstall: bool,
    next: Stage,
    to_reinstall: BTreeSet<InstanceIx>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Check,
    Heal,
    Uninstall,
    Install,
    Done,
}

// === impl Heal ===

impl Heal {
    pub(super) fn new(given: &Parameters, world: &World) -> Result<Self, Refusal> {
        given.text("diagnose_value")?;
        let target = match given.text("node_instance_id")? {
            None => None,
            Some(id) => Some(world.find(&id).ok_or_else(|| {
                let known = Known::of(&id, world.ids());
                refusal(given, "node_instance_id", "node instance", &id, known)
            })?),
        };
        let mut heal = Self {
            target,
            ignore_failure: given.flag("ignore_failure", true)?,
            check_status: given.flag("check_status", true)?,
            allow_reinstall: given.flag("allow_reinstall", true)?,
            next: Stage::Check,
            to_reinstall: BTreeSet::new(),
        };
        if given.flag("force_reinstall", false)? {
            heal.to_reinstall = heal.part(world);
            heal.next = Stage::Uninstall;
        }
        Ok(heal)
    }

    /// Each stage decides by what the one before it has written down.
    pub(super) fn phase(&mut self, past: Past, site: &mut Site<'_>) -> Next {
        let stage = self.next;
        match stage {
            Stage::Check => {
                if self.check_status {
                    check::look_at(Looking::Status, &self.part(site.world), site);
                }
                self.next = Stage::Heal;
            }
            Stage::Heal => {
                if let Err(error) = past.last {
                    return Next::Failed(error);
                }
                let to_heal = self.triage(site.world);
                if let Some(refused) = self.not_allowed(site.world) {
                    return refused;
                }
                Lifecycle::new(Doing::Heal, to_heal).build(site);
                self.next = Stage::Uninstall;
            }
            Stage::Uninstall => {
                // What could not be healed can still be reinstalled.
                self.to_reinstall.extend(past.noted);
                if self.to_reinstall.is_empty() {
                    return Next::Done;
                }
                if let Some(refused) = self.not_allowed(site.world) {
                    return refused;
                }
                let doing = Doing::Uninstall { ignore_failure: self.ignore_failure };
                Lifecycle::new(doing, self.to_reinstall.clone()).build(site);
                self.next = Stage::Install;
            }
            Stage::Install | Stage::Done => {
                if let Err(error) = past.last {
                    return Next::Failed(error);
                }
                if stage == Stage::Done {
                    return Next::Done;
                }
                Lifecycle::new(Doing::Install, self.to_reinstall.clone()).build(site);
                self.next = Stage::Done;
            }
        }
        Next::Phase
    }

    /// The instances that are looked at: what is contained in the host of the target.
    fn part(&self, world: &World) -> BTreeSet<InstanceIx> {
        let Some(target) = self.target else { return world.all().collect() };
        let host = world.instance(target).host.as_deref().and_then(|host| world.find(host));
        world.contained_subgraph(host.unwrap_or(target)).into_iter().collect()
    }

    /// Parts those that can be healed from those that have to be reinstalled with all that is
    /// contained in them.
    fn triage(&mut self, world: &World) -> BTreeSet<InstanceIx> {
        let mut to_heal = BTreeSet::new();
        for instance in self.part(world) {
            if is_well(instance, world, self.target.is_some()) {
                continue;
            }
            if world.node(instance).operation(HEAL).is_some() {
                to_heal.insert(instance);
            } else {
                self.to_reinstall.extend(world.contained_subgraph(instance));
            }
        }
        to_heal.retain(|instance| !self.to_reinstall.contains(instance));
        to_heal
    }

    fn not_allowed(&self, world: &World) -> Option<Next> {
        /// How many instances a sentence lists.
        const MOST: usize = 5;
        if self.allow_reinstall || self.to_reinstall.is_empty() {
            return None;
        }
        let ids = self.to_reinstall.iter().map(|instance| world.instance(*instance).id.as_str());
        let names = ids.take(MOST).collect::<Vec<_>>().join(", ");
        let more = match self.to_reinstall.len().saturating_sub(MOST) {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        Some(Next::Failed(format!(
            "allow_reinstall is false, but would need to reinstall instances: {names}{more}"
        )))
    }
}

/// All operations of healing, in order; what is not implemented is left out.
pub(super) fn steps(instance: InstanceIx, world: &World) -> Steps {
    let mut all = Steps::new(instance);
    all.tell("Healing node instance");
    for name in
        ["cloudify.interfaces.lifecycle.preheal", HEAL, "cloudify.interfaces.lifecycle.postheal"]
    {
        all.call(Call::of_node(world, instance, name));
    }
    all.tell("Node instance healed").act(Action::SetHealed(instance));
    all
}

/// A target of its own is only well when it has been looked at; others are well until they
/// are found ill.
fn is_well(instance: InstanceIx, world: &World, has_to_be_seen: bool) -> bool {
    let status = world.instance(instance).system_properties.get("status");
    let given = status.and_then(|status| Some((status.get("ok")?, status.get("task")?)));
    let (ok, task) = given.unwrap_or((&Value::Null, &Value::Null));
    *ok == Value::Bool(true) || (task.is_null() && !has_to_be_seen)
}

//! `scale`: more or fewer instances of a node or a group.
//!
//! Which instances come and go is decided outside, by a *deployment modification*: the workflow
//! says what it wants ([`ModificationRequest`]), the modification is made, and its instances are
//! in the start of the execution. The workflow installs or uninstalls them, and closes it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Next, Past, Site,
    lifecycle::{Doing, Lifecycle},
};
use crate::{
    ModificationEnd, ModificationRequest, Refusal, Start,
    parameters::Parameters,
    refusal::Known,
    world::{InstanceIx, World},
};

#[derive(Debug)]
pub(crate) struct Scale {
    /// The instances that come or go.
    chosen: BTreeSet<InstanceIx>,
    direction: Direction,
    ignore_failure: bool,
    rollback_if_failed: bool,
    /// Why scaling out failed, while it is taken back.
    failed: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Out,
    In,
    /// Nothing is asked for.
    Nowhere,
}

// === impl Scale ===

impl Scale {
    pub(super) fn new(given: &Parameters, start: &Start, world: &World) -> Result<Self, Refusal> {
        let request = request(given, world)?;
        let (direction, ids) = match (&request, &start.modification) {
            (None, _) => (Direction::Nowhere, &[][..]),
            (Some(_), None) => {
                return Err(impossible(
                    given,
                    "its deployment modification is not made".to_owned(),
                ));
            }
            (Some(request), Some(made)) if request.delta > 0 => (Direction::Out, &made.added[..]),
            (Some(_), Some(made)) => (Direction::In, &made.removed[..]),
        };
        let find = |id: &String| {
            world.find(id).ok_or_else(|| {
                impossible(given, format!("its modification names `{id}`, which does not exist"))
            })
        };
        Ok(Self {
            chosen: ids.iter().map(find).collect::<Result<_, _>>()?,
            direction,
            ignore_failure: given.flag("ignore_failure", false)?,
            rollback_if_failed: given.flag("rollback_if_failed", true)?,
            failed: None,
        })
    }

    pub(super) fn phase(&mut self, past: Past, site: &mut Site<'_>) -> Next {
        if let Some(failed) = self.failed.take() {
            return Next::Failed(failed);
        }
        let doing = match (past.phase, past.last, self.direction) {
            (_, _, Direction::Nowhere) => return Next::Done,
            (0, _, Direction::Out) => Doing::Install,
            (0, _, Direction::In) => Doing::Uninstall { ignore_failure: self.ignore_failure },
            (_, Ok(()), _) => return Next::Done,
            (_, Err(failed), Direction::Out) if self.rollback_if_failed => {
                self.failed = Some(failed);
                Doing::Rollback { ignore_failure: self.ignore_failure }
            }
            (_, Err(failed), _) => return Next::Failed(failed),
        };
        Lifecycle::new(doing, self.chosen.clone()).build(site);
        Next::Phase
    }

    /// What becomes of the modification.
    pub(super) fn modification_end(&self, is_well: bool) -> Option<ModificationEnd> {
        match (self.direction, is_well) {
            (Direction::Nowhere, _) => None,
            (_, true) => Some(ModificationEnd::Finish),
            (_, false) => self.rollback_if_failed.then_some(ModificationEnd::RollBack),
        }
    }
}

/// What modification the workflow needs; none for a delta of 0.
pub(super) fn request(
    given: &Parameters,
    world: &World,
) -> Result<Option<ModificationRequest>, Refusal> {
    let entity = match given.text("scalable_entity_name")? {
        Some(name) => name,
        // The name in Cloudify's first types.
        None => match given.text("node_id")? {
            Some(name) => name,
            None => given.needed_text("scalable_entity_name")?,
        },
    };
    let delta = given.integer("delta")?.unwrap_or(1);
    let include = given.name_or_names("include_instances")?;
    let exclude = given.name_or_names("exclude_instances")?;
    let scale_compute = given.flag("scale_compute", false)?;
    if delta == 0 {
        return Ok(None);
    }
    let is_hinted = !include.is_empty() || !exclude.is_empty();
    if delta > 0 && is_hinted {
        let reason = "instances can only be included or excluded when scaling in".to_owned();
        return Err(impossible(given, reason));
    }
    if is_hinted && scale_compute {
        let reason = "instances cannot be included or excluded with `scale_compute`: name the \
                      host node and set `scale_compute` to false";
        return Err(impossible(given, reason.to_owned()));
    }

    let plan = world.plan();
    let (target, current, places) = if let Some(group) = plan.scaling_groups.get(&entity) {
        let members = members(world);
        (entity.clone(), group.properties.current_instances, members)
    } else {
        let node = |id: &str| plan.nodes.iter().find(|node| node.id == id);
        let Some(named) = node(&entity) else {
            let nodes = plan.nodes.iter().map(|node| node.id.as_str());
            let names = nodes.chain(plan.scaling_groups.keys().map(String::as_str));
            let known = Known::of(&entity, names);
            let kind = "node or scaling group";
            return Err(super::filter::refusal(
                given,
                "scalable_entity_name",
                kind,
                &entity,
                known,
            ));
        };
        let host = named.host_id.as_deref().filter(|_| scale_compute).and_then(node);
        let scaled = host.unwrap_or(named);
        let own = world.all().filter(|instance| world.node(*instance).id == entity);
        let places = own
            .map(|instance| world.instance(instance).id.clone())
            .map(|id| (id.clone(), BTreeSet::from([id])))
            .collect();
        (scaled.id.clone(), scaled.capabilities.scalable.properties.current_instances, places)
    };
    let planned = current + delta;
    if planned < 0 {
        let reason =
            format!("`{entity}` has {current} instances, so a delta of {delta} is too low");
        return Err(impossible(given, reason));
    }
    check_hints(given, &include, &exclude, &places, delta)?;
    Ok(Some(ModificationRequest {
        entity: target,
        instances: planned,
        delta,
        removed_ids_include_hint: include,
        removed_ids_exclude_hint: exclude,
        abort_started: given.flag("abort_started", false)?,
    }))
}

/// The instances of scaling groups, and which node instances each has.
fn members(world: &World) -> BTreeMap<String, BTreeSet<String>> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for instance in world.all() {
        let instance = world.instance(instance);
        for group in &instance.scaling_groups {
            groups.entry(group.id.clone()).or_default().insert(instance.id.clone());
        }
    }
    groups
}

/// `places` are the instances of what is scaled; for a group, with their members.
fn check_hints(
    given: &Parameters,
    include: &[String],
    exclude: &[String],
    places: &BTreeMap<String, BTreeSet<String>>,
    delta: i64,
) -> Result<(), Refusal> {
    let stands_for = |id: &String| {
        let is_it =
            |(place, members): &(&String, &BTreeSet<String>)| *place == id || members.contains(id);
        places.iter().find(is_it).map(|(place, _)| place)
    };
    for (parameter, ids) in [("include_instances", include), ("exclude_instances", exclude)] {
        if let Some(unknown) = ids.iter().find(|id| stands_for(id).is_none()) {
            let all = places.iter().flat_map(|(place, members)| members.iter().chain([place]));
            let known = Known::of(unknown, all.map(String::as_str));
            return Err(super::filter::refusal(given, parameter, "instance", unknown, known));
        }
    }
    if let Some(both) = include.iter().find(|id| exclude.contains(id)) {
        return Err(impossible(given, format!("`{both}` is both included and excluded")));
    }
    let kept: BTreeSet<&String> = exclude.iter().filter_map(stands_for).collect();
    let left = i64::try_from(places.len()).unwrap_or(i64::MAX).saturating_add(delta);
    if left < i64::try_from(kept.len()).unwrap_or(i64::MAX) {
        let reason = format!("{} instances are excluded, but only {left} are to stay", kept.len());
        return Err(impossible(given, reason));
    }
    Ok(())
}

fn impossible(given: &Parameters, reason: String) -> Refusal {
    Refusal::Impossible { workflow: given.workflow().to_owned(), reason }
}

//! The built-in workflows: which phases they have and which tasks each phase has.
//!
//! A phase is a task graph of its own, built from the states that the phases before it have
//! left behind. What they do, and in which order, is `cloudify/plugins/workflows.py`'s word.

use std::collections::{BTreeMap, BTreeSet};

use waggoner_types::plan::Plan;

use crate::{
    ModificationEnd, ModificationRequest, Refusal, Start,
    graph::Graph,
    parameters::Parameters,
    refusal::Known,
    world::{InstanceIx, World},
};

mod check;
mod execute;
mod filter;
mod heal;
mod host;
mod install;
mod lifecycle;
mod relationships;
mod resume;
mod rollback;
mod scale;
mod steps;
mod uninstall;
mod update;

use check::{Check, Looking};
use execute::ExecuteOperation;
use filter::Filter;
use heal::Heal;
use lifecycle::{Doing, Lifecycle};
use scale::Scale;
use update::Updating;

pub(crate) use lifecycle::again;
pub(crate) use resume::cleanup;
pub(crate) use steps::Steps;

/// A workflow with its parameters.
#[derive(Debug)]
pub(crate) enum Workflow {
    Install(Filter),
    Uninstall {
        filter: Filter,
        ignore_failure: bool,
    },
    Reinstall {
        filter: Filter,
        ignore_failure: bool,
    },
    Execute(ExecuteOperation),
    /// Stop, then start.
    Restart(Box<[ExecuteOperation; 2]>),
    CheckStatus(Check),
    CheckDrift(Check),
    Heal(Heal),
    Rollback {
        filter: Filter,
        full_rollback: bool,
    },
    Scale(Scale),
    Update(Box<Updating>),
}

/// What a phase comes after.
#[derive(Debug)]
pub(crate) struct Past {
    /// The number of the phase, from 0.
    pub(crate) phase: u32,
    /// How the phase before it ended.
    pub(crate) last: Result<(), String>,
    /// Whose failure in it was noted and passed over.
    pub(crate) noted: BTreeSet<InstanceIx>,
}

/// What a phase is built in and from.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) graph: &'a mut Graph,
    pub(crate) world: &'a World,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The phase has been built.
    Phase,
    /// The workflow has done all it had to.
    Done,
    /// It cannot go on.
    Failed(String),
}

/// The built-in workflows, and the parameters they read even where undeclared.
const BUILT_IN: &[(&str, &[&str])] = &[
    ("check_drift", CHECK),
    ("check_status", CHECK),
    (
        "execute_operation",
        &[
            "operation",
            "operation_kwargs",
            "allow_kwargs_override",
            "run_by_dependency_order",
            "type_names",
            "node_ids",
            "node_instance_ids",
        ],
    ),
    (
        "heal",
        &[
            "node_instance_id",
            "diagnose_value",
            "ignore_failure",
            "check_status",
            "allow_reinstall",
            "force_reinstall",
        ],
    ),
    ("install", &["node_ids", "node_instance_ids", "type_names"]),
    ("reinstall", &["ignore_failure", "node_ids", "node_instance_ids", "type_names"]),
    (
        "restart",
        &[
            "stop_parms",
            "start_parms",
            "run_by_dependency_order",
            "type_names",
            "node_ids",
            "node_instance_ids",
        ],
    ),
    ("rollback", &["full_rollback", "node_ids", "node_instance_ids", "type_names"]),
    (
        "scale",
        &[
            "scalable_entity_name",
            "node_id",
            "delta",
            "scale_compute",
            "ignore_failure",
            "include_instances",
            "exclude_instances",
            "rollback_if_failed",
            "abort_started",
        ],
    ),
    ("start", PARMS),
    ("stop", PARMS),
    ("pull", PARMS),
    (
        "update",
        &[
            "ignore_failure",
            "install_first",
            "skip_drift_check",
            "skip_install",
            "skip_reinstall",
            "skip_uninstall",
        ],
    ),
    ("uninstall", &["ignore_failure", "node_ids", "node_instance_ids", "type_names"]),
];

const CHECK: &[&str] =
    &["run_by_dependency_order", "type_names", "node_ids", "node_instance_ids", "ignore_failure"];

const PARMS: &[&str] =
    &["operation_parms", "run_by_dependency_order", "type_names", "node_ids", "node_instance_ids"];

/// Where `dsl_parser` says the built-in workflows are.
const MODULE: &str = "cloudify.plugins.workflows.";

// === impl Workflow ===

impl Workflow {
    /// Finds the workflow that is to be started and checks its parameters.
    pub(crate) fn new(start: &Start, world: &World) -> Result<Self, Refusal> {
        let (name, given) = read(start, world.plan())?;
        let filter = Filter::new(&given, world)?;
        let ignore_failure = |given: &Parameters| given.flag("ignore_failure", false);
        Ok(match name {
            "install" => Self::Install(filter),
            "uninstall" => Self::Uninstall { filter, ignore_failure: ignore_failure(&given)? },
            "reinstall" => Self::Reinstall { filter, ignore_failure: ignore_failure(&given)? },
            "execute_operation" => Self::Execute(ExecuteOperation::new(&given, filter, world)?),
            "start" => {
                Self::Execute(ExecuteOperation::of_start(&given, filter, "operation_parms")?)
            }
            "stop" => Self::Execute(ExecuteOperation::of_stop(&given, filter, "operation_parms")?),
            "pull" => Self::Execute(ExecuteOperation::of_pull(&given, filter)?),
            "restart" => Self::Restart(Box::new([
                ExecuteOperation::of_stop(&given, filter.clone(), "stop_parms")?,
                ExecuteOperation::of_start(&given, filter, "start_parms")?,
            ])),
            "check_status" => Self::CheckStatus(Check::new(Looking::Status, &given, filter)?),
            "check_drift" => Self::CheckDrift(Check::new(Looking::Drift, &given, filter)?),
            "heal" => Self::Heal(Heal::new(&given, world)?),
            "rollback" => {
                Self::Rollback { filter, full_rollback: given.flag("full_rollback", false)? }
            }
            "scale" => Self::Scale(Scale::new(&given, start, world)?),
            "update" => Self::Update(Box::new(Updating::new(&given, start, world)?)),
            other => unreachable!("`{other}` is listed as built in"),
        })
    }

    /// The modification that has to be made before the workflow is started.
    pub(crate) fn modification(
        start: &Start,
        world: &World,
    ) -> Result<Option<ModificationRequest>, Refusal> {
        let (name, given) = read(start, world.plan())?;
        if name == "scale" { scale::request(&given, world) } else { Ok(None) }
    }

    /// How often operations that do not say so themselves are tried again, where the workflow
    /// has an opinion.
    pub(crate) fn task_retries(&self) -> Option<i64> {
        matches!(self, Self::CheckStatus(_)).then_some(0)
    }

    /// What becomes of the modification when the execution ends.
    pub(crate) fn modification_end(&self, is_well: bool) -> Option<ModificationEnd> {
        match self {
            Self::Scale(scale) => scale.modification_end(is_well),
            // One that fails stays as it is: the next one, or resuming it, goes on from there.
            Self::Update(_) => is_well.then_some(ModificationEnd::Finish),
            _ => None,
        }
    }

    /// Builds a phase, or says that there is none.
    pub(crate) fn phase(&mut self, past: Past, site: &mut Site<'_>) -> Result<Next, Refusal> {
        match self {
            Self::Heal(heal) => return Ok(heal.phase(past, site)),
            Self::Scale(scale) => return Ok(scale.phase(past, site)),
            Self::Update(update) => return Ok(update.phase(past, site)),
            _ => {}
        }
        if let Err(error) = past.last {
            return Ok(Next::Failed(error));
        }
        match (self, past.phase) {
            (Self::Install(filter), 0) | (Self::Reinstall { filter, .. }, 1) => {
                Lifecycle::new(Doing::Install, filter.select(site.world)).build(site);
            }
            (
                Self::Uninstall { filter, ignore_failure }
                | Self::Reinstall { filter, ignore_failure },
                0,
            ) => {
                let doing = Doing::Uninstall { ignore_failure: *ignore_failure };
                Lifecycle::new(doing, filter.select(site.world)).build(site);
            }
            (Self::Execute(execute), 0) => execute.build(site)?,
            (Self::Restart(both), phase @ (0 | 1)) => both[phase as usize].build(site)?,
            (Self::CheckStatus(check) | Self::CheckDrift(check), 0) => check.build(site),
            (Self::Rollback { filter, .. }, 0) => {
                let chosen = rollback::unresolved(filter.select(site.world), site.world);
                Lifecycle::new(Doing::Rollback { ignore_failure: true }, chosen).build(site);
            }
            (Self::Rollback { full_rollback: true, .. }, 1) => {
                let all = site.world.all().collect();
                Lifecycle::new(Doing::Uninstall { ignore_failure: false }, all).build(site);
            }
            _ => return Ok(Next::Done),
        }
        Ok(Next::Phase)
    }
}

/// Finds the workflow, and puts its parameters together.
fn read<'p>(start: &'p Start, plan: &'p Plan) -> Result<(&'p str, Parameters), Refusal> {
    let (name, built_in) = find(start, plan)?;
    let none = BTreeMap::new();
    let declared = plan.workflows.get(&start.workflow).map_or(&none, |it| &it.parameters);
    Ok((name, Parameters::merge(start, declared, built_in)?))
}

/// The built-in workflow that a name stands for.
fn find<'p>(
    start: &'p Start,
    plan: &'p Plan,
) -> Result<(&'p str, &'static [&'static str]), Refusal> {
    let given = start.workflow.as_str();
    let declared = plan.workflows.get(given).map(|workflow| workflow.operation.as_str());
    let known = || {
        let declared = plan.workflows.iter().filter(|(name, declared)| {
            built_in(implementation(name, Some(&declared.operation))).is_some()
        });
        let others = BUILT_IN.iter().map(|(name, _)| *name);
        let others = others.filter(|name| !plan.workflows.contains_key(*name));
        Known::of(given, declared.map(|(name, _)| name.as_str()).chain(others))
    };
    match (built_in(implementation(given, declared)), declared) {
        (Some((name, parameters)), _) => Ok((name, parameters)),
        (None, None | Some("")) => {
            Err(Refusal::UnknownWorkflow { given: given.to_owned(), known: known() })
        }
        (None, Some(mapping)) => {
            Err(Refusal::NotBuiltIn { workflow: given.to_owned(), mapping: mapping.to_owned() })
        }
    }
}

/// The name by which the built-in workflows know what implements a workflow.
fn implementation<'n>(workflow: &'n str, mapping: Option<&'n str>) -> &'n str {
    let name = match mapping {
        None | Some("") => workflow,
        Some(mapping) => mapping.strip_prefix(MODULE).unwrap_or(mapping),
    };
    // What `types.yaml` of Cloudify calls by other names.
    match name {
        "auto_heal_reinstall_node_subgraph" => "heal",
        "scale_entity" => "scale",
        other => other,
    }
}

/// A built-in workflow and its parameters.
fn built_in(name: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
    BUILT_IN.iter().find(|(built_in, _)| *built_in == name)
}

#[cfg(test)]
mod tests;

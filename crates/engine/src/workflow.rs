//! The built-in workflows: which phases they have and which tasks each phase has.
//!
//! A phase is a task graph of its own, built from the states that the phases before it have
//! left behind. What they do, and in which order, is `cloudify/plugins/workflows.py`'s word.

use waggoner_types::plan::Plan;

use crate::{Refusal, Start, graph::Graph, parameters::Parameters, refusal::Known, world::World};

mod execute;
mod filter;
mod host;
mod install;
mod lifecycle;
mod relationships;
mod steps;
mod uninstall;

use execute::ExecuteOperation;
use filter::Filter;
use lifecycle::{Doing, Lifecycle};

pub(crate) use lifecycle::again;

/// A workflow with its parameters.
#[derive(Debug)]
pub(crate) enum Workflow {
    Install(Filter),
    Uninstall { filter: Filter, ignore_failure: bool },
    Reinstall { filter: Filter, ignore_failure: bool },
    Execute(ExecuteOperation),
    Restart { stop: ExecuteOperation, start: ExecuteOperation },
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
    ("start", PARMS),
    ("stop", PARMS),
    ("pull", PARMS),
    ("uninstall", &["ignore_failure", "node_ids", "node_instance_ids", "type_names"]),
];

const PARMS: &[&str] =
    &["operation_parms", "run_by_dependency_order", "type_names", "node_ids", "node_instance_ids"];

/// Where `dsl_parser` says the built-in workflows are.
const MODULE: &str = "cloudify.plugins.workflows.";

// === impl Workflow ===

impl Workflow {
    /// Finds the workflow that is to be started and checks its parameters.
    pub(crate) fn new(start: &Start, plan: &Plan, world: &World) -> Result<Self, Refusal> {
        let (name, built_in) = find(start, plan)?;
        let none = std::collections::BTreeMap::new();
        let declared = plan.workflows.get(&start.workflow).map_or(&none, |it| &it.parameters);
        let given = Parameters::merge(start, declared, built_in)?;

        let filter = Filter::new(&given, world)?;
        Ok(match name {
            "install" => Self::Install(filter),
            "uninstall" => {
                Self::Uninstall { filter, ignore_failure: given.flag("ignore_failure", false)? }
            }
            "reinstall" => {
                Self::Reinstall { filter, ignore_failure: given.flag("ignore_failure", false)? }
            }
            "execute_operation" => Self::Execute(ExecuteOperation::new(&given, filter, world)?),
            "start" => {
                Self::Execute(ExecuteOperation::of_start(&given, filter, "operation_parms")?)
            }
            "stop" => Self::Execute(ExecuteOperation::of_stop(&given, filter, "operation_parms")?),
            "pull" => Self::Execute(ExecuteOperation::of_pull(&given, filter)?),
            "restart" => Self::Restart {
                stop: ExecuteOperation::of_stop(&given, filter.clone(), "stop_parms")?,
                start: ExecuteOperation::of_start(&given, filter, "start_parms")?,
            },
            other => unreachable!("`{other}` is listed as built in"),
        })
    }

    /// Builds a phase, or says that there is none. `last` is how the phase before it ended.
    pub(crate) fn phase(
        &self,
        phase: u32,
        last: Result<(), String>,
        site: &mut Site<'_>,
    ) -> Result<Next, Refusal> {
        if let Err(error) = last {
            return Ok(Next::Failed(error));
        }
        match (self, phase) {
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
            (Self::Execute(execute), 0)
            | (Self::Restart { stop: execute, .. }, 0)
            | (Self::Restart { start: execute, .. }, 1) => execute.build(site)?,
            _ => return Ok(Next::Done),
        }
        Ok(Next::Phase)
    }
}

/// The built-in workflow that a name stands for.
fn find<'p>(
    start: &'p Start,
    plan: &'p Plan,
) -> Result<(&'p str, &'static [&'static str]), Refusal> {
    let given = start.workflow.as_str();
    let declared = plan.workflows.get(given).map(|workflow| workflow.operation.as_str());
    let known = || {
        let built_in = BUILT_IN.iter().map(|(name, _)| *name);
        Known::of(given, plan.workflows.keys().map(String::as_str).chain(built_in))
    };
    let name = match declared {
        None | Some("") => given,
        Some(mapping) => mapping.strip_prefix(MODULE).unwrap_or(mapping),
    };
    // What `types.yaml` of Cloudify calls by other names.
    let name = match name {
        "auto_heal_reinstall_node_subgraph" => "heal",
        "scale_entity" => "scale",
        other => other,
    };
    match (BUILT_IN.iter().find(|(built_in, _)| *built_in == name), declared) {
        (Some((_, parameters)), _) => Ok((name, parameters)),
        (None, None | Some("")) => {
            Err(Refusal::UnknownWorkflow { given: given.to_owned(), known: known() })
        }
        (None, Some(mapping)) => Err(Refusal::NotBuiltIn {
            workflow: given.to_owned(),
            mapping: mapping.to_owned(),
            known: known(),
        }),
    }
}

//! The availability rules of workflows: which deployments a workflow is meant for.
//!
//! A rule is the blueprint's word (`availability_rules` of a workflow). `node_instances_active` is
//! `all` when every node instance is started and `none` when none of them lives.

use serde_json::Value;
use waggoner_store::instance::NodeInstance;
use waggoner_types::plan::InstanceState;
use waggoner_wire::{Reason, Refused};

use super::Stage;

/// Refuses a workflow that is not meant for the state its deployment is in.
pub(super) fn check(stage: &Stage, instances: &[NodeInstance]) -> Result<(), Refused> {
    let (workflow, deployment) = (&stage.scene.workflow, &stage.scene.deployment);
    let rules = &stage.plan_json["workflows"][workflow.as_str()]["availability_rules"];
    let refuse = |why: String| {
        let why = format!(
            "failed to start workflow `{workflow}` on deployment `{deployment}`: {why}; with \
             `force` it is started all the same"
        );
        Err(Refused::new(Reason::WorkflowUnavailable, why))
    };
    if rules["available"] == Value::Bool(false) {
        return refuse("its blueprint says that it is not available".to_owned());
    }
    let active = words(&rules["node_instances_active"]);
    let is = activity(instances);
    if !active.is_empty() && !active.contains(&is) {
        let started = count(instances, |state| state == InstanceState::Started);
        return refuse(format!(
            "{started} of {} node instances are started, which is `{is}`, and it is only for {}",
            instances.len(),
            quoted(&active)
        ));
    }
    let types = words(&rules["node_types_required"]);
    let has = |name: &&str| stage.plan.nodes.iter().any(|node| node.is_a(name));
    if !types.is_empty() && !types.iter().any(has) {
        return refuse(format!("it is only for deployments with nodes of type {}", quoted(&types)));
    }
    Ok(())
}

/// Says whether rules let a workflow be started on a deployment as it is.
pub(super) fn is_available(rules: &Value, plan: &Value, instances: &[NodeInstance]) -> bool {
    let active = words(&rules["node_instances_active"]);
    let types = words(&rules["node_types_required"]);
    let hierarchies = plan["nodes"].as_array().into_iter().flatten();
    let mut known = hierarchies.flat_map(|node| words(&node["type_hierarchy"]));
    rules["available"] != Value::Bool(false)
        && (active.is_empty() || active.contains(&activity(instances)))
        && (types.is_empty() || known.any(|known| types.contains(&known)))
}

fn activity(instances: &[NodeInstance]) -> &'static str {
    let gone = |state| matches!(state, InstanceState::Uninitialized | InstanceState::Deleted);
    if count(instances, gone) == instances.len() {
        "none"
    } else if count(instances, |state| state == InstanceState::Started) == instances.len() {
        "all"
    } else {
        "partial"
    }
}

fn count(instances: &[NodeInstance], is: impl Fn(InstanceState) -> bool) -> usize {
    instances.iter().filter(|instance| is(instance.state)).count()
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(" or ")
}

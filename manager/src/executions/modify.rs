//! Deployment modifications: which node instances come and go, and what that makes of the
//! deployment, at the beginning of an execution and at its end.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use waggoner_blueprint::{Kind, Refusal, SeededIds, modify_deployment};
use waggoner_engine::{Modification, ModificationRequest};
use waggoner_store::{
    instance::NodeInstance,
    reshape::{NewPlan, Reshape},
};
use waggoner_types::plan::{self, InstanceRelationship, InstanceState};
use waggoner_wire::{Reason, Refused};

use super::{Stage, kept::Kept, shapes};
use crate::{api::refused, home::Home};

/// A modification that is worked out.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) modification: Modification,
    /// The instances while the execution runs: with those that come and those that go.
    pub(super) instances: Vec<NodeInstance>,
    pub(super) begin: Reshape,
    pub(super) finish: Reshape,
    pub(super) roll_back: Reshape,
}

/// How the instances of a deployment differ from what they are to be.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) added: Vec<plan::NodeInstance>,
    pub(super) removed: BTreeSet<String>,
    /// Relationships that come, between instances that stay or to such as come.
    pub(super) extended: BTreeMap<String, Vec<InstanceRelationship>>,
    /// Relationships that go, between instances that stay.
    pub(super) reduced: BTreeMap<String, Vec<InstanceRelationship>>,
}

/// Works out what scaling makes of a deployment.
pub(super) async fn scale(
    home: &Home,
    stage: &Stage,
    mut instances: Vec<NodeInstance>,
    request: &ModificationRequest,
) -> Result<Made, Refused> {
    let aborted = abort(home, stage, &instances, request.abort_started).await?;
    apply(&aborted, &mut instances);
    let mut modified = Map::new();
    modified.insert(
        request.entity.clone(),
        json!({
            "instances": request.instances,
            "removed_ids_include_hint": request.removed_ids_include_hint,
            "removed_ids_exclude_hint": request.removed_ids_exclude_hint,
        }),
    );
    let nodes = &stage.plan_json["nodes"];
    let groups = &stage.plan_json["scaling_groups"];
    let difference = difference((nodes, nodes), groups, &instances, &modified).map_err(|why| {
        let why = format!("failed to scale `{}`: {why}", request.entity);
        Refused::new(Reason::WorkflowUnavailable, why)
    })?;
    let mut made = make(stage, instances, &difference);
    made.begin.remove = aborted.remove;
    for (id, relationships) in aborted.relate {
        made.begin.relate.entry(id).or_insert(relationships);
    }
    made.finish.plan = Some(NewPlan {
        blueprint_id: stage.blueprint.id.clone(),
        inputs: stage.inputs.clone(),
        workflows: stage.plan.workflows.keys().cloned().collect(),
        plan: scaled(&stage.plan_json, &request.entity, request.instances),
    });
    Ok(made)
}

/// What has to be taken back first: a modification that is open. What lives of it is not forgotten.
async fn abort(
    home: &Home,
    stage: &Stage,
    instances: &[NodeInstance],
    abort_started: bool,
) -> Result<Reshape, Refused> {
    let scene = &stage.scene;
    let shape = home.store.deployment_shape(scene.tenant.clone(), scene.deployment.clone()).await;
    let Some(execution) = shape.map_err(refused)?.reshaped_by else {
        return Ok(Reshape::default());
    };
    if !abort_started {
        let why = format!(
            "failed to start workflow `{}`: the modification of deployment `{}` by execution \
             `{execution}` is still open; resume that execution, or take its modification back \
             with the parameter `abort_started`",
            scene.workflow, scene.deployment
        );
        return Err(Refused::new(Reason::WorkflowUnavailable, why));
    }
    let aborted = Kept::load(home, execution).await?.roll_back.unwrap_or_default();
    let lives = |one: &&NodeInstance| {
        aborted.remove.contains(&one.id)
            && !matches!(one.state, InstanceState::Uninitialized | InstanceState::Deleted)
    };
    let alive: Vec<&str> = instances.iter().filter(lives).map(|one| one.id.as_str()).collect();
    if alive.is_empty() {
        return Ok(aborted);
    }
    let why = format!(
        "failed to start workflow `{}`: the modification of deployment `{}` by execution \
         `{execution}` cannot be taken back while what it added lives: `{}`; uninstall that first \
         with the parameter `node_instance_ids`, or resume that execution",
        scene.workflow,
        scene.deployment,
        alive.join("`, `")
    );
    Err(Refused::new(Reason::WorkflowUnavailable, why))
}

/// Works out how the instances of a deployment differ from what nodes, groups and what is
/// `modified` make of them. `nodes` are those that are to be, and those that are.
pub(super) fn difference(
    (nodes, previous): (&Value, &Value),
    groups: &Value,
    instances: &[NodeInstance],
    modified: &Map<String, Value>,
) -> Result<Difference, Refusal> {
    let known: Vec<plan::NodeInstance> = instances.iter().map(shapes::plan_instance).collect();
    let known = serde_json::to_value(known).expect("instances are JSON");
    let mut ids = SeededIds::new(rand::random());
    let found = modify_deployment(nodes, previous, &known, modified, groups, &mut ids)?;
    let mut difference = Difference::default();
    for (list, instance) in ["added", "removed", "extended", "reduced"].iter().flat_map(|list| {
        let told = found[format!("{list}_and_related")].as_array().into_iter().flatten();
        told.map(move |instance| (*list, instance))
    }) {
        let is_marked = instance["modification"] == list;
        let read: plan::NodeInstance = serde_json::from_value(instance.clone())
            .map_err(|error| Refusal::new(Kind::Runtime, error.to_string()))?;
        match (list, is_marked) {
            ("added", true) => difference.added.push(read),
            ("removed", true) => drop(difference.removed.insert(read.id)),
            ("added" | "extended", _) => {
                difference.extended.entry(read.id).or_default().extend(read.relationships);
            }
            ("reduced", true) => {
                difference.reduced.entry(read.id).or_default().extend(read.relationships);
            }
            _ => {}
        }
    }
    Ok(difference)
}

/// Works out what a difference makes of a deployment.
pub(super) fn make(
    stage: &Stage,
    mut instances: Vec<NodeInstance>,
    difference: &Difference,
) -> Made {
    let mut begin = Reshape { is_open: true, ..Reshape::default() };
    let mut roll_back = Reshape::default();
    for instance in &mut instances {
        let Some(come) = difference.extended.get(&instance.id) else { continue };
        let has = |new: &&InstanceRelationship| !instance.relationships.contains(new);
        let new: Vec<InstanceRelationship> = come.iter().filter(has).cloned().collect();
        if !new.is_empty() {
            roll_back.relate.insert(instance.id.clone(), instance.relationships.clone());
            instance.relationships.extend(new);
            begin.relate.insert(instance.id.clone(), instance.relationships.clone());
        }
    }
    begin.add = added(stage, &instances, &difference.added);
    roll_back.remove = begin.add.iter().map(|instance| instance.id.clone()).collect();
    instances.extend(begin.add.iter().cloned());

    let mut finish =
        Reshape { remove: difference.removed.iter().cloned().collect(), ..Reshape::default() };
    for instance in instances.iter().filter(|one| !difference.removed.contains(&one.id)) {
        let goes = |relationship: &InstanceRelationship| {
            let reduced = difference.reduced.get(&instance.id);
            difference.removed.contains(&relationship.target_id)
                || reduced.is_some_and(|gone| gone.contains(relationship))
        };
        let left: Vec<InstanceRelationship> =
            instance.relationships.iter().filter(|one| !goes(one)).cloned().collect();
        if left.len() < instance.relationships.len() {
            finish.relate.insert(instance.id.clone(), left);
        }
    }
    let modification =
        Modification { added: roll_back.remove.clone(), removed: finish.remove.clone() };
    Made { modification, instances, begin, finish, roll_back }
}

/// The instances that come, numbered after those that are there.
fn added(
    stage: &Stage,
    instances: &[NodeInstance],
    added: &[plan::NodeInstance],
) -> Vec<NodeInstance> {
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    for instance in instances {
        let number = last.entry(&instance.node_id).or_default();
        *number = instance.index.max(*number);
    }
    let scene = &stage.scene;
    let new = |instance: &plan::NodeInstance, index| NodeInstance {
        tenant: scene.tenant.clone(),
        deployment_id: scene.deployment.clone(),
        id: instance.id.clone(),
        node_id: instance.node_id.clone(),
        host_id: instance.host_id.clone(),
        index,
        state: instance.state,
        version: 1,
        runtime_properties: Map::new(),
        system_properties: Map::new(),
        relationships: instance.relationships.clone(),
        scaling_groups: instance.scaling_groups.clone(),
    };
    let mut made = Vec::new();
    for instance in added {
        let number = last.entry(&instance.node_id).or_default();
        *number += 1;
        made.push(new(instance, *number));
    }
    made
}

/// Takes back what is open, in the instances at hand.
fn apply(reshape: &Reshape, instances: &mut Vec<NodeInstance>) {
    instances.retain(|instance| !reshape.remove.contains(&instance.id));
    for instance in instances {
        if let Some(relationships) = reshape.relate.get(&instance.id) {
            instance.relationships.clone_from(relationships);
        }
    }
}

/// A plan in which a node or a scaling group has another number of instances.
fn scaled(plan: &Value, entity: &str, instances: i64) -> Value {
    let mut plan = plan.clone();
    let properties = if plan["scaling_groups"].get(entity).is_some() {
        Some(&mut plan["scaling_groups"][entity]["properties"])
    } else {
        let nodes = plan["nodes"].as_array_mut();
        let node = nodes.into_iter().flatten().find(|node| node["id"] == entity);
        node.map(|node| &mut node["capabilities"]["scalable"]["properties"])
    };
    if let Some(properties) = properties {
        properties["current_instances"] = instances.into();
        properties["planned_instances"] = instances.into();
    }
    plan
}

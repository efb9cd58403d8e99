//! Updating a deployment: from what it is to another blueprint or other inputs.
//!
//! While the execution runs, the deployment is the union of both: its plan has the nodes and
//! relationships that come and those that go. If the execution fails it stays so, and the next
//! update, or resuming this one, goes on from there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Map, Value};
use waggoner_engine::{Execution as Engine, Start, Update};
use waggoner_store::{
    Store, deployment::NewDeployment, execution::Execution, instance::NodeInstance,
    reshape::NewPlan,
};
use waggoner_types::{
    BlueprintId, DeploymentId, ExecutionId, TenantName,
    plan::{InstanceRelationship, InstanceState, Plan},
};
use waggoner_wire::{Reason, Refused};

use super::{
    Asked, Stage, availability,
    kept::Kept,
    modify::{self, Difference},
    not_accepted, shapes,
    start::{Draft, new_id, store_and_run},
};
use crate::{api::refused, catalog::deployments, home::Home};

mod compare;

/// What a deployment is asked to become.
#[derive(Debug)]
pub(crate) struct UpdateAsked {
    pub(crate) tenant: TenantName,
    pub(crate) deployment: DeploymentId,
    /// Absent for the one it is of.
    pub(crate) blueprint: Option<BlueprintId>,
    /// Over those it has.
    pub(crate) inputs: Map<String, Value>,
    /// Ids of instances that are reinstalled in any case.
    pub(crate) reinstall: Vec<String>,
    /// Of the workflow.
    pub(crate) parameters: Map<String, Value>,
    pub(crate) force: bool,
    /// Only tell what would change.
    pub(crate) preview: bool,
}

/// What an update changes, and the execution that does it.
#[derive(Debug)]
pub(crate) struct Updated {
    /// Absent for a preview.
    pub(crate) execution: Option<Execution>,
    pub(crate) update: Update,
}

/// An update that is worked out, and of which nothing is done.
#[derive(Debug)]
pub(super) struct Proposal {
    asked: Asked,
    stage: Stage,
    instances: Vec<NodeInstance>,
    new: NewDeployment,
    difference: Difference,
    update: Update,
}

/// Updates a deployment.
pub(crate) async fn update(home: &Arc<Home>, asked: UpdateAsked) -> Result<Updated, Refused> {
    update_as(home, home.store.clone(), new_id(), asked).await
}

/// The same, by an execution of this id; `store` stores it.
pub(crate) async fn update_as(
    home: &Arc<Home>,
    store: Store,
    id: ExecutionId,
    asked: UpdateAsked,
) -> Result<Updated, Refused> {
    let preview = asked.preview;
    let proposal = propose(home, id, asked).await?;
    let update = proposal.update.clone();
    if preview {
        return Ok(Updated { execution: None, update });
    }
    let (execution, draft) = proposal.draft(home).await?;
    let execution = store_and_run(home, store, execution, draft).await?;
    Ok(Updated { execution: Some(execution), update })
}

/// Works out what an update would change.
pub(super) async fn propose(
    home: &Home,
    id: ExecutionId,
    asked: UpdateAsked,
) -> Result<Proposal, Refused> {
    let of_workflow = Asked {
        parameters: asked.parameters.clone(),
        force: asked.force,
        ..Asked::new(asked.tenant.clone(), asked.deployment.clone(), "update")
    };
    let stage = Stage::load(home, &of_workflow, id).await?;
    let instances = stage.instances(home).await?;
    if !asked.force {
        availability::check(&stage, &instances)?;
    }
    let new = new_plan(home, &stage, &asked).await?;
    let none = Map::new();
    let nodes = (&new.plan["nodes"], &stage.plan_json["nodes"]);
    let groups = &new.plan["scaling_groups"];
    let difference = modify::difference(nodes, groups, &instances, &none).map_err(|why| {
        let why = format!("failed to update deployment `{}`: {why}", asked.deployment);
        Refused::new(Reason::WorkflowUnavailable, why)
    })?;
    let update = worked_out(&stage, &instances, &new.plan, &difference, &asked)?;
    Ok(Proposal { asked: of_workflow, stage, instances, new, difference, update })
}

// === impl Proposal ===

impl Proposal {
    /// Returns the execution that carries it out, and its beginning.
    pub(super) async fn draft(self, home: &Home) -> Result<(Execution, Draft), Refused> {
        let Self { asked, stage: old, instances, new, difference, update } = self;
        let execution = Execution {
            parameters: Value::Object(asked.parameters.clone()),
            ..Execution::new(
                old.scene.execution,
                asked.tenant.clone(),
                asked.deployment.clone(),
                "update",
                Timestamp::now(),
            )
        };
        let is_there = instances
            .iter()
            .any(|one| !matches!(one.state, InstanceState::Uninitialized | InstanceState::Deleted));
        let union = compare::union(&new.plan, &old.plan_json);
        let plan: Plan = serde_json::from_value(union.clone()).map_err(|error| {
            Refused::new(Reason::Internal, format!("failed to read the updated plan: {error}"))
        })?;
        let blueprint = home.store.blueprint(asked.tenant.clone(), new.blueprint_id.clone()).await;
        let blueprint = blueprint.map_err(refused)?;
        let mut made = modify::make(&old, instances, &difference);
        let becomes = |plan: Value| NewPlan {
            blueprint_id: new.blueprint_id.clone(),
            inputs: new.inputs.clone(),
            workflows: new.workflows.clone(),
            plan,
        };
        // What was begun is never taken back, but gone on from.
        made.begin.is_open = false;
        made.begin.plan = Some(becomes(union.clone()));
        made.finish.plan = Some(becomes(new.plan.clone()));
        let stage = Stage {
            scene: super::context::Scene { blueprint: blueprint.id.clone(), ..old.scene },
            plan: Arc::new(plan),
            plan_json: Arc::new(union),
            inputs: new.inputs,
            blueprint,
            before: Some(old.blueprint.clone()),
        };
        let mut start: Start = asked.start(home, &made.instances);
        start.instances = made.instances.iter().map(shapes::plan_instance).collect();
        start.update = Some(update);
        // Where nothing is installed, what comes is not installed either.
        if !is_there {
            start.parameters.insert("skip_install".to_owned(), Value::Bool(true));
        }
        let engine = Engine::start(Arc::clone(&stage.plan), &start).map_err(not_accepted)?;
        let kept = Kept {
            start,
            force: asked.force,
            finish: Some(made.finish),
            roll_back: None,
            before: Some(old.blueprint.id.clone()),
        };
        let draft = Draft { stage, engine, kept, reshape: Some(made.begin) };
        Ok((execution, draft))
    }
}

/// The plan of what the deployment is to be, with as many instances of each node as it has.
async fn new_plan(
    home: &Home,
    stage: &Stage,
    asked: &UpdateAsked,
) -> Result<NewDeployment, Refused> {
    let blueprint = asked.blueprint.clone().unwrap_or_else(|| stage.blueprint.id.clone());
    let plan = home.store.blueprint_plan(asked.tenant.clone(), blueprint.clone()).await;
    let plan = plan.map_err(refused)?;
    // What the new blueprint does not ask for is forgotten.
    let mut inputs: Map<String, Value> = stage.inputs.as_object().cloned().unwrap_or_default();
    inputs.retain(|name, _| plan["inputs"].get(name).is_some());
    inputs.extend(asked.inputs.clone());
    let (tenant, id) = (asked.tenant.clone(), asked.deployment.clone());
    let mut new =
        deployments::plan(home, deployments::Attempt::Update, tenant, id, blueprint, inputs)
            .await?;
    new.plan["node_instances"] = Value::Array(Vec::new());
    compare::keep_numbers(&mut new.plan, &stage.plan_json);
    Ok(new)
}

/// What the workflow has to do.
fn worked_out(
    stage: &Stage,
    instances: &[NodeInstance],
    new: &Value,
    difference: &Difference,
    asked: &UpdateAsked,
) -> Result<Update, Refused> {
    let node_of: BTreeMap<&str, &str> =
        instances.iter().map(|one| (one.id.as_str(), one.node_id.as_str())).collect();
    let changed_nodes = compare::changed(new, &stage.plan_json);
    let stays = |one: &&NodeInstance| !difference.removed.contains(&one.id);
    let lives = |one: &&NodeInstance| {
        !matches!(one.state, InstanceState::Uninitialized | InstanceState::Deleted)
    };
    let changed: Vec<&NodeInstance> = instances
        .iter()
        .filter(stays)
        .filter(lives)
        .filter(|one| changed_nodes.contains_key(&one.node_id))
        .collect();
    let mut reinstall: BTreeSet<String> = changed
        .iter()
        .filter(|one| !changed_nodes[&one.node_id].can_be_updated)
        .map(|one| one.id.clone())
        .collect();
    for id in &asked.reinstall {
        if !instances.iter().any(|one| one.id == *id && stays(&one)) {
            let why = format!(
                "failed to update deployment `{}`: node instance `{id}`, which is to be \
                 reinstalled, is not one of those that stay",
                asked.deployment
            );
            return Err(Refused::new(Reason::InvalidParameters, why));
        }
        reinstall.insert(id.clone());
    }
    let between = |edges: &BTreeMap<String, Vec<InstanceRelationship>>| {
        let mut nodes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (source, relationships) in edges {
            let staying = relationships.iter().filter(|one| {
                node_of.contains_key(one.target_id.as_str())
                    && !difference.removed.contains(&one.target_id)
            });
            for relationship in staying {
                if let Some(node) = node_of.get(source.as_str()) {
                    let targets = nodes.entry((*node).to_owned()).or_default();
                    targets.insert(relationship.target_name.clone());
                }
            }
        }
        nodes
    };
    Ok(Update {
        added: difference.added.iter().map(|one| one.id.clone()).collect(),
        removed: difference.removed.iter().cloned().collect(),
        extended: between(&difference.extended),
        reduced: between(&difference.reduced),
        changed: changed.iter().map(|one| one.id.clone()).collect(),
        reinstall: reinstall.into_iter().collect(),
    })
}

//! Deployments: a blueprint's plan with inputs, and the node instances it makes.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;
use waggoner_blueprint::{Kind, Plan, Refusal, Request, SeededIds, prepare_deployment};
use waggoner_store::{PageRequest, deployment::NewDeployment, instance::NodeInstance};
use waggoner_types::{BlueprintId, DeploymentId, TenantName, plan};
use waggoner_wire::{Reason, Refused};

use crate::{api::refused, home::Home};

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Create,
    Update,
}

/// Fills a blueprint's plan in, and says what deployment it makes.
pub(crate) async fn plan(
    home: &Home,
    attempt: Attempt,
    tenant: TenantName,
    id: DeploymentId,
    blueprint: BlueprintId,
    inputs: Map<String, Value>,
) -> Result<NewDeployment, Refused> {
    let store = &home.store;
    let plan = store.blueprint_plan(tenant.clone(), blueprint.clone()).await.map_err(refused)?;
    let secrets = secrets(home, &tenant).await?;
    let seed = rand::random();
    let prepared = spawn_blocking(move || {
        let has_secret = |key: &str| secrets.contains(key);
        let request = Request { inputs, has_secret: Some(&has_secret), ..Request::default() };
        prepare_deployment(Plan(plan), request, &mut SeededIds::new(seed))
    });
    let prepared = prepared
        .await
        .map_err(|error| Refused::new(Reason::Internal, error.to_string()))?
        .map_err(|refusal: Refusal| {
            let attempt = match attempt {
                Attempt::Create => "create",
                Attempt::Update => "update",
            };
            let why = format!("failed to {attempt} deployment `{id}`: {refusal}");
            let reason = match refusal.kind {
                Kind::UnknownSecret => Reason::UnknownSecret,
                _ => Reason::InvalidInputs,
            };
            Refused::new(reason, why)
        })?;
    let view: plan::Plan = serde_json::from_value(prepared.clone()).map_err(|error| {
        let why = format!("failed to read the plan of deployment `{id}`: {error}");
        Refused::new(Reason::Internal, why)
    })?;
    let instances = view.node_instances.into_iter().map(|instance| NodeInstance {
        tenant: tenant.clone(),
        deployment_id: id.clone(),
        id: instance.id,
        node_id: instance.node_id,
        host_id: instance.host_id,
        index: instance.index.and_then(|index| u32::try_from(index).ok()).unwrap_or(1),
        state: instance.state,
        version: 1,
        runtime_properties: Map::new(),
        system_properties: Map::new(),
        relationships: instance.relationships,
        scaling_groups: instance.scaling_groups,
    });
    Ok(NewDeployment {
        tenant: tenant.clone(),
        id: id.clone(),
        blueprint_id: blueprint,
        created_at: Timestamp::now(),
        inputs: prepared["inputs"].clone(),
        workflows: view.workflows.keys().cloned().collect(),
        instances: instances.collect(),
        plan: prepared,
    })
}

async fn secrets(home: &Home, tenant: &TenantName) -> Result<HashSet<String>, Refused> {
    let mut keys = HashSet::new();
    let mut token = String::new();
    loop {
        let page = PageRequest::new(0, token);
        let page = home.store.secrets(tenant.clone(), &page).await.map_err(refused)?;
        keys.extend(page.items.into_iter().map(|secret| secret.key));
        match page.next {
            Some(next) => token = next,
            None => return Ok(keys),
        }
    }
}

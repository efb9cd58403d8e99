//! `/deployment-groups` (`rest/resources_v3_1/deployments.py`).

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use waggoner_store::{
    Deletion,
    deployment::{NewDeployment, Noted},
    group::{Group, GroupChange},
};
use waggoner_types::{BlueprintId, DeploymentId};

use crate::executions::{
    answers::Unanswered,
    rest::{
        deployments::planned,
        labels,
        list::{included, list},
        reply::{Answered, Reply, owned, time},
        request::Call,
    },
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let store = &call.home().store;
    call.require_tenant("use deployment groups")?;
    match (call.method, call.path) {
        ("GET", []) => {
            let groups = store.groups(call.tenant()).await?;
            list(call.query, groups.iter().map(shown).collect())
        }
        ("GET", [id]) => {
            let group = store.group(call.tenant(), (*id).to_owned()).await?;
            Reply::ok(included(call.query, shown(&group))?)
        }
        ("PUT", [id]) => put(call, id).await,
        ("PATCH", [id]) => change(call, id).await,
        ("DELETE", [id]) => delete(call, id).await,
        _ => call.unknown("deployment-groups"),
    }
}

async fn put(call: &Call<'_>, id: &str) -> Answered {
    let store = &call.home().store;
    let known = match store.group(call.tenant(), id.to_owned()).await {
        Ok(group) => Some(group),
        Err(waggoner_store::Error::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let blueprint = match call.text("blueprint_id") {
        None => known.as_ref().and_then(|group| group.blueprint.clone()),
        Some(id) => {
            let parsed: BlueprintId =
                id.parse().map_err(|_| Unanswered::not_found("Blueprint", &id))?;
            Some(store.blueprint(call.tenant(), parsed).await?.id)
        }
    };
    let given = |name: &str, known: Option<Value>, none: Value| match call.field(name) {
        Value::Null => known.unwrap_or(none),
        value => value.clone(),
    };
    let labels = call.field("labels");
    if !labels.is_null() {
        labels::read(labels)?;
    }
    let group = Group {
        tenant: call.tenant(),
        id: id.to_owned(),
        description: call
            .text("description")
            .or_else(|| known.as_ref().and_then(|group| group.description.clone())),
        blueprint,
        inputs: given(
            "default_inputs",
            known.as_ref().map(|group| group.inputs.clone()),
            json!({}),
        ),
        labels: given("labels", known.as_ref().map(|group| group.labels.clone()), json!([])),
        created_at: Timestamp::now(),
        deployments: Vec::new(),
    };
    let set = call.field("deployment_ids");
    let set = if set.is_null() { None } else { Some(ids(set)?) };
    let body = Value::Object(call.object()?.clone());
    let (add, create) =
        added(call, &group, &Value::Object(without(body, "deployment_ids"))).await?;
    let change = GroupChange { group: Some(group), set, remove: Vec::new(), add, create };
    store_change(call, id, change).await
}

async fn change(call: &Call<'_>, id: &str) -> Answered {
    let store = &call.home().store;
    let group = store.group(call.tenant(), id.to_owned()).await?;
    let remove = call.field("remove");
    let remove = if remove.is_null() { Vec::new() } else { meant(call, remove).await? };
    let (add, create) = added(call, &group, call.field("add")).await?;
    store_change(call, id, GroupChange { remove, add, create, ..GroupChange::default() }).await
}

async fn store_change(call: &Call<'_>, id: &str, change: GroupChange) -> Answered {
    let reply = Reply::changed("deployment-groups", id);
    call.deciding(&reply).change_group(call.tenant(), id.to_owned(), change).await?;
    Ok(reply)
}

/// A group as it is shown.
pub(super) async fn one(call: &Call<'_>, id: &str) -> Result<Value, Unanswered> {
    Ok(shown(&call.home().store.group(call.tenant(), id.to_owned()).await?))
}

/// The deployments that are added: those that are named, and those that are made for it.
async fn added(
    call: &Call<'_>,
    group: &Group,
    add: &Value,
) -> Result<(Vec<DeploymentId>, Vec<(NewDeployment, Noted)>), Unanswered> {
    let mut create = Vec::new();
    for new in add["new_deployments"].as_array().into_iter().flatten() {
        create.push(new_deployment(call, group, new).await?);
    }
    Ok((meant(call, add).await?, create))
}

/// Makes a deployment of the group's blueprint and inputs, with its own over them.
async fn new_deployment(
    call: &Call<'_>,
    group: &Group,
    new: &Value,
) -> Result<(NewDeployment, Noted), Unanswered> {
    let blueprint = group.blueprint.as_ref().ok_or_else(|| {
        Unanswered::invalid(&format!(
            "deployment group `{}` has no blueprint to make deployments of: give `blueprint_id`",
            group.id
        ))
    })?;
    let id = match new["id"].as_str() {
        Some(id) => id.to_owned(),
        None => format!("{}-{}", group.id, Uuid::new_v4().simple()),
    };
    let id: DeploymentId = id.parse().map_err(|why| Unanswered::invalid(&format!("{why}")))?;
    let mut inputs: Map<String, Value> = group.inputs.as_object().cloned().unwrap_or_default();
    inputs.extend(new["inputs"].as_object().cloned().unwrap_or_default());
    let mut labels = labels::read(&group.labels)?;
    if !new["labels"].is_null() {
        labels.extend(labels::read(&new["labels"])?);
    }
    let new = planned(call, id, blueprint.as_str(), inputs).await?;
    Ok((new, Noted { labels, ..Noted::default() }))
}

/// The deployments that are named one by one, or by another group.
async fn meant(call: &Call<'_>, named: &Value) -> Result<Vec<DeploymentId>, Unanswered> {
    for filter in ["filter_id", "filter_rules"] {
        if !named[filter].is_null() {
            let why = format!("`{filter}` does not choose a group's deployments: name them");
            return Err(Unanswered::refused("illegal_action_error", why));
        }
    }
    let mut found = match &named["deployment_ids"] {
        Value::Null => Vec::new(),
        named => ids(named)?,
    };
    if let Some(other) = named["deployments_from_group"].as_str() {
        let other = call.home().store.group(call.tenant(), other.to_owned()).await?;
        found.extend(other.deployments);
    }
    Ok(found)
}

async fn delete(call: &Call<'_>, id: &str) -> Answered {
    let deletion = if call.flag("force") { Deletion::Forced } else { Deletion::IfUnused };
    let deployments = Some(deletion).filter(|_| call.flag("delete_deployments"));
    let store = call.deciding(&Reply::NONE);
    store.delete_group(call.tenant(), id.to_owned(), deployments).await?;
    Reply::none()
}

fn ids(named: &Value) -> Result<Vec<DeploymentId>, Unanswered> {
    let named = named.as_array().into_iter().flatten();
    let parsed = named.map(|id| {
        let id = id.as_str().unwrap_or_default();
        id.parse().map_err(|_| Unanswered::not_found("Deployment", id))
    });
    parsed.collect()
}

fn without(object: Value, name: &str) -> Map<String, Value> {
    let Value::Object(mut object) = object else { return Map::new() };
    object.shift_remove(name);
    object
}

fn shown(group: &Group) -> Value {
    let shown = json!({
        "id": group.id,
        "description": group.description,
        "default_blueprint_id": group.blueprint.as_ref().map(BlueprintId::as_str),
        "default_inputs": group.inputs,
        "labels": group.labels,
        "deployment_ids":
            group.deployments.iter().map(DeploymentId::as_str).collect::<Vec<_>>(),
        "created_at": time(group.created_at),
        "creation_counter": group.deployments.len(),
    });
    owned(&group.tenant, shown)
}

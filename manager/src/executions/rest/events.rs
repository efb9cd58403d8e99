//! `/events` (`rest/resources_v3/events.py`).

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};
use waggoner_store::event::{Entry, EntryKind, Event, EventFilter, Origin};
use waggoner_types::{DeploymentId, ExecutionId, LogLevel};

use crate::executions::{
    answers::{Reach, Unanswered},
    rest::{
        list::{Chosen, Rows},
        reply::{Answered, Reply, time},
        request::Call,
        system::MANAGER,
    },
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, call.path) {
        ("GET", []) => {
            let (items, pagination) = listed(call).await?.page()?;
            Reply::ok(json!({ "items": items, "metadata": { "pagination": pagination } }))
        }
        ("POST", []) => add(call).await,
        _ => call.unknown("events"),
    }
}

/// Reads events page by page: there may be more of them than fit anywhere.
async fn listed<'c>(call: &Call<'c>) -> Result<Chosen<'c>, Unanswered> {
    let mut chosen = Chosen::new(call.query);
    let mut filter = EventFilter::default();
    if let Some(id) = call.query.get("execution_id") {
        let Ok(id) = id.parse::<ExecutionId>() else { return Ok(chosen) };
        filter.execution_id = Some(id);
    }
    let named = call.query.get("deployment_id").map(|id| call.deployment(id)).transpose()?;
    filter.deployment_id = match call.answers.reach {
        Reach::Deployment => Some(call.own().clone()),
        Reach::Tenant => named,
    };
    // Without a type both are meant.
    let types: Vec<&str> = call.query.all("type").collect();
    filter.no_logs = !types.is_empty() && !types.contains(&"cloudify_log");
    let store = &call.home().store;
    let mut blueprints: HashMap<DeploymentId, Option<String>> = HashMap::new();
    let mut events = Rows::new(|page| {
        let filter = filter.clone();
        async move { store.events(call.tenant(), filter, &page).await }
    });
    while let Some(event) = events.next().await? {
        let Some(id) = &event.entry.origin.deployment_id else {
            chosen.take(shown(&event, None))?;
            continue;
        };
        if !blueprints.contains_key(id) {
            let found = store.deployment(call.tenant(), id.clone()).await;
            let blueprint = found.ok().map(|row| row.blueprint_id.to_string());
            blueprints.insert(id.clone(), blueprint);
        }
        chosen.take(shown(&event, blueprints[id].as_deref()))?;
    }
    Ok(chosen)
}

fn shown(event: &Event, blueprint: Option<&str>) -> Value {
    let Event { id, reported_at, entry } = event;
    let origin = &entry.origin;
    let deployment = origin.deployment_id.as_ref().map(DeploymentId::as_str);
    let mut shown = json!({
        "_storage_id": id,
        "timestamp": time(entry.time),
        "reported_timestamp": time(*reported_at),
        "blueprint_id": blueprint,
        "deployment_id": deployment,
        "deployment_display_name": deployment,
        "execution_id": origin.execution_id.map(|id| id.to_string()),
        "execution_group_id": null,
        "workflow_id": origin.workflow_id,
        "message": entry.message,
        "error_causes":
            if entry.causes.is_empty() { Value::Null } else { entry.causes.clone().into() },
        "operation": origin.operation,
        "source_id": origin.target_id.as_ref().and(origin.node_instance_id.as_ref()),
        "target_id": origin.target_id,
        // Who runs no operation of an agent does it itself.
        "manager_name": origin.agent.is_none().then_some(MANAGER),
        "agent_name": origin.agent.as_ref().map(ToString::to_string),
        "node_instance_id": origin.node_instance_id,
        "node_name": origin.node_id,
    });
    match &entry.kind {
        EntryKind::Event { event_type } => {
            shown["event_type"] = event_type.as_str().into();
            shown["type"] = "cloudify_event".into();
        }
        EntryKind::Log { level, logger } | EntryKind::Output { level, logger, .. } => {
            shown["level"] = level.as_str().into();
            shown["logger"] = logger.as_str().into();
            shown["type"] = "cloudify_log".into();
        }
    }
    shown
}

/// Takes events and log lines of the operation that did not become records of its attempt on the
/// way.
async fn add(call: &Call<'_>) -> Answered {
    let scene = &call.answers.stage.scene;
    let origin = Arc::new(Origin {
        execution_id: Some(scene.execution),
        deployment_id: Some(scene.deployment.clone()),
        workflow_id: Some(scene.workflow.clone()),
        node_instance_id: call.answers.viewpoint.own.clone(),
        ..Origin::of(call.tenant())
    });
    let now = Timestamp::now();
    let list = |name: &str| call.field(name).as_array().into_iter().flatten();
    let logs = list("logs").map(|log| {
        let level = log["level"].as_str().and_then(|level| level.parse().ok());
        let logger = log["logger"].as_str().unwrap_or_default().to_owned();
        (log, EntryKind::Log { level: level.unwrap_or(LogLevel::Info), logger })
    });
    let events = list("events").map(|event| {
        let event_type = event["event_type"].as_str().unwrap_or("plugin_event").to_owned();
        (event, EntryKind::Event { event_type })
    });
    let entries = logs.chain(events).map(|(entry, kind)| Entry {
        origin: Arc::clone(&origin),
        time: entry["timestamp"].as_str().and_then(|time| time.parse().ok()).unwrap_or(now),
        kind,
        message: entry["message"]["text"].as_str().unwrap_or_default().to_owned(),
        causes: Vec::new(),
        sequence: 0,
    });
    let reply = Reply::Value(201, Value::Null);
    call.deciding(&reply).add_events(entries.collect(), now).await?;
    Ok(reply)
}

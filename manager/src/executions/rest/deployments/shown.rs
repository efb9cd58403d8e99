//! A deployment as it is shown.

use serde_json::{Value, json};
use waggoner_store::{PageRequest, execution::Execution, instance::NodeInstance, label::Labelled};
use waggoner_types::{ExecutionStatus, plan::InstanceState};

use crate::executions::{
    answers::Unanswered,
    availability,
    rest::{
        deployments::Seen,
        labels,
        reply::{owned, time},
        request::Call,
    },
};

/// A deployment as it is shown.
pub(in crate::executions::rest) async fn shown(
    call: &Call<'_>,
    seen: &Seen,
) -> Result<Value, Unanswered> {
    let (store, id) = (&call.home().store, seen.row.id.clone());
    let instances = seen.instances(call).await?;
    let note = store.deployment_note(call.tenant(), id.clone()).await?;
    let noted = store.labels(call.tenant(), Labelled::Deployment(id.clone())).await?;
    let newest = PageRequest::new(1, "");
    let newest = store.executions(call.tenant(), Some(id.clone()), &newest).await?;
    let groups = store.groups_of(call.tenant(), id.clone()).await?;
    let installation = installation(&instances);
    let started = |one: &&NodeInstance| one.state == InstanceState::Started;
    let created_at = time(seen.row.created_at);
    let mut shown = json!({
        "id": id.as_str(),
        "display_name": note.display_name.as_deref().unwrap_or(id.as_str()),
        "blueprint_id": seen.row.blueprint_id.as_str(),
        "created_at": created_at,
        "updated_at": created_at,
        "inputs": seen.row.inputs,
        "permalink": null,
        "workflows": workflows(&seen.plan, &instances),
        "runtime_only_evaluation": false,
        "installation_status": installation,
        "deployment_status": deployment_status(installation, newest.items.first()),
        "sub_services_status": null,
        "sub_environments_status": null,
        "sub_services_count": 0,
        "sub_environments_count": 0,
        "has_sub_deployments": false,
        "environment_type": "",
        "drifted_instances": 0,
        "unavailable_instances": instances.len() - instances.iter().filter(started).count(),
        // The manager makes a deployment at once: no execution does.
        "create_execution": null,
        "site_name": note.site,
        "workdir_zip": null,
        "labels": labels::shown(&noted),
        "deployment_groups": groups,
    });
    for name in PLANNED {
        shown[name] = seen.plan[name].clone();
    }
    // The columns that Cloudify keeps pickled show themselves so.
    for name in ["inputs", "workflows"].into_iter().chain(PLANNED).filter(|name| is_pickled(name)) {
        shown[format!("{name}_p")] = Value::Null;
    }
    latest(&mut shown, newest.items.first());
    Ok(owned(&call.tenant(), shown))
}

/// What a deployment shows of its plan as it is there.
const PLANNED: [&str; 8] = [
    "description",
    "groups",
    "policy_triggers",
    "policy_types",
    "outputs",
    "capabilities",
    "scaling_groups",
    "resource_tags",
];

fn is_pickled(name: &str) -> bool {
    !matches!(name, "description" | "resource_tags")
}

/// The workflows of a plan, and which are available now.
pub(super) fn workflows(plan: &Value, instances: &[NodeInstance]) -> Value {
    let workflows = plan["workflows"].as_object().into_iter().flatten();
    let shown = workflows.map(|(name, workflow)| {
        let rules = &workflow["availability_rules"];
        json!({
            "name": name,
            "plugin": workflow["plugin"],
            "operation": workflow["operation"],
            "parameters": workflow["parameters"],
            "is_cascading": workflow["is_cascading"],
            "is_available": availability::is_available(rules, plan, instances),
            "availability_rules": rules,
        })
    });
    shown.collect()
}

fn installation(instances: &[NodeInstance]) -> &'static str {
    let all = instances.iter().all(|instance| instance.state == InstanceState::Started);
    if all && !instances.is_empty() { "active" } else { "inactive" }
}

/// `rest/storage/resource_models.py`: what runs, then what is wrong, then what is well.
fn deployment_status(installation: &str, latest: Option<&Execution>) -> &'static str {
    match latest.map(|latest| latest.status) {
        Some(status) if !status.is_end() => "in_progress",
        Some(ExecutionStatus::Failed | ExecutionStatus::Cancelled) => "requires_attention",
        _ if installation == "active" => "good",
        _ => "requires_attention",
    }
}

fn latest(shown: &mut Value, latest: Option<&Execution>) {
    let status = latest.map(|latest| match latest.status {
        ExecutionStatus::Terminated => "completed",
        ExecutionStatus::Failed => "failed",
        ExecutionStatus::Cancelled => "cancelled",
        _ => "in_progress",
    });
    shown["latest_execution"] = latest.map(|latest| latest.id.to_string()).into();
    shown["latest_execution_workflow_id"] = latest.map(|one| one.workflow_id.clone()).into();
    shown["latest_execution_status"] = status.into();
    shown["latest_execution_total_operations"] =
        latest.map(|latest| latest.total_operations).unwrap_or_default().into();
    shown["latest_execution_finished_operations"] =
        latest.map(|latest| latest.finished_operations).unwrap_or_default().into();
}

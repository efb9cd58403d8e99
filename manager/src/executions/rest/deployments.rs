//! `/deployments` (`rest/resources_v3_1/deployments.py`).

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use waggoner_store::{
    Deletion,
    deployment::{Deployment, NewDeployment, Noted},
    instance::NodeInstance,
    site::DeploymentNote,
};
use waggoner_types::{BlueprintId, DeploymentId};

use crate::{
    catalog,
    executions::{
        answers::Unanswered,
        evaluate::outputs,
        rest::{
            dependencies, labels,
            list::{Chosen, all, included},
            reply::{Answered, Reply},
            request::Call,
        },
    },
};

mod shown;

pub(super) use shown::shown;

/// A deployment that is in reach, with its plan.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) row: Deployment,
    pub(super) plan: Arc<Value>,
}

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, call.path) {
        (_, ["inter-deployment-dependencies", ..]) => dependencies::answer(call).await,
        ("GET", []) => {
            let mut chosen = Chosen::new(call.query);
            gather(call, &mut chosen).await?;
            chosen.answer()
        }
        ("GET", [id]) => {
            let seen = Seen::load(call, id).await?;
            Reply::ok(included(call.query, shown(call, &seen).await?)?)
        }
        ("PUT", [id]) => create(call, id).await,
        ("PATCH", [id]) => change(call, id).await,
        ("DELETE", [id]) => delete(call, id).await,
        ("GET", [id, what @ ("outputs" | "capabilities")]) => {
            let of = Seen::load(call, id).await?.row.id;
            let (outputs, capabilities) = outputs(call.home(), call.tenant(), of).await?;
            let values = if *what == "outputs" { outputs } else { capabilities };
            Reply::ok(Value::Object(Map::from_iter([
                ("deployment_id".to_owned(), (*id).into()),
                ((*what).to_owned(), Value::Object(values)),
            ])))
        }
        ("POST", [id, "set-site"]) => set_site(call, id).await,
        // Visibility means nothing here: a deployment is its tenant's.
        ("PATCH", [id, "set-visibility"]) => {
            Reply::ok(shown(call, &Seen::load(call, id).await?).await?)
        }
        (_, [id, "inter-deployment-dependencies"]) => dependencies::replace(call, id).await,
        _ => call.unknown("deployments"),
    }
}

/// Gathers the deployments that are in reach, as they are shown.
pub(super) async fn gather(call: &Call<'_>, chosen: &mut Chosen<'_>) -> Result<(), Unanswered> {
    for row in Seen::reachable(call).await? {
        if let Ok(seen) = Seen::of(call, row).await {
            chosen.take(shown(call, &seen).await?)?;
        }
    }
    Ok(())
}

/// Creates a deployment; its inputs, labels, site and name for people are the body's.
pub(super) async fn create(call: &Call<'_>, id: &str) -> Answered {
    call.require_tenant("create deployments")?;
    let id: DeploymentId = id.parse().map_err(|why| Unanswered::invalid(&format!("{why}")))?;
    let blueprint = call.required("blueprint_id")?;
    let inputs = match call.field("inputs") {
        Value::Null => Map::new(),
        Value::Object(inputs) => inputs.clone(),
        _ => return Err(Unanswered::invalid("`inputs` has to be a JSON object")),
    };
    let labels = match call.field("labels") {
        Value::Null => Vec::new(),
        given => labels::read(given)?,
    };
    let reply = Reply::made("deployments", id.clone());
    let new = planned(call, id, &blueprint, inputs).await?;
    let note =
        DeploymentNote { display_name: call.text("display_name"), site: call.text("site_name") };
    call.deciding(&reply).create_noted_deployment(new, Noted { labels, note }).await?;
    Ok(reply)
}

/// Makes the plan of a new deployment.
pub(super) async fn planned(
    call: &Call<'_>,
    id: DeploymentId,
    blueprint: &str,
    inputs: Map<String, Value>,
) -> Result<NewDeployment, Unanswered> {
    let of: BlueprintId =
        blueprint.parse().map_err(|_| Unanswered::not_found("Blueprint", blueprint))?;
    let attempt = catalog::deployments::Attempt::Create;
    Ok(catalog::deployments::plan(call.home(), attempt, call.tenant(), id, of, inputs).await?)
}

/// Changes what is noted beside a deployment: its labels and its name for people.
async fn change(call: &Call<'_>, id: &str) -> Answered {
    let of = Seen::load(call, id).await?.row.id;
    let known = ["labels", "display_name", "creator", "created_at"];
    if let Some(name) = call.object()?.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(Unanswered::refused(
            "illegal_action_error",
            format!("`{name}` of a deployment is changed by a deployment update only"),
        ));
    }
    let labels = match call.field("labels") {
        Value::Null => None,
        given => Some(labels::read(given)?),
    };
    let display_name = call.text("display_name");
    let reply = Reply::changed("deployments", of.clone());
    let amend = move |note: &mut DeploymentNote| {
        note.display_name = display_name.or(note.display_name.take());
    };
    let store = call.deciding(&reply);
    store.amend_deployment(call.tenant(), of, labels, amend, Timestamp::now()).await?;
    Ok(reply)
}

async fn set_site(call: &Call<'_>, id: &str) -> Answered {
    let of = Seen::load(call, id).await?.row.id;
    let (site, detach) = (call.text("site_name"), call.flag("detach_site"));
    if site.is_some() == detach {
        let why = "give either `site_name` or `detach_site`";
        return Err(Unanswered::invalid(why));
    }
    let reply = Reply::changed("deployments", of.clone());
    let amend = |note: &mut DeploymentNote| note.site = site;
    let store = call.deciding(&reply);
    store.amend_deployment(call.tenant(), of, None, amend, Timestamp::now()).await?;
    Ok(reply)
}

async fn delete(call: &Call<'_>, id: &str) -> Answered {
    call.require_tenant("delete deployments")?;
    let id = call.deployment(id)?;
    let deletion = if call.flag("force") { Deletion::Forced } else { Deletion::IfUnused };
    call.deciding(&Reply::NONE).delete_deployment(call.tenant(), id, deletion).await?;
    Reply::none()
}

// === impl Seen ===

impl Seen {
    /// Finds a deployment; one that is out of reach is as good as not there.
    pub(super) async fn load(call: &Call<'_>, id: &str) -> Result<Self, Unanswered> {
        let id = call.deployment(id)?;
        let row = call.home().store.deployment(call.tenant(), id).await?;
        Self::of(call, row).await
    }

    async fn of(call: &Call<'_>, row: Deployment) -> Result<Self, Unanswered> {
        let plan = call.home().store.deployment_plan(call.tenant(), row.id.clone()).await?;
        Ok(Self { row, plan: Arc::new(plan) })
    }

    /// The deployments that are in reach.
    pub(super) async fn reachable(call: &Call<'_>) -> Result<Vec<Deployment>, Unanswered> {
        let store = &call.home().store;
        let rows = all(|page| async move { store.deployments(call.tenant(), None, &page).await });
        let reach = call.answers.reach;
        let rows = rows.await?.into_iter().filter(|row| reach.reaches(call.own(), &row.id));
        Ok(rows.collect())
    }

    pub(super) async fn instances(&self, call: &Call<'_>) -> Result<Vec<NodeInstance>, Unanswered> {
        Ok(call.home().store.all_node_instances(call.tenant(), self.row.id.clone()).await?)
    }
}

/// The workflows of a deployment, for searches.
pub(super) fn workflows(seen: &Seen, instances: &[NodeInstance]) -> Value {
    shown::workflows(&seen.plan, instances)
}

/// The scaling groups of a deployment, for searches.
pub(super) fn scaling_groups(seen: &Seen) -> Vec<Value> {
    let groups = seen.plan["scaling_groups"].as_object().into_iter().flatten();
    let one = |(name, group): (&String, &Value)| {
        json!({
            "name": name,
            "members": group["members"],
            "properties": group["properties"],
            "deployment_id": seen.row.id.as_str(),
        })
    };
    groups.map(one).collect()
}

//! `/nodes` (`rest/resources_v3/nodes.py`).

use serde_json::Value;
use waggoner_store::instance::NodeInstance;

use crate::executions::{
    answers::Unanswered,
    evaluate::{self, Viewpoint},
    rest::{deployments::Seen, list::Chosen, reply::Answered, request::Call},
    shapes,
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, call.path) {
        ("GET", []) => {
            let mut chosen = Chosen::new(call.query);
            gather(call, &mut chosen).await?;
            chosen.answer()
        }
        _ => call.unknown("nodes"),
    }
}

/// Gathers the nodes that a request means, in the deployments that it reaches.
pub(super) async fn gather(call: &Call<'_>, chosen: &mut Chosen<'_>) -> Result<(), Unanswered> {
    for id in meant(call).await? {
        // One that is not there has no nodes.
        let Ok(seen) = Seen::load(call, &id).await else { continue };
        let instances = seen.instances(call).await?;
        for node in seen.plan["nodes"].as_array().into_iter().flatten() {
            let id = node["id"].as_str().unwrap_or_default();
            if call.query.get("id").is_none() || call.query.all("id").any(|wanted| wanted == id) {
                chosen.take(one(call, &seen, &instances, node).await?)?;
            }
        }
    }
    Ok(())
}

/// The ids of the deployments that a list of what is in deployments means.
pub(super) async fn meant(call: &Call<'_>) -> Result<Vec<String>, Unanswered> {
    let named: Vec<String> = call.query.all("deployment_id").map(str::to_owned).collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let all = Seen::reachable(call).await?;
    Ok(all.into_iter().map(|deployment| deployment.id.to_string()).collect())
}

async fn one(
    call: &Call<'_>,
    seen: &Seen,
    instances: &[NodeInstance],
    node: &Value,
) -> Result<Value, Unanswered> {
    let mut properties = node["properties"].clone();
    if call.query.is("_evaluate_functions") {
        let viewpoint = match call.query.get("_instance_context") {
            Some(instance) => Viewpoint::of_instance(instance),
            None => call.answers.viewpoint.clone(),
        };
        properties = evaluated(call, seen, &viewpoint, properties).await?;
    }
    Ok(shapes::node(&shapes::Belongs::of(&seen.row), node, instances, properties))
}

/// Evaluates a value as a deployment sees it.
pub(super) async fn evaluated(
    call: &Call<'_>,
    seen: &Seen,
    viewpoint: &Viewpoint,
    value: Value,
) -> Result<Value, Unanswered> {
    if seen.row.id == *call.own() {
        return evaluate::value(call.home(), &call.answers.stage, viewpoint, value).await;
    }
    evaluate::value_of(call.home(), call.tenant(), seen.row.id.clone(), viewpoint, value).await
}

//! `/deployments/inter-deployment-dependencies`
//! (`rest/resources_v3_1/inter_deployment_dependencies.py`).

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;
use waggoner_store::dependency::Dependency;
use waggoner_types::DeploymentId;

use crate::executions::{
    answers::Unanswered,
    rest::{
        list::{included, list},
        reply::{Answered, Reply, owned, time},
        request::Call,
    },
    verdict::{heard, told},
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, &call.path[1..]) {
        ("GET", []) => list(call.query, reachable(call).await?),
        ("GET", [id]) => {
            let found = reachable(call).await?.into_iter().find(|one| one["id"] == *id);
            let found =
                found.ok_or_else(|| Unanswered::not_found("InterDeploymentDependencies", id))?;
            Reply::ok(included(call.query, found)?)
        }
        ("PUT", []) => {
            let source = source(call)?;
            let dependency = read(call, source, &Value::Object(call.object()?.clone()))?;
            let reply = |stored: &[Dependency]| Reply::ok(stored.iter().map(shown).next().into());
            put(call, None, vec![dependency], reply).await
        }
        ("POST", []) => {
            let source = call.deployment(&call.required("source_deployment_id")?)?;
            put_all(call, None, all(call, &source)?).await
        }
        ("DELETE", []) => {
            let (source, creator) = (source(call)?, call.required("dependency_creator")?);
            let store = call.deciding(&Reply::NONE);
            store.delete_dependency(call.tenant(), source, creator).await?;
            Reply::none()
        }
        _ => call.unknown("deployments"),
    }
}

/// Replaces all dependencies of a deployment by the given ones.
pub(super) async fn replace(call: &Call<'_>, id: &str) -> Answered {
    if call.method != "PUT" {
        return call.unknown("deployments");
    }
    let source = call.deployment(id)?;
    let new = all(call, &source)?;
    put_all(call, Some(source), new).await
}

/// Reads all before any is stored.
fn all(call: &Call<'_>, source: &DeploymentId) -> Result<Vec<Dependency>, Unanswered> {
    let given = call.field("inter_deployment_dependencies").as_array();
    let given = given
        .ok_or_else(|| Unanswered::invalid("`inter_deployment_dependencies` has to be a list"))?;
    given.iter().map(|one| read(call, source.clone(), one)).collect()
}

/// Stores dependencies, and answers with their ids.
async fn put_all(
    call: &Call<'_>,
    replaces: Option<DeploymentId>,
    dependencies: Vec<Dependency>,
) -> Answered {
    let query = call.query.clone();
    put(call, replaces, dependencies, move |stored| {
        list(&query, stored.iter().map(|stored| stored.id.to_string().into()).collect())
    })
    .await
}

/// Stores dependencies, and the reply with them.
async fn put(
    call: &Call<'_>,
    replaces: Option<DeploymentId>,
    dependencies: Vec<Dependency>,
    reply: impl FnOnce(&[Dependency]) -> Answered + Send + 'static,
) -> Answered {
    let tell = |stored: &[Dependency]| told(&reply(stored).map(|reply| reply.to_json()));
    let (store, asked) = (&call.home().store, call.asked.cloned());
    let told = store.put_dependencies(asked, call.tenant(), replaces, dependencies, tell).await?;
    Ok(Reply::Told(heard(&told)?))
}

fn source(call: &Call<'_>) -> Result<DeploymentId, Unanswered> {
    let named = call.text("source_deployment").or_else(|| call.text("source_deployment_id"));
    call.deployment(&named.ok_or_else(|| Unanswered::invalid("`source_deployment` is missing"))?)
}

fn read(call: &Call<'_>, source: DeploymentId, given: &Value) -> Result<Dependency, Unanswered> {
    let creator = given["dependency_creator"].as_str();
    let creator = creator.ok_or_else(|| Unanswered::invalid("`dependency_creator` is missing"))?;
    let target = given["target_deployment"].as_str().or(given["target_deployment_id"].as_str());
    let external = |name: &str| given.get(name).filter(|value| !value.is_null()).cloned();
    let target = match target {
        // The id of a deployment of another manager is not one of ours.
        Some(_) if external("external_target").is_some() => None,
        Some(id) => Some(call.deployment(id)?),
        None => None,
    };
    Ok(Dependency {
        id: Uuid::now_v7(),
        tenant: call.tenant(),
        creator: creator.to_owned(),
        source,
        target,
        target_function: external("target_deployment_func"),
        external_source: external("external_source"),
        external_target: external("external_target"),
        created_at: Timestamp::now(),
    })
}

async fn reachable(call: &Call<'_>) -> Result<Vec<Value>, Unanswered> {
    let all = call.home().store.dependencies(call.tenant()).await?;
    let reach = call.answers.reach;
    let reachable = all.iter().filter(|one| reach.reaches(call.own(), &one.source));
    Ok(reachable.map(shown).collect())
}

fn shown(dependency: &Dependency) -> Value {
    let shown = json!({
        "id": dependency.id.to_string(),
        "dependency_creator": dependency.creator,
        "source_deployment_id": dependency.source.as_str(),
        "target_deployment_id": dependency.target.as_ref().map(DeploymentId::as_str),
        "target_deployment_func": dependency.target_function,
        "external_source": dependency.external_source,
        "external_target": dependency.external_target,
        "created_at": time(dependency.created_at),
    });
    owned(&dependency.tenant, shown)
}

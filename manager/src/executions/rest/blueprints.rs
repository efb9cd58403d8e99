//! `/blueprints` (`rest/resources_v3_1/blueprints.py`).

use serde_json::{Map, Value, json};
use waggoner_proto::v1::BlueprintHeader;
use waggoner_store::{
    blueprint::Blueprint,
    label::{Label, Labelled},
};
use waggoner_types::BlueprintId;

use crate::{
    api::not_taken,
    catalog,
    executions::{
        answers::{Reach, Unanswered},
        rest::{
            files, labels,
            list::{Chosen, all, included},
            reply::{Answered, Reply, owned, time},
            request::{Call, percent_decoded},
            uploads::{Form, receive},
        },
    },
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, call.path) {
        ("GET", []) => {
            let mut chosen = Chosen::new(call.query);
            gather(call, &mut chosen).await?;
            chosen.answer()
        }
        ("GET", [id]) => {
            let blueprint = find(call, id).await?;
            let plan = call.home().store.blueprint_plan(call.tenant(), blueprint.id.clone());
            Reply::ok(included(call.query, shown(call, &blueprint, Some(plan.await?)).await?)?)
        }
        ("PUT", [id]) => upload(call, id).await,
        ("PATCH", [id]) => change(call, id).await,
        ("PATCH", [id, "set-visibility"]) => {
            // Visibility means nothing here: a blueprint is its tenant's.
            Reply::ok(shown(call, &find(call, id).await?, None).await?)
        }
        ("DELETE", [id]) => {
            call.require_tenant("delete blueprints")?;
            let id = find(call, id).await?.id;
            call.deciding(&Reply::NONE).delete_blueprint(call.tenant(), id).await?;
            Reply::none()
        }
        ("GET", [id, "archive"]) => {
            let blueprint = find(call, id).await?;
            let name = format!("{id}.tar.gz");
            Ok(Reply::File { path: files::blueprint_archive(&blueprint.id), name })
        }
        _ => call.unknown("blueprints"),
    }
}

/// Gathers the blueprints that are in reach, with their plans.
pub(super) async fn gather(call: &Call<'_>, chosen: &mut Chosen<'_>) -> Result<(), Unanswered> {
    for blueprint in reachable(call).await? {
        let plan = call.home().store.blueprint_plan(call.tenant(), blueprint.id.clone()).await?;
        chosen.take(shown(call, &blueprint, Some(plan)).await?)?;
    }
    Ok(())
}

/// The blueprints that are in reach: the operation's own, or all of its tenant.
pub(super) async fn reachable(call: &Call<'_>) -> Result<Vec<Blueprint>, Unanswered> {
    let store = &call.home().store;
    if call.answers.reach == Reach::Deployment {
        let own = call.answers.stage.scene.blueprint.clone();
        return Ok(vec![store.blueprint(call.tenant(), own).await?]);
    }
    all(|page| async move { store.blueprints(call.tenant(), &page).await }).await
}

/// Finds a blueprint that is in reach.
pub(super) async fn find(call: &Call<'_>, id: &str) -> Result<Blueprint, Unanswered> {
    let missing = || Unanswered::not_found("Blueprint", id);
    let parsed: BlueprintId = id.parse().map_err(|_| missing())?;
    let own = &call.answers.stage.scene.blueprint;
    if call.answers.reach == Reach::Deployment && parsed != *own {
        return Err(missing());
    }
    Ok(call.home().store.blueprint(call.tenant(), parsed).await?)
}

/// Takes a blueprint: a form with `params` and the archive, or the archive alone with its settings
/// in the query, as older clients send it.
async fn upload(call: &Call<'_>, id: &str) -> Answered {
    call.require_tenant("upload blueprints")?;
    let id: BlueprintId = id.parse().map_err(|why| Unanswered::invalid(&format!("{why}")))?;
    let form = Form::read(call, "blueprint_archive").await?;
    let params: Map<String, Value> = match form.text("params") {
        Some(params) => serde_json::from_str(params)
            .map_err(|error| Unanswered::invalid(&format!("`params` is no JSON: {error}")))?,
        None => Map::new(),
    };
    let param = |name: &str| {
        let given = params.get(name).and_then(Value::as_str).map(str::to_owned);
        given.or_else(|| call.text(name))
    };
    let labels = match params.get("labels") {
        None | Some(Value::Null) => Vec::new(),
        Some(given) => labels::read(given)?,
    };
    let Some(archive) = &form.file else {
        return Err(match param("blueprint_archive_url") {
            Some(url) => Unanswered::invalid(&format!(
                "this manager fetches no blueprint from outside: send the archive of {url} itself"
            )),
            None => {
                Unanswered::refused("upload_missing_file", "the blueprint's archive is missing")
            }
        });
    };
    let home = call.home();
    let (announced, received) = receive(home, archive).await?;
    let header = BlueprintHeader {
        tenant: call.tenant().into(),
        id: id.to_string(),
        main_file: param("application_file_name")
            .map(|name| percent_decoded(&name))
            .unwrap_or_default(),
        digest: announced.digest.to_string(),
        size: announced.size,
        ..BlueprintHeader::default()
    };
    let sound =
        catalog::blueprints::check(home, call.tenant(), id.clone(), &header, &received).await?;
    // Held until the row refers to it, so that no sweep takes it in between.
    let _artifact = received.publish().await.map_err(not_taken)?;
    let catalog::blueprints::Sound { blueprint, plan } = sound;
    let reply = Reply::made("blueprints", id);
    call.deciding(&reply).create_labelled_blueprint(blueprint, plan, labels).await?;
    Ok(reply)
}

/// A blueprint as it is shown, without its plan.
pub(super) async fn one(call: &Call<'_>, id: &str) -> Result<Value, Unanswered> {
    shown(call, &find(call, id).await?, None).await
}

/// Changes a blueprint's labels. The rest of it is what was uploaded.
async fn change(call: &Call<'_>, id: &str) -> Answered {
    call.require_tenant("change blueprints")?;
    let blueprint = find(call, id).await?;
    if let Some(name) = call.object()?.keys().find(|name| *name != "labels") {
        return Err(Unanswered::refused(
            "illegal_action_error",
            format!("`{name}` of a blueprint is what was uploaded: upload another one"),
        ));
    }
    let labels = labels::read(call.field("labels"))?;
    let reply = Reply::changed("blueprints", blueprint.id.clone());
    let thing = Labelled::Blueprint(blueprint.id);
    let now = jiff::Timestamp::now();
    call.deciding(&reply).set_labels(call.tenant(), thing, labels, now).await?;
    Ok(reply)
}

async fn shown(
    call: &Call<'_>,
    blueprint: &Blueprint,
    plan: Option<Value>,
) -> Result<Value, Unanswered> {
    let thing = Labelled::Blueprint(blueprint.id.clone());
    let noted: Vec<Label> = call.home().store.labels(call.tenant(), thing).await?;
    let requirements = plan.as_ref().map(|plan| plan["requirements"].clone());
    let shown = json!({
        "id": blueprint.id.as_str(),
        "created_at": time(blueprint.created_at),
        "updated_at": time(blueprint.created_at),
        "main_file_name": blueprint.main_file,
        "plan_p": null,
        "plan": plan,
        "requirements": requirements,
        "description": Some(&blueprint.description).filter(|text| !text.is_empty()),
        "is_hidden": false,
        // It was taken whole or not at all.
        "state": "uploaded",
        "error": null,
        "error_traceback": null,
        "labels": labels::shown(&noted),
        "upload_execution": null,
    });
    Ok(owned(&blueprint.tenant, shown))
}

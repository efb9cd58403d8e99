//! `/node-instances` (`rest/resources_v1/nodes.py`).

use serde_json::Value;
use waggoner_store::instance::InstanceUpdate;
use waggoner_types::plan::InstanceState;

use crate::executions::{
    answers::Unanswered,
    evaluate::Viewpoint,
    rest::{
        deployments::Seen,
        list::{Chosen, included},
        nodes::{evaluated, meant},
        reply::{Answered, Reply},
        request::Call,
    },
    shapes,
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, call.path) {
        ("GET", []) => {
            let mut chosen = Chosen::new(call.query);
            gather(call, &mut chosen).await?;
            chosen.answer()
        }
        ("GET", [id]) => get(call, id).await,
        ("PATCH", [id]) => update(call, id).await,
        _ => call.unknown("node-instances"),
    }
}

/// Gathers the node instances in the deployments that a request means.
pub(super) async fn gather(call: &Call<'_>, chosen: &mut Chosen<'_>) -> Result<(), Unanswered> {
    for id in meant(call).await? {
        let Ok(id) = call.deployment(&id) else { continue };
        let instances = call.home().store.all_node_instances(call.tenant(), id).await?;
        instances.iter().try_for_each(|one| chosen.take(shapes::node_instance(one)))?;
    }
    Ok(())
}

async fn get(call: &Call<'_>, id: &str) -> Answered {
    let instance = call.answers.stored(id).await?;
    let mut shown = shapes::node_instance(&instance);
    if call.query.is("_evaluate_functions") {
        let seen = Seen::load(call, instance.deployment_id.as_str()).await?;
        let properties = shown["runtime_properties"].take();
        let viewpoint = Viewpoint::of_instance(id);
        shown["runtime_properties"] = evaluated(call, &seen, &viewpoint, properties).await?;
    }
    Reply::ok(included(call.query, shown)?)
}

/// Changes a node instance: refused if, and only if, the stored version is greater than the one
/// that was sent and it is not forced.
async fn update(call: &Call<'_>, id: &str) -> Answered {
    let version = call.field("version");
    let version = match version {
        Value::Null => 0,
        version => version
            .as_i64()
            .ok_or_else(|| Unanswered::invalid("`version` has to be a whole number"))?,
    };
    let object = |name: &str| match call.field(name) {
        Value::Null => Ok(None),
        Value::Object(object) => Ok(Some(object.clone())),
        _ => Err(Unanswered::invalid(&format!("`{name}` has to be a JSON object"))),
    };
    let runtime_properties = object("runtime_properties")?;
    // Beside properties it is the state that was read, which the workflow may have moved on since.
    let state = match call.field("state").as_str() {
        Some(word) if runtime_properties.is_none() => Some(state(word)?),
        _ => None,
    };
    let update = InstanceUpdate {
        tenant: call.tenant(),
        id: id.to_owned(),
        version,
        force: call.flag("force"),
        runtime_properties,
        state,
        system_properties: object("system_properties")?,
    };
    Reply::ok(call.answers.change(call.asked.cloned(), update).await?)
}

fn state(word: &str) -> Result<InstanceState, Unanswered> {
    serde_json::from_value(Value::String(word.to_owned()))
        .map_err(|_| Unanswered::invalid(&format!("`{word}` is no state of a node instance")))
}

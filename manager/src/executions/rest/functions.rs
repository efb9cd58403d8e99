//! `/evaluate/functions` (`rest/resources_v3_1/functions.py`).

use serde_json::json;

use crate::executions::{
    evaluate::Viewpoint,
    rest::{
        deployments::Seen,
        nodes::evaluated,
        reply::{Answered, Reply},
        request::Call,
    },
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let ("POST", ["functions"]) = (call.method, call.path) else {
        return call.unknown("evaluate");
    };
    let id = call.text("deployment_id").unwrap_or_else(|| call.own().to_string());
    let seen = Seen::load(call, &id).await?;
    let context = call.field("context");
    let named = |key: &str| context[key].as_str().map(str::to_owned);
    let viewpoint = match (named("self"), named("source"), named("target")) {
        (Some(own), _, _) => Viewpoint::of_instance(&own),
        (None, Some(source), Some(target)) => {
            Viewpoint { source: Some(source), target: Some(target), ..Viewpoint::default() }
        }
        _ if seen.row.id == *call.own() => call.answers.viewpoint.clone(),
        _ => Viewpoint::default(),
    };
    let payload = evaluated(call, &seen, &viewpoint, call.field("payload").clone()).await?;
    Reply::ok(json!({ "deployment_id": id, "payload": payload }))
}

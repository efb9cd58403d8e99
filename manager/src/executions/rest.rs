//! Cloudify's REST API v3.1, as far as plugins use it behind their context's back.
//!
//! ```text
//!  RestRequest ──▶ Call ──▶ one module per resource ──▶ Reply ──▶ {"status", "body" | "file"}
//!                   │                     │
//!                   │                     └─ an effect is one transaction, with the reply in it
//!                   └─ how far it reaches: see `answers::Reach`
//! ```
//!
//! What a resource says is what cloudify-manager 7.0.5 says, down to the error codes; what has no
//! meaning here is refused with a sentence in the same shape.

use serde_json::Value;
use waggoner_proto::agent::v1::RestRequest;
use waggoner_store::verdict::Asked;

use crate::executions::{
    answers::{Answers, Unanswered},
    verdict::once,
};

mod blueprints;
mod dependencies;
mod deployments;
mod events;
mod executions;
pub(crate) mod files;
mod functions;
mod groups;
pub(crate) mod init_script;
mod instances;
mod labels;
mod list;
mod multipart;
mod nodes;
mod operations;
mod plugins;
pub(crate) mod reply;
mod request;
mod searches;
mod secrets;
mod sites;
mod system;
mod tasks;
mod updates;
mod uploads;

use reply::{Answered, Reply};
use request::{Body, Call, Query, percent_decoded};

/// Answers one request: a status with a body, or with a file that is to be asked for.
pub(crate) async fn answer(answers: &Answers, asked: Option<Asked>, request: RestRequest) -> Value {
    let body_id = request.body_id.clone();
    let answered = taken(answers, asked, request).await;
    if !body_id.is_empty() {
        answers.bodies.forget(&body_id).await;
    }
    answered.unwrap_or_else(|unanswered| {
        let status = u16::try_from(unanswered.status).unwrap_or(500);
        Reply::Value(status, unanswered.body()).to_json()
    })
}

async fn taken(
    answers: &Answers,
    asked: Option<Asked>,
    request: RestRequest,
) -> Result<Value, Unanswered> {
    let RestRequest { method, path, query, body_json, body_id, content_type } = request;
    let path = path.trim_matches('/');
    let is_file = path.starts_with("resources/");
    let body = async {
        Ok::<_, Unanswered>(match body_id.as_str() {
            // A file is what it is, also where it looks like JSON.
            "" if is_file => Body::Text { text: body_json, content_type },
            "" => Body::inline(body_json, content_type)?,
            id if is_file => Body::File { path: answers.bodies.path(id)?, content_type },
            id => Body::put(answers.bodies.path(id)?, content_type).await,
        })
    };
    let segments: Vec<String> = path.split('/').map(percent_decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (resource, path) = segments.split_first().expect("a split text has a part at least");
    let query = Query::parse(&query);
    // An install script has a token in it, which is kept nowhere; a second one does no harm.
    let has_effect = method != "GET" && !matches!(*resource, "evaluate" | "searches" | "waggoner");
    // Node instances have verdicts of their own, in one transaction with the change.
    if !has_effect || (*resource == "node-instances" && method == "PATCH") {
        let body = body.await?;
        let (asked, was_tried) = (asked.as_ref(), false);
        let call =
            Call { answers, method: &method, path, query: &query, body: &body, asked, was_tried };
        return Ok(route(&call, resource).await?.to_json());
    }
    // Who asks again has its answer although the body is not there any more.
    let effect = |was_tried| {
        let (asked, method, query) = (asked.as_ref(), method.as_str(), &query);
        async move {
            let body = &body.await?;
            let call = Call { answers, method, path, query, body, asked, was_tried };
            Ok(Box::pin(route(&call, resource)).await?.to_json())
        }
    };
    let answer = once(&answers.home.store, asked.clone(), effect).await?;
    let Some((status, resource, id)) = Reply::thing(&answer) else { return Ok(answer) };
    let (query, body) = (Query::default(), Body::Json(Value::Null));
    let call = Call {
        answers,
        method: "GET",
        path: &[id],
        query: &query,
        body: &body,
        asked: None,
        was_tried: false,
    };
    Ok(Reply::Value(status, Box::pin(shown(&call, resource, id)).await?).to_json())
}

/// Shows a thing as it is after an effect on it: also to who asks again, who gets it as it is then.
async fn shown(call: &Call<'_>, resource: &str, id: &str) -> Result<Value, Unanswered> {
    match resource {
        "blueprints" => blueprints::one(call, id).await,
        "deployments" => deployments::shown(call, &deployments::Seen::load(call, id).await?).await,
        "deployment-groups" => groups::one(call, id).await,
        "deployment-updates" => updates::one(call, id).await,
        "executions" => executions::one(call, id).await,
        "plugins" => plugins::one(call, id).await,
        "secrets" => secrets::one(call, id).await,
        _ => sites::one(call, id).await,
    }
}

async fn route(call: &Call<'_>, resource: &str) -> Answered {
    match resource {
        "blueprints" => Box::pin(blueprints::answer(call)).await,
        "deployments" => Box::pin(deployments::answer(call)).await,
        "deployment-groups" => Box::pin(groups::answer(call)).await,
        "deployment-updates" => Box::pin(updates::answer(call)).await,
        "evaluate" => functions::answer(call).await,
        "events" => events::answer(call).await,
        "executions" => Box::pin(executions::answer(call)).await,
        "labels" => labels::answer(call).await,
        "node-instances" => instances::answer(call).await,
        "nodes" => nodes::answer(call).await,
        "operations" => operations::answer(call).await,
        "plugins" => Box::pin(plugins::answer(call)).await,
        "resources" => files::answer(call).await,
        "searches" => searches::answer(call).await,
        "secrets" => secrets::answer(call).await,
        "sites" => sites::answer(call).await,
        "tasks_graphs" => tasks::answer(call).await,
        "waggoner" => init_script::answer(call).await,
        _ => system::answer(call, resource),
    }
}

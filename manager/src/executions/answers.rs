//! Answers what an agent asks in an attempt's conversation.
//!
//! An operation reaches its own deployment and nothing else.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::{io::AsyncReadExt as _, sync::mpsc};
use waggoner_link::settings::MAX_CHUNK;
use waggoner_proto::agent::v1::{
    Answer, AskNode, AskNodeInstance, AskResource, EvaluateFunctions, FileChunk, OperateRequest,
    Question, Refusal, RestRequest, UpdateNodeInstance, answer::Outcome,
    operate_request::Message as Down, question::Ask,
};
use waggoner_store::{
    instance::{InstanceUpdate, NodeInstance, UpdateError},
    verdict::Asked,
};
use waggoner_types::{AttemptId, Chain};
use waggoner_wagon::pack_tree;

use crate::{
    catalog::{blueprints, imports::beneath},
    executions::{
        Stage,
        evaluate::{self, Viewpoint},
        rest, shapes, verdict,
    },
    home::Home,
};

/// Who answers for one operation.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    pub(crate) home: Arc<Home>,
    pub(crate) stage: Arc<Stage>,
    pub(crate) viewpoint: Viewpoint,
}

/// Why there is no answer, as Cloudify's REST API would say it.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered {
    pub(crate) reason: &'static str,
    pub(crate) status: u32,
    pub(crate) error_code: &'static str,
    pub(crate) message: String,
}

// === impl Answers ===

impl Answers {
    /// Works out the answer to one question, and sends all but its last piece. What cannot be
    /// sent any more is asked again after the link is back.
    pub(crate) async fn answer(
        &self,
        attempt: AttemptId,
        question: Question,
        down: mpsc::Sender<OperateRequest>,
    ) -> OperateRequest {
        let Question { question_id, key, ask } = question;
        let json = |value: Value| Outcome::Json(value.to_string());
        let asked = (!key.is_empty()).then_some(Asked { attempt, key });
        let answer = match ask {
            Some(Ask::Resource(ask)) => {
                self.resource(ask, question_id, &down).await.map(Outcome::Chunk)
            }
            Some(Ask::Node(ask)) => self.node(ask).await.map(json),
            Some(Ask::NodeInstance(ask)) => self.node_instance(ask).await.map(json),
            Some(Ask::UpdateNodeInstance(update)) => self.update(asked, update).await.map(json),
            Some(Ask::EvaluateFunctions(ask)) => self.evaluate(ask).await.map(json),
            Some(Ask::Rest(request)) => Ok(json(self.rest(asked, request).await)),
            None => Err(Unanswered::invalid("the question asks nothing this manager knows")),
        };
        let outcome = answer.unwrap_or_else(|unanswered| Outcome::Refusal(unanswered.into()));
        said(question_id, outcome)
    }

    async fn node(&self, ask: AskNode) -> Result<Value, Unanswered> {
        let AskNode { node_id, instance_context } = ask;
        let instance = Some(instance_context).filter(|id| !id.is_empty());
        self.shown_node(&node_id, instance.as_deref()).await
    }

    /// Returns a node with its properties evaluated for one of its instances.
    pub(crate) async fn shown_node(
        &self,
        node_id: &str,
        instance: Option<&str>,
    ) -> Result<Value, Unanswered> {
        let node = self.stage.node_json(node_id);
        let node = node.ok_or_else(|| Unanswered::not_found("Node", node_id))?;
        let viewpoint = match instance {
            Some(instance) => Viewpoint::of_instance(instance),
            None => self.viewpoint.clone(),
        };
        let properties = node["properties"].clone();
        let properties = evaluate::value(&self.home, &self.stage, &viewpoint, properties).await?;
        Ok(shapes::node(&self.stage, node, properties))
    }

    async fn node_instance(&self, ask: AskNodeInstance) -> Result<Value, Unanswered> {
        let AskNodeInstance { node_instance_id, evaluate_functions } = ask;
        let mut instance = self.stored(&node_instance_id).await?;
        if evaluate_functions {
            let properties = Value::Object(std::mem::take(&mut instance.runtime_properties));
            let viewpoint = Viewpoint::of_instance(&instance.id);
            let evaluated =
                evaluate::value(&self.home, &self.stage, &viewpoint, properties).await?;
            if let Value::Object(evaluated) = evaluated {
                instance.runtime_properties = evaluated;
            }
        }
        Ok(shapes::node_instance(&instance))
    }

    /// Returns a node instance of the operation's own deployment.
    pub(crate) async fn stored(&self, id: &str) -> Result<NodeInstance, Unanswered> {
        let tenant = self.stage.scene.tenant.clone();
        let found = self.home.store.node_instance(tenant, id.to_owned()).await;
        match found {
            Ok(instance) if instance.deployment_id == self.stage.scene.deployment => Ok(instance),
            Ok(_) | Err(waggoner_store::Error::Missing(_)) => {
                Err(Unanswered::not_found("NodeInstance", id))
            }
            Err(error) => Err(Unanswered::failed(&error)),
        }
    }

    /// Changes a node instance by Cloudify's optimistic rule (`rest/resources_v1/nodes.py`).
    /// One that has a key has its effect once, and its first answer each time.
    pub(crate) async fn update(
        &self,
        asked: Option<Asked>,
        update: UpdateNodeInstance,
    ) -> Result<Value, Unanswered> {
        let UpdateNodeInstance { node_instance_id, version, runtime_properties_json, state } =
            update;
        let properties = match runtime_properties_json {
            None => None,
            Some(json) => {
                let parsed: Map<String, Value> = serde_json::from_str(&json).map_err(|error| {
                    let why = format!("the runtime properties are no JSON object: {error}");
                    Unanswered::invalid(&why)
                })?;
                Some(parsed)
            }
        };
        self.stored(&node_instance_id).await?;
        let update = InstanceUpdate {
            tenant: self.stage.scene.tenant.clone(),
            id: node_instance_id,
            version,
            force: false,
            runtime_properties: properties,
            // The stock client sends back the state that it read; the workflow alone changes it.
            state: state.and(None),
            system_properties: None,
        };
        let store = &self.home.store;
        let Some(asked) = asked else {
            return judged(store.update_node_instance(update).await.as_ref());
        };
        let tell = |result: Result<&NodeInstance, &UpdateError>| verdict::told(&judged(result));
        let told = store.update_node_instance_once(asked, update, tell).await;
        verdict::heard(&told.map_err(|error| Unanswered::failed(&error))?)
    }

    async fn evaluate(&self, ask: EvaluateFunctions) -> Result<Value, Unanswered> {
        let payload = serde_json::from_str(&ask.payload_json)
            .map_err(|error| Unanswered::invalid(&format!("the payload is no JSON: {error}")))?;
        evaluate::value(&self.home, &self.stage, &self.viewpoint, payload).await
    }

    async fn rest(&self, asked: Option<Asked>, request: RestRequest) -> Value {
        let (status, body) = match rest::answer(self, asked, request).await {
            Ok(body) => (200, body),
            Err(unanswered) => {
                let Unanswered { status, error_code, message, .. } = unanswered;
                let body = json!({
                    "message": message,
                    "error_code": error_code,
                    "server_traceback": null,
                });
                (status, body)
            }
        };
        json!({ "status": status, "body": body })
    }

    /// Sends all pieces of a resource but the last, and returns that.
    async fn resource(
        &self,
        ask: AskResource,
        question_id: u64,
        down: &mpsc::Sender<OperateRequest>,
    ) -> Result<FileChunk, Unanswered> {
        let AskResource { path, directory } = ask;
        let missing = || Unanswered::not_found("resource", &path);
        let files = blueprints::files(&self.home, self.stage.blueprint.digest).await;
        let files = files.map_err(|refusal| Unanswered {
            reason: "UNAVAILABLE",
            status: 500,
            error_code: "internal_server_error",
            message: refusal.message,
        })?;
        // Script paths are relative to the main file's own directory.
        let base = camino::Utf8Path::new(&self.stage.blueprint.main_file).parent();
        let base = base.map_or_else(|| files.clone(), |base| files.join(base));
        let wanted = path.trim_start_matches('/');
        let found = [base, files]
            .into_iter()
            .filter_map(|folder| beneath(&folder, wanted))
            .find(|path| if directory { path.is_dir() } else { path.is_file() })
            .ok_or_else(missing)?;
        let io = |error: std::io::Error| Unanswered::broken(&error);
        let mut file = if directory {
            let packed = tokio::task::spawn_blocking(move || {
                let mut file = camino_tempfile::tempfile()?;
                pack_tree(&found, "", &mut file).map_err(std::io::Error::other)?;
                std::io::Seek::rewind(&mut file)?;
                Ok(file)
            });
            let packed = packed.await.map_err(std::io::Error::other).and_then(|packed| packed);
            tokio::fs::File::from_std(packed.map_err(io)?)
        } else {
            tokio::fs::File::open(found).await.map_err(io)?
        };
        loop {
            let mut data = vec![0; MAX_CHUNK];
            let mut length = 0;
            // Full pieces only, so that a short one is the last.
            while length < data.len() {
                match file.read(&mut data[length..]).await.map_err(io)? {
                    0 => break,
                    read => length += read,
                }
            }
            data.truncate(length);
            let last = length < MAX_CHUNK;
            let chunk = FileChunk { data, last, directory };
            if last {
                return Ok(chunk);
            }
            drop(down.send(said(question_id, Outcome::Chunk(chunk))).await);
        }
    }
}

/// What an update of a node instance came to.
fn judged(result: Result<&NodeInstance, &UpdateError>) -> Result<Value, Unanswered> {
    result.map(shapes::node_instance).map_err(|error| match error {
        conflict @ UpdateError::Conflict { .. } => Unanswered {
            reason: "VERSION_CONFLICT",
            status: 409,
            error_code: "conflict_error",
            message: conflict.to_string(),
        },
        UpdateError::Store(error) => Unanswered::failed(error),
    })
}

fn said(question_id: u64, outcome: Outcome) -> OperateRequest {
    let answer = Answer { question_id, outcome: Some(outcome) };
    OperateRequest { message: Some(Down::Answer(answer)) }
}

// === impl Unanswered ===

impl Unanswered {
    pub(crate) fn not_found(kind: &str, id: &str) -> Self {
        Self {
            reason: "NOT_FOUND",
            status: 404,
            error_code: "not_found_error",
            message: format!("Requested `{kind}` with ID `{id}` was not found"),
        }
    }

    pub(crate) fn invalid(message: &str) -> Self {
        Self {
            reason: "INVALID",
            status: 400,
            error_code: "bad_parameters_error",
            message: message.to_owned(),
        }
    }

    pub(crate) fn failed(error: &waggoner_store::Error) -> Self {
        match error {
            waggoner_store::Error::Missing(thing) => Self {
                reason: "NOT_FOUND",
                status: 404,
                error_code: "not_found_error",
                message: format!("there is no {thing}"),
            },
            waggoner_store::Error::Exists(thing) => Self {
                reason: "INVALID",
                status: 409,
                error_code: "conflict_error",
                message: format!("the {thing} exists already"),
            },
            error => Self::broken(error),
        }
    }

    fn broken(error: &dyn std::error::Error) -> Self {
        Self {
            reason: "UNAVAILABLE",
            status: 500,
            error_code: "internal_server_error",
            message: Chain(error).to_string(),
        }
    }
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Self {
        let Unanswered { reason, status, error_code, message } = unanswered;
        Self { reason: reason.to_owned(), message, status, error_code: error_code.to_owned() }
    }
}

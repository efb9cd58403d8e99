//! Answers what an agent asks in an attempt's conversation.
//!
//! How far an operation reaches is said in [`Reach`].

use std::{io, sync::Arc};

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use waggoner_engine::Dispatch;
use waggoner_link::settings::MAX_MESSAGE;
use waggoner_proto::agent::v1::{
    Answer, AskNode, AskNodeInstance, EvaluateFunctions, OperateRequest, Question, Refusal,
    UpdateNodeInstance, answer::Outcome, operate_request::Message as Down, question::Ask,
};
use waggoner_store::{
    instance::{InstanceUpdate, NodeInstance, UpdateError},
    verdict::Asked,
};
use waggoner_types::AttemptId;

use crate::{
    executions::{
        Stage,
        evaluate::{self, Viewpoint},
        rest, shapes, verdict,
    },
    home::Home,
};

mod bodies;
mod reach;
mod resource;
mod unanswered;

pub(crate) use self::{
    bodies::{Bodies, sweep},
    reach::Reach,
    unanswered::{ERROR_CODES, REASONS, Unanswered},
};

/// Who answers for one operation.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    pub(crate) home: Arc<Home>,
    pub(crate) stage: Arc<Stage>,
    pub(crate) viewpoint: Viewpoint,
    pub(crate) reach: Reach,
    pub(crate) bodies: Arc<Bodies>,
}

// === impl Answers ===

impl Answers {
    /// Who answers for an operation.
    pub(crate) fn of(home: &Arc<Home>, stage: &Arc<Stage>, dispatch: &Dispatch) -> Self {
        Self {
            home: Arc::clone(home),
            stage: Arc::clone(stage),
            viewpoint: Viewpoint::of(dispatch),
            reach: Reach::of(dispatch),
            bodies: Arc::default(),
        }
    }

    /// Works out the answer to one question, and sends all but its last piece. What cannot be
    /// sent any more is asked again after the link is back.
    pub(crate) async fn answer(
        &self,
        attempt: AttemptId,
        question: Question,
        down: mpsc::Sender<OperateRequest>,
    ) -> OperateRequest {
        let Question { question_id, key, ask } = question;
        let json = |value: Value| {
            let text = value.to_string();
            if text.len() <= LONGEST { Outcome::Json(text) } else { Outcome::Refusal(too_long()) }
        };
        let asked = (!key.is_empty()).then_some(Asked { attempt, key });
        let answer = match ask {
            Some(Ask::Resource(ask)) => {
                self.resource(ask, question_id, &down).await.map(Outcome::Chunk)
            }
            Some(Ask::Node(ask)) => self.node(ask).await.map(json),
            Some(Ask::NodeInstance(ask)) => self.node_instance(ask).await.map(json),
            Some(Ask::UpdateNodeInstance(update)) => self.update(asked, update).await.map(json),
            Some(Ask::EvaluateFunctions(ask)) => self.evaluate(ask).await.map(json),
            Some(Ask::Rest(request)) => {
                Ok(json(Box::pin(rest::answer(self, asked, request)).await))
            }
            Some(Ask::PutBody(piece)) => {
                let put = self.bodies.put(&self.home.incoming(), piece).await;
                put.map(|size| json(serde_json::json!({ "size": size })))
            }
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
        let instances = self.stage.instances(&self.home).await?;
        let belongs = shapes::Belongs::of_stage(&self.stage);
        Ok(shapes::node(&belongs, node, &instances, properties))
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

    /// Returns a node instance that is in reach.
    pub(crate) async fn stored(&self, id: &str) -> Result<NodeInstance, Unanswered> {
        let tenant = self.stage.scene.tenant.clone();
        let found = self.home.store.node_instance(tenant, id.to_owned()).await;
        match found {
            Ok(instance)
                if self.reach.reaches(&self.stage.scene.deployment, &instance.deployment_id) =>
            {
                Ok(instance)
            }
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
        self.change(asked, update).await
    }

    /// Changes a node instance that is in reach.
    pub(crate) async fn change(
        &self,
        asked: Option<Asked>,
        update: InstanceUpdate,
    ) -> Result<Value, Unanswered> {
        let stored = self.stored(&update.id).await?;
        fits(stored, &update)?;
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
}

/// The longest answer that is sent, in bytes: with what is around it, it is a message.
const LONGEST: usize = MAX_MESSAGE - 4096;

fn too_long() -> Refusal {
    let why = format!(
        "the answer is longer than {LONGEST} bytes: ask for less at once, with `_size` and \
         `_offset`, or for fewer fields, with `_include`"
    );
    Unanswered::invalid(&why).into()
}

/// Refuses what would make a node instance one that nobody can read.
fn fits(mut stored: NodeInstance, update: &InstanceUpdate) -> Result<(), Unanswered> {
    let runtime = update.runtime_properties.as_ref().unwrap_or(&stored.runtime_properties);
    let system = update.system_properties.as_ref().unwrap_or(&stored.system_properties);
    let length = length(runtime) + length(system);
    // What else there is of one is short, but for one with very many relationships.
    if length < LONGEST / 2 {
        return Ok(());
    }
    stored.runtime_properties.clear();
    stored.system_properties.clear();
    let around = shapes::node_instance(&stored).to_string().len() + AROUND;
    if around + length <= LONGEST {
        return Ok(());
    }
    let most = LONGEST.saturating_sub(around);
    let why = format!(
        "the properties of the node instance `{}` would be {length} bytes long, and may be {most} \
         at the most, as they are read in one message: keep what is long in a file of the \
         deployment",
        stored.id
    );
    Err(Unanswered::invalid(&why))
}

/// The status of an answer that has a node instance for its body, and a longer version.
const AROUND: usize = 64;

/// How long a value is as JSON, in bytes.
fn length(object: &Map<String, Value>) -> usize {
    struct Counter(usize);

    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, object).expect("a JSON object is one, and counting works");
    counter.0
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

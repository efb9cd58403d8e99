//! A manager with a deployment, and operations of it that make requests.

use std::sync::Arc;

use camino::Utf8Path;
use fs_err as fs;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;
use waggoner_blueprint::{Blueprint, NoImports, Options, parse};
use waggoner_proto::agent::v1::{
    AskResource, FileChunk, PutBody, Question, RestRequest, answer::Outcome,
    operate_request::Message, question::Ask,
};
use waggoner_store::{artifact::Announced, blueprint, secret::Overwrite};
use waggoner_types::{AttemptId, DeploymentId, Digest, ExecutionId};

use super::super::{Conduct, Disk, Host, Memory, goes_well, tenant};
use crate::{
    catalog::deployments::{self, Attempt},
    executions::{
        Asked, Stage,
        answers::{Answers, Bodies, Reach},
        evaluate::Viewpoint,
        rest, start,
    },
    home::Home,
};

/// A manager with two deployments of one blueprint, `web` and `other`.
pub(super) struct World {
    pub(super) home: Arc<Home>,
    pub(super) disk: Disk,
}

/// An answer: its status and its body.
pub(super) type Said = (u64, Value);

pub(super) const BLUEPRINT: &str = "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
inputs: {port: {type: integer, default: 80}}
node_templates:
  host:
    type: cloudify.nodes.Compute
    properties: {ip: 10.0.0.7, agent_config: {install_method: init_script}}
  app:
    type: cloudify.nodes.WebServer
    properties: {port: {get_input: port}}
    relationships: [{type: cloudify.relationships.contained_in, target: host}]
outputs: {port: {value: {get_property: [app, port]}}}
capabilities: {secret: {value: {get_secret: key}}}
labels: {env: {values: [test]}}
";

impl World {
    pub(super) async fn new() -> Self {
        Self::with(goes_well).await
    }

    /// The same, where operations go like this.
    pub(super) async fn with(conduct: Conduct) -> Self {
        let disk = Disk::empty();
        let home = disk.manager(&Host::with(Memory::new(conduct))).await;
        let world = Self { home, disk };
        world.secret("key", "value").await;
        let text = Blueprint { text: BLUEPRINT, location: "blueprint.yaml" };
        let plan = parse(text, &NoImports, &Options::default()).unwrap().0;
        world
            .blueprint(
                "b",
                plan,
                &[("scripts/start.sh", "echo start\n"), ("scripts/stop.sh", "echo stop\n")],
            )
            .await;
        world.deployment("web", "b", json!({})).await;
        world.deployment("other", "b", json!({ "port": 81 })).await;
        world
    }

    pub(super) async fn secret(&self, key: &str, value: &str) {
        let (value, now) = (SecretString::from(value), Timestamp::now());
        let put = self.home.store.put_secret(tenant(), key.to_owned(), &value, Overwrite::No, now);
        put.await.unwrap();
    }

    /// Stores a blueprint with this plan and these files.
    pub(super) async fn blueprint(&self, id: &str, plan: Value, files: &[(&str, &str)]) {
        let archive = archive(files);
        let digest = Digest(sha2::Sha256::digest(&archive).into());
        let announced = Announced { digest, size: archive.len() as u64 };
        let mut incoming = self.home.store.artifacts().receive(announced).await.unwrap();
        incoming.write(&archive).await.unwrap();
        drop(incoming.finish().await.unwrap().publish().await.unwrap());
        let blueprint = blueprint::Blueprint {
            tenant: tenant(),
            id: id.parse().unwrap(),
            description: plan["description"].as_str().unwrap_or_default().to_owned(),
            main_file: "blueprint.yaml".to_owned(),
            digest,
            created_at: Timestamp::now(),
            plugins: Vec::new(),
        };
        self.home.store.create_blueprint(blueprint, plan).await.unwrap();
    }

    pub(super) async fn deployment(&self, id: &str, blueprint: &str, inputs: Value) {
        let (id, of) = (id.parse().unwrap(), blueprint.parse().unwrap());
        let inputs: Map<String, Value> = inputs.as_object().cloned().unwrap();
        let new = deployments::plan(&self.home, Attempt::Create, tenant(), id, of, inputs).await;
        self.home.store.create_deployment(new.unwrap()).await.unwrap();
    }

    /// Runs a workflow to its end.
    pub(super) async fn run(&self, deployment: &str, workflow: &str) -> ExecutionId {
        let asked = Asked::new(tenant(), deployment.parse().unwrap(), workflow);
        let execution = start(&self.home, asked).await.unwrap();
        let id = execution.id;
        loop {
            let now = self.home.store.execution(tenant(), id).await.unwrap();
            if now.status.is_end() {
                return id;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The id of the only instance of a node.
    pub(super) async fn instance(&self, deployment: &str, node: &str) -> String {
        let id: DeploymentId = deployment.parse().unwrap();
        let all = self.home.store.all_node_instances(tenant(), id).await.unwrap();
        all.into_iter().find(|instance| instance.node_id == node).unwrap().id
    }

    /// An operation of a deployment.
    pub(super) async fn operation(&self, deployment: &str, reach: Reach) -> Answers {
        self.operation_of(deployment, reach, ExecutionId(Uuid::now_v7())).await
    }

    pub(super) async fn operation_of(
        &self,
        deployment: &str,
        reach: Reach,
        execution: ExecutionId,
    ) -> Answers {
        let asked = Asked::new(tenant(), deployment.parse().unwrap(), "install");
        let stage = Stage::load(&self.home, &asked, execution).await.unwrap();
        Answers {
            home: Arc::clone(&self.home),
            stage: Arc::new(stage),
            viewpoint: Viewpoint::default(),
            reach,
            bodies: Arc::new(Bodies::default()),
        }
    }
}

/// Makes a request without a body.
pub(super) async fn get(answers: &Answers, path: &str) -> Said {
    send(answers, "GET", path, &Value::Null).await
}

/// Makes a request with a JSON body.
pub(super) async fn send(answers: &Answers, method: &str, path: &str, body: &Value) -> Said {
    let body_json = if body.is_null() { String::new() } else { body.to_string() };
    request(answers, method, path, RestRequest { body_json, ..RestRequest::default() }).await
}

/// Makes a request whose body is put before, in two pieces.
pub(super) async fn send_bytes(
    answers: &Answers,
    method: &str,
    path: &str,
    content_type: &str,
    body: &[u8],
) -> Said {
    let body_id = Uuid::new_v4().to_string();
    let (one, other) = body.split_at(body.len() / 2);
    for (offset, data) in [(0, one), (one.len(), other)] {
        let offset = offset as u64;
        let piece = PutBody { body_id: body_id.clone(), offset, data: data.to_vec() };
        ask(answers, Ask::PutBody(piece)).await.unwrap();
    }
    let content_type = content_type.to_owned();
    request(answers, method, path, RestRequest { body_id, content_type, ..RestRequest::default() })
        .await
}

async fn request(answers: &Answers, method: &str, path: &str, request: RestRequest) -> Said {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let request = RestRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        ..request
    };
    let mut answer = Box::pin(rest::answer(answers, None, request)).await;
    let status = answer["status"].as_u64().unwrap();
    let body = match answer.get("file") {
        Some(file) => file.clone(),
        None => answer["body"].take(),
    };
    (status, body)
}

/// Asks for a file, and returns it whole.
pub(super) async fn file(answers: &Answers, path: &str) -> Result<String, u32> {
    let ask_for = AskResource { path: path.to_owned(), directory: false };
    match ask(answers, Ask::Resource(ask_for)).await? {
        Outcome::Chunk(FileChunk { data, last: true, .. }) => {
            Ok(String::from_utf8_lossy(&data).into_owned())
        }
        other => panic!("{other:?}"),
    }
}

/// Asks for a directory, and returns its files as who unpacks it finds them.
pub(super) async fn directory(answers: &Answers, path: &str) -> Result<Vec<(String, String)>, u32> {
    let ask_for = AskResource { path: path.to_owned(), directory: true };
    let Outcome::Chunk(FileChunk { data, last: true, directory: true }) =
        ask(answers, Ask::Resource(ask_for)).await?
    else {
        panic!("{path}: not a directory in one piece")
    };
    let folder = camino_tempfile::tempdir().unwrap();
    tar::Archive::new(data.as_slice()).unpack(folder.path()).unwrap();
    let index = crate::executions::rest::files::index(folder.path()).unwrap();
    let names = index.as_object().unwrap().keys();
    let read = |name: &String| fs::read_to_string(folder.path().join(name)).unwrap();
    Ok(names.map(|name| (name.clone(), read(name))).collect())
}

async fn ask(answers: &Answers, ask: Ask) -> Result<Outcome, u32> {
    let question = Question { question_id: 1, ask: Some(ask), key: Vec::new() };
    let (down, _pieces) = mpsc::channel(64);
    let answered = Box::pin(answers.answer(AttemptId(Uuid::nil()), question, down)).await;
    let Some(Message::Answer(answer)) = answered.message else { panic!("{answered:?}") };
    match answer.outcome.unwrap() {
        Outcome::Refusal(refusal) => Err(refusal.status),
        outcome => Ok(outcome),
    }
}

/// An archive of these files, in one directory.
pub(super) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let folder = camino_tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Utf8Path::new("/"))).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut bytes = Vec::new();
    waggoner_wagon::pack_tree(folder.path(), "top", &mut bytes).unwrap();
    bytes
}

use sha2::Digest as _;

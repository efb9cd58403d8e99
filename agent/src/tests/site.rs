//! An agent's services behind an in-memory link, and a manager that talks to them.

use std::{io, sync::Arc, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::Utf8TempDir;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint, Server},
};
use uuid::Uuid;
use waggoner_proto::agent::v1::{
    self as pb, OperateRequest, OperateResponse, agent_service_client::AgentServiceClient,
    agent_service_server::AgentServiceServer, operate_request, operate_response, start,
};
use waggoner_python::{Environments, Interpreter};
use waggoner_task::Tasks;
use waggoner_types::{Body, Outcome, OutputStream, Record};
use waggoner_wire::from_record;

use crate::{
    api::AgentApi,
    artifacts::Artifacts,
    attempts::Attempts,
    context::CtxProxy,
    environments::Installs,
    facade::Facade,
    house::{Conversations, HEARTBEAT, House},
    journal::Journal,
    state::StateDir,
};

/// An agent without a link, and what a test may look at.
pub(crate) struct Site {
    pub(crate) directory: Utf8TempDir,
    pub(crate) house: Arc<House>,
    tasks: Arc<Tasks>,
}

/// A manager's side of one conversation.
pub(crate) struct Talk {
    pub(crate) says: mpsc::Sender<OperateRequest>,
    hears: Streaming<OperateResponse>,
}

/// What an attempt left.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) records: Vec<Record>,
    pub(crate) questions: Vec<pb::question::Ask>,
}

// === impl Site ===

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with_slots(32).await
    }

    pub(crate) async fn with_slots(slots: u32) -> Self {
        let none = |root| Environments::with_tools(root, None, Vec::new());
        Self::with(slots, none).await
    }

    /// A site with an interpreter, whose environments are kept in `root`.
    pub(crate) async fn with_python(root: &Utf8Path, python: Interpreter) -> Self {
        let root = root.to_owned();
        Self::with(8, |_| Environments::with_tools(root, None, vec![python])).await
    }

    async fn with(slots: u32, environments: impl FnOnce(Utf8PathBuf) -> Environments) -> Self {
        let directory = Utf8TempDir::new().unwrap();
        let [state, runtime] = ["state", "runtime"].map(|name| directory.path().join(name));
        let state = StateDir::open(&state, Some(&runtime), &program()).unwrap();
        let environments = environments(state.python());
        let tasks = Arc::new(Tasks::default());
        let (facade, receiving) = Facade::open(&state.facade()).await.unwrap();
        tasks.spawn("facade", receiving);
        let (ctx_proxy, proxying) = CtxProxy::open(&state.facade().join("ctx-port")).await.unwrap();
        tasks.spawn("ctx proxy", proxying);
        let program = Utf8PathBuf::try_from(program()).unwrap();
        let launch = crate::supervise::launch(program, &state);
        let opened = Journal::open(crate::supervise::home(&state), launch).await;
        let (journal, news, known) = opened.unwrap();
        let journal = Arc::new(journal);
        let house = Arc::new(House {
            name: "agent-1".to_owned(),
            facade,
            ctx_proxy,
            left: Arc::default(),
            artifacts: Artifacts::open(state.artifacts()).unwrap(),
            installs: Installs::of(&environments),
            environments,
            state,
            attempts: Attempts::recover(Arc::clone(&journal), known),
            journal,
            slots: Semaphore::new(slots as usize),
            slot_count: slots,
            heartbeat: watch::Sender::new(HEARTBEAT),
            conversations: Conversations::default(),
            hellos: watch::Sender::new(0),
        });
        tasks.spawn("left", crate::agent::forever(Arc::clone(&house.left).keep()));
        let following = house.clone();
        tasks.spawn(
            "supervisor",
            crate::agent::forever(async move {
                following.journal.follow(news, &following.attempts).await
            }),
        );
        Self { directory, house, tasks }
    }

    /// A new link. The one before may live on.
    pub(crate) async fn link(&self) -> AgentServiceClient<Channel> {
        let host = crate::host::look(&self.house.environments).await;
        let api = AgentApi::new(self.house.clone(), host, self.tasks.clone());
        let (near, far) = tokio::io::duplex(64 * 1024);
        let server = Server::builder()
            .add_service(AgentServiceServer::new(api))
            .serve_with_incoming(tokio_stream::once(Ok::<_, io::Error>(far)));
        self.tasks.spawn("link", server);
        let mut near = Some(near);
        let connector = tower::service_fn(move |_| {
            let near = near.take().map(TokioIo::new);
            async move { near.ok_or_else(|| io::Error::other("the test connects once")) }
        });
        let endpoint = Endpoint::from_static("http://agent.test");
        AgentServiceClient::new(endpoint.connect_with_connector(connector).await.unwrap())
    }

    /// Runs an attempt to its acknowledged end.
    pub(crate) async fn run(&self, start: pb::Start) -> Story {
        let mut client = self.link().await;
        let talk = Talk::start(&mut client, start).await.unwrap();
        talk.finish(refuse).await
    }
}

// === impl Talk ===

impl Talk {
    pub(crate) async fn start(
        client: &mut AgentServiceClient<Channel>,
        start: pb::Start,
    ) -> Result<Self, Status> {
        Self::open(client, operate_request::Message::Start(start)).await
    }

    pub(crate) async fn resume(
        client: &mut AgentServiceClient<Channel>,
        attempt_id: &str,
        after: u64,
    ) -> Result<Self, Status> {
        let resume = pb::Resume { attempt_id: attempt_id.to_owned(), after, chain: 0 };
        Self::open(client, operate_request::Message::Resume(resume)).await
    }

    pub(crate) async fn open(
        client: &mut AgentServiceClient<Channel>,
        first: operate_request::Message,
    ) -> Result<Self, Status> {
        let (says, said) = mpsc::channel(16);
        says.send(OperateRequest { message: Some(first) }).await.unwrap();
        let hears = client.operate(ReceiverStream::new(said)).await?.into_inner();
        Ok(Self { says, hears })
    }

    pub(crate) async fn say(&self, message: operate_request::Message) {
        // A conversation that is over hears nothing more.
        drop(self.says.send(OperateRequest { message: Some(message) }).await);
    }

    pub(crate) async fn ack(&self, upto: u64) {
        self.say(operate_request::Message::Ack(pb::Ack { upto })).await;
    }

    pub(crate) async fn cancel(&self, kill: bool) {
        let reason = "the test says so".to_owned();
        self.say(operate_request::Message::Cancel(pb::Cancel { kill, reason })).await;
    }

    /// Hears the next message; `None` at the end.
    pub(crate) async fn hear(&mut self) -> Result<Option<operate_response::Message>, Status> {
        let heard = tokio::time::timeout(Duration::from_secs(30), self.hears.message()).await;
        let heard = heard.expect("the agent says something within half a minute")?;
        Ok(heard.map(|response| response.message.unwrap()))
    }

    /// Hears on until there is a record that is wanted.
    pub(crate) async fn record(&mut self, wanted: impl Fn(&Body) -> bool) -> Record {
        loop {
            if let operate_response::Message::Record(record) = self.hear().await.unwrap().unwrap() {
                let record = from_record(record).unwrap();
                if wanted(&record.body) {
                    return record;
                }
            }
        }
    }

    /// Acknowledges every record and answers every question, up to the end.
    pub(crate) async fn finish(
        mut self,
        answer: impl Fn(&pb::question::Ask) -> pb::answer::Outcome,
    ) -> Story {
        let mut story = Story::default();
        while let Some(message) = self.hear().await.unwrap() {
            match message {
                operate_response::Message::Record(record) => {
                    let record = from_record(record).unwrap();
                    self.ack(record.sequence).await;
                    story.records.push(record);
                }
                operate_response::Message::Question(question) => {
                    let ask = question.ask.unwrap();
                    let outcome = Some(answer(&ask));
                    let answer = pb::Answer { question_id: question.question_id, outcome };
                    self.say(operate_request::Message::Answer(answer)).await;
                    story.questions.push(ask);
                }
                operate_response::Message::Accepted(_)
                | operate_response::Message::Heartbeat(_) => {}
            }
        }
        story
    }
}

// === impl Story ===

impl Story {
    pub(crate) fn outcome(&self) -> &Outcome {
        match &self.records.last().expect("there are records").body {
            Body::Outcome(outcome) => outcome,
            other => panic!("the last record is {other:?}"),
        }
    }

    pub(crate) fn error(&self) -> &waggoner_types::OperationError {
        self.outcome().result.as_ref().unwrap_err()
    }

    pub(crate) fn output(&self, wanted: OutputStream) -> Vec<u8> {
        let bodies = self.records.iter().map(|record| &record.body);
        let chunks = bodies.filter_map(|body| match body {
            Body::Output { stream, data, .. } if *stream == wanted => Some(data.as_slice()),
            _ => None,
        });
        chunks.collect::<Vec<_>>().concat()
    }

    /// The log lines, those of a script's output as the manager shows them.
    pub(crate) fn logs(&self) -> Vec<String> {
        let bodies = self.records.iter().map(|record| &record.body);
        let logs = bodies.flat_map(|body| match body {
            Body::Log { message, .. } => vec![message.clone()],
            Body::Output { stream, lines: true, data, .. } => {
                waggoner_types::output_lines(*stream, data).collect()
            }
            _ => Vec::new(),
        });
        logs.collect()
    }
}

/// A start of `/bin/sh -c`.
pub(crate) fn shell(script: &str) -> pb::Start {
    let args = vec!["-c".to_owned(), script.to_owned()];
    let program = pb::ProgramOperation { program: "/bin/sh".to_owned(), args };
    pb::Start {
        attempt_id: Uuid::now_v7().to_string(),
        context_json: json!({"tenant": {"name": "default_tenant"}}).to_string(),
        implementation: Some(start::Implementation::Program(program)),
        ..pb::Start::default()
    }
}

/// Refuses every question.
pub(crate) fn refuse(_: &pb::question::Ask) -> pb::answer::Outcome {
    pb::answer::Outcome::Refusal(pb::Refusal {
        reason: "NOT_FOUND".to_owned(),
        message: "there is no such thing".to_owned(),
        status: 404,
        error_code: "not_found_error".to_owned(),
    })
}

/// Answers with a value.
pub(crate) fn value(value: &Value) -> pb::answer::Outcome {
    pb::answer::Outcome::Json(value.to_string())
}

pub(crate) fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

/// The agent's program, which cargo builds for the tests in `tests/`.
pub(crate) fn program() -> std::path::PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("waggoner-agent");
    assert!(program.is_file(), "{} is built with the tests", program.display());
    program
}

//! Conversations with an agent that says what the test wants.

use std::io;

use camino_tempfile::{Utf8TempDir, tempdir};
use clap::Parser as _;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{DuplexStream, duplex};
use tonic::{
    Request, Response, Status, async_trait,
    transport::{Endpoint, Server},
};
use tower::service_fn;
use uuid::Uuid;
use waggoner_proto::agent::v1::{
    self as pb,
    agent_service_server::{AgentService, AgentServiceServer},
};
use waggoner_store::attempt::Watermark;
use waggoner_types::{AgentRole, Body, ErrorKind, Exit, Host, Record};
use waggoner_wire::{Reason, Refused};

use super::*;
use crate::{Config, Manager, bench::Bench, fleet::AgentKey};

/// A manager without doors, and an agent that it has a link to.
struct Scene {
    home: Arc<Home>,
    bench: Bench,
    link: Arc<Link>,
    talks: mpsc::Receiver<Talk>,
    _folder: Utf8TempDir,
}

/// The agent's end of a conversation.
struct Talk {
    down: Streaming<OperateRequest>,
    up: mpsc::Sender<Result<OperateResponse, Status>>,
    chain: u64,
}

/// An agent that leaves all conversations to the test.
struct Puppet(mpsc::Sender<Talk>);

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl AgentService for Puppet {
    type OperateStream = ReceiverStream<Result<OperateResponse, Status>>;
    type WatchStatusStream = ReceiverStream<Result<pb::WatchStatusResponse, Status>>;

    async fn operate(
        &self,
        request: Request<Streaming<OperateRequest>>,
    ) -> Answer<Self::OperateStream> {
        let (up, outbound) = mpsc::channel(16);
        self.0.send(Talk { down: request.into_inner(), up, chain: 0 }).await.unwrap();
        Ok(Response::new(ReceiverStream::new(outbound)))
    }

    async fn hello(&self, _: Request<pb::HelloRequest>) -> Answer<pb::HelloResponse> {
        Err(Status::unimplemented(""))
    }

    async fn find_missing_artifacts(
        &self,
        _: Request<pb::FindMissingArtifactsRequest>,
    ) -> Answer<pb::FindMissingArtifactsResponse> {
        Err(Status::unimplemented(""))
    }

    async fn write_artifact(
        &self,
        _: Request<Streaming<pb::WriteArtifactRequest>>,
    ) -> Answer<pb::WriteArtifactResponse> {
        Err(Status::unimplemented(""))
    }

    async fn prepare_environment(
        &self,
        _: Request<pb::PrepareEnvironmentRequest>,
    ) -> Answer<pb::PrepareEnvironmentResponse> {
        Err(Status::unimplemented(""))
    }

    async fn remove_plugin(
        &self,
        _: Request<pb::RemovePluginRequest>,
    ) -> Answer<pb::RemovePluginResponse> {
        Err(Status::unimplemented(""))
    }

    async fn watch_status(
        &self,
        _: Request<pb::WatchStatusRequest>,
    ) -> Answer<Self::WatchStatusStream> {
        Err(Status::unimplemented(""))
    }
}

// === impl Scene ===

impl Scene {
    async fn new() -> Self {
        let folder = tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let args = ["", "--listen", "127.0.0.1:0", "--data-dir", data_dir.as_str()];
        let manager = Manager::bind(Config::parse_from(args)).await.unwrap();
        let home = Arc::clone(manager.home());
        let bench = manager.dispatcher().open("puppet".parse().unwrap()).await.unwrap();
        let (theirs, talks) = mpsc::channel(4);
        let link = Arc::new(link(&home, Puppet(theirs)));
        assert!(home.fleet.join(&link));
        Self { home, bench, link, talks, _folder: folder }
    }

    /// Runs an operation; what comes of it is told later.
    fn run(&self) -> mpsc::Receiver<Outcome> {
        let (told, outcome) = mpsc::channel(1);
        let bench = self.bench.clone();
        self.home.tasks.spawn("run", async move {
            told.send(bench.run("/bin/true", &[]).await.unwrap()).await.unwrap();
        });
        outcome
    }

    async fn talk(&mut self) -> Talk {
        self.talks.recv().await.unwrap()
    }
}

/// A link over memory.
fn link(home: &Home, puppet: Puppet) -> Link {
    let (connections_tx, connections) = mpsc::channel::<io::Result<DuplexStream>>(1);
    let served = Server::builder()
        .add_service(AgentServiceServer::new(puppet))
        .serve_with_incoming(ReceiverStream::new(connections));
    home.tasks.spawn("puppet", async { drop(served.await) });
    let channel =
        Endpoint::from_static("http://puppet").connect_with_connector_lazy(service_fn(move |_| {
            let connections_tx = connections_tx.clone();
            async move {
                let (ours, theirs) = duplex(1 << 20);
                let sent = connections_tx.send(Ok(theirs)).await;
                sent.map(|()| TokioIo::new(ours)).map_err(io::Error::other)
            }
        }));
    let tenant = "default_tenant".parse().unwrap();
    let key = AgentKey { tenant, name: "puppet".parse().unwrap() };
    Link::new(key, AgentRole::Central, Host::default(), channel, jiff::SignedDuration::ZERO)
}

// === impl Talk ===

impl Talk {
    async fn hear(&mut self) -> Option<Down> {
        self.down.message().await.unwrap_or_default().map(|heard| heard.message.unwrap())
    }

    async fn hear_resume(&mut self) -> (u64, u64) {
        match self.hear().await {
            Some(Down::Resume(Resume { after, chain, .. })) => (after, chain),
            other => panic!("{other:?}"),
        }
    }

    async fn say(&self, message: Up) {
        self.up.send(Ok(OperateResponse { message: Some(message) })).await.unwrap();
    }

    async fn accept(&self) {
        self.say(Up::Accepted(pb::Accepted::default())).await;
    }

    /// Says a record with its digest, or with a wrong one.
    async fn record(&mut self, sequence: u64, body: Body, wrong: u64) {
        let record = Record { sequence, time: Timestamp::UNIX_EPOCH, body };
        let mut message = waggoner_wire::to_record(record);
        self.chain = waggoner_wire::chain(self.chain, &waggoner_wire::payload(&message));
        message.chain = self.chain ^ wrong;
        self.say(Up::Record(message)).await;
    }

    async fn refuse(self, refused: Refused) {
        self.up.send(Err(refused.into())).await.unwrap();
    }
}

fn said(message: &str) -> Body {
    Body::Event { event_type: "told".to_owned(), message: message.to_owned() }
}

fn done() -> Body {
    Body::Outcome(Outcome { result: Ok(json!(42)), exit: None })
}

#[tokio::test]
async fn a_record_with_a_wrong_digest_is_not_stored_but_asked_for_again() {
    let mut scene = Scene::new().await;
    let mut outcome = scene.run();
    let mut talk = scene.talk().await;
    assert!(matches!(talk.hear().await, Some(Down::Start(_))));
    talk.accept().await;
    talk.record(1, said("one"), 0).await;
    assert_eq!(talk.hear().await, Some(Down::Ack(Ack { upto: 1 })));
    let first = talk.chain;
    talk.record(2, said("two"), 1).await;
    assert_eq!(talk.hear().await, None, "the manager has left");

    let mut talk = scene.talk().await;
    assert_eq!(talk.hear_resume().await, (1, first));
    talk.chain = first;
    talk.record(2, said("two"), 0).await;
    talk.record(3, done(), 0).await;
    assert_eq!(outcome.recv().await.unwrap().result, Ok(json!(42)));
    let execution = scene.home.store.open_executions().await.unwrap().remove(0);
    let operation = scene.home.store.operations(execution.id).await.unwrap().remove(0).id;
    let attempt = scene.home.store.attempts(operation).await.unwrap().remove(0);
    assert_eq!(attempt.watermark, Watermark { upto: 3, chain: talk.chain });
    assert!(attempt.ended_at.is_some());
}

#[tokio::test]
async fn an_agent_with_another_history_ends_the_attempt_as_lost() {
    let mut scene = Scene::new().await;
    let mut outcome = scene.run();
    let mut talk = scene.talk().await;
    talk.accept().await;
    talk.record(1, said("one"), 0).await;
    drop(talk);

    let talk = scene.talk().await;
    talk.refuse(Refused::new(Reason::HistoryMismatch, "it holds other records")).await;
    let outcome = outcome.recv().await.unwrap();
    assert_eq!(outcome.exit, Some(Exit::Lost));
    assert_eq!(outcome.result.unwrap_err().kind, ErrorKind::NonRecoverable);
    let key = &scene.link.key;
    let open = scene.home.store.open_attempts(key.tenant.clone(), key.name.clone()).await;
    assert_eq!(open.unwrap(), []);
}

#[tokio::test]
async fn an_agent_that_never_accepted_it_is_sent_the_start_again() {
    let mut scene = Scene::new().await;
    let mut outcome = scene.run();
    drop(scene.talk().await);
    let mut talk = scene.talk().await;
    assert!(matches!(talk.hear().await, Some(Down::Start(_))));
    talk.refuse(Refused::field("start.epoch", "it is older than one that was seen")).await;
    let error = outcome.recv().await.unwrap().result.unwrap_err();
    assert!(error.message.contains("refused the operation"), "{error:?}");
}

#[tokio::test]
async fn what_is_listed_and_needed_by_nobody_is_killed_and_acknowledged() {
    let mut scene = Scene::new().await;
    let id = Uuid::from_u128(7).to_string();
    let state = AttemptState::Running.into();
    let listed = Attempt { attempt_id: id.clone(), state, last_sequence: 5 };
    let (home, link) = (Arc::clone(&scene.home), Arc::clone(&scene.link));
    home.tasks.spawn("reconcile", {
        let home = Arc::clone(&home);
        async move { reconcile(&home, &link, vec![listed]).await.unwrap() }
    });
    let mut talk = scene.talk().await;
    assert_eq!(talk.hear_resume().await, (5, 0));
    assert_eq!(talk.hear().await, Some(Down::Ack(Ack { upto: 5 })));
    assert!(matches!(talk.hear().await, Some(Down::Cancel(Cancel { kill: true, .. }))));
    talk.accept().await;
    talk.record(6, done(), 0).await;
    assert_eq!(talk.hear().await, Some(Down::Ack(Ack { upto: 6 })));
    drop(talk.up);
    assert_eq!(talk.down.message().await.unwrap_or_default(), None, "the manager leaves too");
}

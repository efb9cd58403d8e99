//! A manager that knows a few things by heart, and notes what it is told.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use futures_util::{Stream, stream};
use hyper_util::rt::TokioIo;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Endpoint, Server},
};
use waggoner_proto::v1::{
    blueprint_service_server::BlueprintServiceServer,
    deployment_service_server::DeploymentServiceServer, event_service_server::EventServiceServer,
    execution_service_server::ExecutionServiceServer,
    node_instance_service_server::NodeInstanceServiceServer,
    plugin_service_server::PluginServiceServer, secret_service_server::SecretServiceServer, *,
};

use crate::client::Manager;

mod catalog;
mod runs;

/// What the manager knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fake {
    pub plugins: Vec<Plugin>,
    pub deployments: Vec<Deployment>,
    pub outputs: GetDeploymentOutputsResponse,
    pub node_instances: Vec<NodeInstance>,
    /// The execution as it is after the events.
    pub execution: Execution,
    /// Why it has not ended.
    pub explanation: ExplainExecutionResponse,
    /// What an update changes.
    pub changes: DeploymentChanges,
    /// Events, in the pieces in which they are sent.
    pub events: Vec<Vec<Event>>,
    /// How to answer what changes things.
    pub refusal: Option<Status>,
    /// The bytes of a wagon, as they are downloaded.
    pub wagon: Vec<u8>,
    /// What was asked.
    pub heard: Arc<Mutex<Heard>>,
}

/// What a manager was asked.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub authorization: Vec<String>,
    pub page_tokens: Vec<String>,
    pub followed_after: Vec<u64>,
    pub plugin: Option<PluginHeader>,
    pub blueprint: Option<BlueprintHeader>,
    pub pieces: Vec<usize>,
    pub bytes: Vec<u8>,
    pub started: Option<StartExecutionRequest>,
    pub created: Option<CreateDeploymentRequest>,
    pub updated: Option<UpdateDeploymentRequest>,
    pub secret: Option<PutSecretRequest>,
}

pub(super) type Flow<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

// === impl Fake ===

impl Fake {
    /// A client and this manager on two ends of one in-memory pipe.
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    pub(crate) async fn connect(self) -> Manager {
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(
            Server::builder()
                .add_service(BlueprintServiceServer::new(self.clone()))
                .add_service(DeploymentServiceServer::new(self.clone()))
                .add_service(EventServiceServer::new(self.clone()))
                .add_service(ExecutionServiceServer::new(self.clone()))
                .add_service(NodeInstanceServiceServer::new(self.clone()))
                .add_service(PluginServiceServer::new(self.clone()))
                .add_service(SecretServiceServer::new(self))
                .serve_with_incoming(tokio_stream::once(Ok::<_, std::io::Error>(far))),
        );
        let mut near = Some(near);
        let channel = Endpoint::from_static("http://manager.test")
            .connect_with_connector(tower::service_fn(move |_| {
                let near = near.take().expect("the test connects once");
                async move { Ok::<_, std::io::Error>(TokioIo::new(near)) }
            }))
            .await
            .expect("the pipe is open");
        let (token, tenant) = ("wgt_test".into(), "default_tenant".to_owned());
        Manager::over(channel, &token, tenant, "manager.test:1".to_owned()).unwrap()
    }

    pub(super) fn refusing(refusal: Status) -> Self {
        Self { refusal: Some(refusal), ..Self::default() }
    }

    fn note(&self, note: impl FnOnce(&mut Heard)) {
        note(&mut self.heard.lock().unwrap());
    }

    fn judge(&self) -> Result<(), Status> {
        self.refusal.clone().map_or(Ok(()), Err)
    }

    /// The second page is named by its token.
    fn page<T: Clone>(&self, items: &[T], token: &str) -> (Vec<T>, String) {
        self.note(|heard| heard.page_tokens.push(token.to_owned()));
        match (token, items) {
            ("", [first, _, ..]) => (vec![first.clone()], "rest".to_owned()),
            ("", items) => (items.to_vec(), String::new()),
            (_, items) => (items[1..].to_vec(), String::new()),
        }
    }
}

/// Takes the header and the bytes of an upload.
async fn taken<M, H>(
    fake: &Fake,
    request: Request<Streaming<M>>,
    part: fn(M) -> Result<H, Vec<u8>>,
) -> Result<H, Status> {
    let mut stream = request.into_inner();
    let mut header = None;
    while let Some(message) = stream.message().await? {
        match part(message) {
            Ok(first) => header = Some(first),
            Err(bytes) => fake.note(|heard| {
                heard.pieces.push(bytes.len());
                heard.bytes.extend(bytes);
            }),
        }
    }
    fake.judge()?;
    header.ok_or_else(|| Status::invalid_argument("no header"))
}

fn flow<T: Send + 'static>(items: Vec<T>) -> Flow<T> {
    Box::pin(stream::iter(items.into_iter().map(Ok)))
}

fn unknown<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the fake does not know how"))
}

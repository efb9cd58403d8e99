//! The same lines, each read from the pipe and sent as a message of a gRPC stream over mutual TLS
//! that is acknowledged by itself, and kept nowhere.

use std::{
    convert::Infallible,
    future::pending,
    pin::Pin,
    process::Stdio,
    task,
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future::BoxFuture};
use http::uri::PathAndQuery;
use jiff::Timestamp;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    client::Grpc as Client,
    server::{Grpc as Server, NamedService, StreamingService},
    service::Routes,
};
use tonic_prost::ProstCodec;
use tower::Service;
use waggoner_identity::{Ca, Csr, Identity, Key, TrustDomain, Validity, tls};
use waggoner_link::{Accepted, Dialler, Listener, client_over, serve_over};
use waggoner_proto::agent::v1::{Ack, Output, Record, record};

/// Takes lines and acknowledges each.
#[derive(Clone, Copy)]
struct Lines;

/// How many lines wait to be sent.
const WAITING: usize = 256;

const DAY: Duration = Duration::from_hours(24);

/// Sends what a shell's script writes. Returns how long that took.
pub(crate) async fn send(script: &str) -> Duration {
    let directory = camino_tempfile::tempdir().expect("there is room for a directory");
    let ca = Ca::open_or_create(directory.path(), &TrustDomain::default(), Timestamp::now());
    let ca = ca.expect("a CA can be made");
    let validity = || Validity::new(Timestamp::now(), DAY);
    let manager = ca.issue_manager(&[], &["127.0.0.1".parse().expect("it is one")], validity());
    let manager = manager.expect("a certificate can be made").credentials();
    let agent = agent(&ca, validity()).credentials();

    let port = tls::manager_port(&manager, ca.certificate());
    let mut listener = Listener::bind("127.0.0.1:0", port).await.expect("there is a free port");
    let address = listener.address().expect("it is bound").to_string();
    let dialler = Dialler::new(tls::agent_dialling(&agent, ca.certificate()));
    let (accepted, connection) = tokio::join!(listener.next(), dialler.dial(&address));
    let Accepted::Agent { io, .. } = accepted else { panic!("an agent dials") };
    let serving = serve_over(io, Routes::new(Lines), pending());
    let sending = async {
        let (channel, _life) =
            client_over(connection.expect("it answers")).await.expect("it speaks");
        let mut client = Client::new(channel);
        client.ready().await.expect("it is connected");
        let begun = Instant::now();
        let (said, lines) = mpsc::channel(WAITING);
        let reading = read(script, said);
        let path = PathAndQuery::from_static("/bench.Lines/Write");
        let codec = ProstCodec::<Record, Ack>::default();
        let hearing = async {
            let lines = Request::new(ReceiverStream::new(lines));
            let answer = client.streaming(lines, path, codec).await;
            let acks: Streaming<Ack> = answer.expect("it is served").into_inner();
            let last = acks.try_fold(0, async |last, ack: Ack| Ok(ack.upto.max(last))).await;
            last.expect("each line is acknowledged")
        };
        let (lines, acknowledged) = tokio::join!(reading, hearing);
        assert_eq!(acknowledged, lines);
        begun.elapsed()
    };
    tokio::select! {
        why = serving => panic!("the stream ended: {why}"),
        took = sending => took,
    }
}

fn agent(ca: &Ca, validity: Validity) -> Identity {
    let key = Key::generate().expect("a key can be made");
    let request = Csr::from_der(&key.request().expect("it is ours")).expect("it is sound");
    let (tenant, name) = ("default_tenant".parse(), "bench".parse());
    let (tenant, name) = (tenant.expect("it is a name"), name.expect("it is a name"));
    let chain = ca.issue_agent(&request, &tenant, &name, validity).expect("it is asked well");
    let trust = ca.certificate().clone();
    Identity::new(key, chain, trust, Timestamp::now()).expect("they belong together")
}

/// Reads a script's lines, and says each. Returns how many there were.
async fn read(script: &str, said: mpsc::Sender<Record>) -> u64 {
    let mut command = Command::new("/bin/sh");
    let child = command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("a shell can be started");
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut lines = 0;
    loop {
        let mut data = Vec::with_capacity(128);
        if out.read_until(b'\n', &mut data).await.expect("it can be read") == 0 {
            break;
        }
        lines += 1;
        let output = Output { data, ..Output::default() };
        let record = Record { body: Some(record::Body::Output(output)), ..Record::default() };
        said.send(record).await.expect("the stream goes on");
    }
    assert!(child.wait().await.expect("it ends").success());
    lines
}

// === impl Lines ===

impl NamedService for Lines {
    const NAME: &'static str = "bench.Lines";
}

impl StreamingService<Record> for Lines {
    type Response = Ack;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Ack, Status>> + Send>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Record>>) -> Self::Future {
        let acks = request.into_inner().enumerate();
        let acks = acks.map(|(at, line)| line.map(|_| Ack { upto: at as u64 + 1 }));
        Box::pin(async move { Ok(Response::new(Box::pin(acks) as Self::ResponseStream)) })
    }
}

impl Service<http::Request<Body>> for Lines {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = *self;
        Box::pin(async move {
            let codec = ProstCodec::<Ack, Record>::default();
            Ok(Server::new(codec).streaming(service, request).await)
        })
    }
}

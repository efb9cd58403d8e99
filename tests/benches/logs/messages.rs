//! The same lines, each a message of a gRPC stream over mutual TLS that is acknowledged by itself,
//! and neither read from a pipe nor kept anywhere.

use std::{convert::Infallible, future::pending, iter, pin::Pin, task, time::Duration};

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use http::uri::PathAndQuery;
use jiff::Timestamp;
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

use crate::writer::line;

/// Takes lines and acknowledges each.
#[derive(Clone, Copy)]
struct Lines;

/// How many lines are sent.
const LINES: u64 = 200_000;

const DAY: Duration = Duration::from_hours(24);

/// Megabytes of lines a second.
pub(crate) async fn rate() -> f64 {
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
    let (accepted, dialled) = tokio::join!(listener.next(), dialler.dial(&address));
    let Accepted::Agent { io, .. } = accepted else { panic!("an agent dials") };
    let serving = serve_over(io, Routes::new(Lines), pending());
    let sending = async {
        let (channel, _life) = client_over(dialled.expect("it answers")).await.expect("it speaks");
        let mut client = Client::new(channel);
        client.ready().await.expect("it is connected");
        let begun = std::time::Instant::now();
        let lines =
            stream::iter(iter::repeat_n(message(), usize::try_from(LINES).expect("it fits")));
        let path = PathAndQuery::from_static("/bench.Lines/Write");
        let codec = ProstCodec::<Record, Ack>::default();
        let answer = client.streaming(Request::new(lines), path, codec).await;
        let acks: Streaming<Ack> = answer.expect("it is served").into_inner();
        let last = acks.try_fold(0, async |last, ack: Ack| Ok(ack.upto.max(last))).await;
        assert_eq!(last.expect("each line is acknowledged"), LINES);
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let megabytes = LINES as f64 * 100.0 / 1e6;
        megabytes / begun.elapsed().as_secs_f64()
    };
    tokio::select! {
        why = serving => panic!("the stream ended: {why}"),
        rate = sending => rate,
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

fn message() -> Record {
    let output = Output { data: line(), ..Output::default() };
    Record { body: Some(record::Body::Output(output)), ..Record::default() }
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

//! The same lines, each read from the pipe and sent as a message of a gRPC stream over mutual TLS.
//!
//! Where they are kept, each is a record of a journal before it is sent, and an entry of a store
//! before it is acknowledged. Many of either are in flight at once and share their writes.

use std::{
    convert::Infallible,
    future::pending,
    pin::{Pin, pin},
    process::Stdio,
    sync::Arc,
    task::{self, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use camino::Utf8Path;
use futures_util::{
    Stream, StreamExt as _, TryStreamExt as _,
    future::{BoxFuture, Either, ready},
    poll,
    stream::unfold,
};
use http::uri::PathAndQuery;
use jiff::Timestamp;
use prost::Message as _;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    sync::mpsc,
    task::unconstrained,
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
use waggoner_journal::{Class, Journal, Settings, Write, Writer};
use waggoner_link::{Accepted, Dialler, Listener, client_over, serve_over};
use waggoner_proto::agent::v1::{Ack, Output, Record, record};
use waggoner_store::{
    Store,
    event::{Entry, EntryKind, Origin},
};
use waggoner_types::{AttemptId, OutputStream};

/// What becomes of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Each is acknowledged by itself.
    Nothing,
    /// They are acknowledged when they are stored, those that have come meanwhile at once.
    Kept,
}

/// Takes lines and acknowledges them.
#[derive(Clone)]
struct Lines {
    store: Option<(Store, Arc<Origin>)>,
}

/// The agent's side of the promise.
#[derive(Clone)]
struct Kept {
    journal: Writer,
    attempt: AttemptId,
}

/// How many lines wait to be written, or to be sent; and how many are stored at once, at most.
const WAITING: usize = 256;

const DAY: Duration = Duration::from_hours(24);

/// Sends what a shell's script writes. Returns how long that took.
pub(crate) async fn send(script: &str, promise: Promise) -> Duration {
    let directory = camino_tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    let directory = directory.expect("cargo's folder is ours");
    let (lines, kept) = match promise {
        Promise::Nothing => (Lines { store: None }, None),
        Promise::Kept => {
            let kept = Kept::open(&directory.path().join("journal")).await;
            (Lines::open(&directory.path().join("store"), kept.attempt).await, Some(kept))
        }
    };
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
    let serving = serve_over(io, Routes::new(lines), pending());
    let sending = async {
        let (channel, _life) =
            client_over(connection.expect("it answers")).await.expect("it speaks");
        let mut client = Client::new(channel);
        client.ready().await.expect("it is connected");
        let begun = Instant::now();
        let (said, lines) = mpsc::channel(WAITING);
        let reading = read(script, kept.clone(), said);
        let path = PathAndQuery::from_static("/bench.Lines/Write");
        let codec = ProstCodec::<Record, Ack>::default();
        let hearing = async {
            let lines = Request::new(ReceiverStream::new(lines));
            let answer = client.streaming(lines, path, codec).await;
            let acks: Streaming<Ack> = answer.expect("it is served").into_inner();
            let last = acks.try_fold(0, async |last, ack: Ack| {
                if let Some(kept) = &kept {
                    kept.release(ack.upto).await;
                }
                Ok(ack.upto.max(last))
            });
            let last = last.await;
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

/// Reads a script's lines, keeps each if it is to be kept, and says it. Returns how many there were.
async fn read(script: &str, kept: Option<Kept>, said: mpsc::Sender<Record>) -> u64 {
    let mut command = Command::new("/bin/sh");
    let child = command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("a shell can be started");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    let records = unfold(out, async |mut out| {
        let mut data = Vec::with_capacity(128);
        let count = out.read_until(b'\n', &mut data).await.expect("it can be read");
        let output = Output { data: data.into(), ..Output::default() };
        let record = Record { body: Some(record::Body::Output(output)), ..Record::default() };
        (count > 0).then_some((record, out))
    });
    let mut lines = 0;
    match kept {
        None => {
            let mut records = pin!(records);
            while let Some(record) = records.next().await {
                lines += 1;
                said.send(record).await.expect("the stream goes on");
            }
        }
        Some(kept) => {
            #[expect(clippy::async_yields_async, reason = "what was begun is waited for together")]
            let begun = records.then(|record| {
                let mut keeping = Box::pin(unconstrained(kept.clone().keep(record)));
                async move {
                    // What was asked for first is written first.
                    match poll!(keeping.as_mut()) {
                        Poll::Ready(record) => Either::Left(ready(record)),
                        Poll::Pending => Either::Right(keeping),
                    }
                }
            });
            let written = begun.buffered(WAITING);
            let mut written = pin!(written);
            while let Some(record) = written.next().await {
                lines += 1;
                said.send(record).await.expect("the stream goes on");
            }
        }
    }
    assert!(child.wait().await.expect("it ends").success());
    lines
}

// === impl Kept ===

impl Kept {
    async fn open(directory: &Utf8Path) -> Self {
        fs_err::create_dir(directory).expect("the folder is ours");
        let opened = Journal::open(directory, Settings::default());
        let (journal, _) = opened.expect("a journal can be made");
        let (journal, _thread) = Writer::start(journal).expect("a thread can be started");
        let attempt = "019ab000-0000-7000-8000-000000000001".parse().expect("it is an id");
        let open = Write::Open { attempt, epoch: 1, note: Bytes::new() };
        journal.write(open, true).await.expect("it can be written");
        Self { journal, attempt }
    }

    async fn keep(self, record: Record) -> Record {
        let bytes = record.encode_to_vec().into();
        let write = Write::Record { attempt: self.attempt, class: Class::Log, bytes };
        let written = self.journal.write(write, false).await.expect("there is room");
        Record { sequence: written.sequence, chain: written.chain, ..record }
    }

    async fn release(&self, upto: u64) {
        let ack = Write::Ack { attempt: self.attempt, upto };
        self.journal.write(ack, false).await.expect("it can be written");
    }
}

// === impl Lines ===

impl Lines {
    async fn open(directory: &Utf8Path, attempt: AttemptId) -> Self {
        let store = Store::open(directory).await.expect("a store can be made");
        let tenant = "default_tenant".parse().expect("it is a name");
        let origin = Origin { attempt_id: Some(attempt), ..Origin::of(tenant) };
        Self { store: Some((store, Arc::new(origin))) }
    }
}

/// Stores lines, each by itself, in one transaction. Returns the acknowledgement of them.
async fn keep(
    store: &Store,
    origin: &Arc<Origin>,
    lines: Vec<Result<Record, Status>>,
) -> Result<Ack, Status> {
    let now = Timestamp::now();
    let (mut entries, mut upto) = (Vec::with_capacity(lines.len()), 0);
    for line in lines {
        let Record { sequence, body: Some(record::Body::Output(Output { data, .. })), .. } = line?
        else {
            continue;
        };
        upto = sequence;
        let kind = EntryKind::lines("bench".to_owned(), OutputStream::Stdout, data.into());
        let (origin, message, causes) = (Arc::clone(origin), String::new(), Vec::new());
        entries.push(Entry { origin, time: now, kind, message, causes, sequence });
    }
    let stored = store.add_events(entries, now).await;
    stored.map(|_| Ack { upto }).map_err(|error| Status::internal(error.to_string()))
}

impl NamedService for Lines {
    const NAME: &'static str = "bench.Lines";
}

impl StreamingService<Record> for Lines {
    type Response = Ack;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Ack, Status>> + Send>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Record>>) -> Self::Future {
        let lines = request.into_inner();
        let acks: Self::ResponseStream = match self.store.clone() {
            None => Box::pin(
                lines.enumerate().map(|(at, line)| line.map(|_| Ack { upto: at as u64 + 1 })),
            ),
            Some((store, origin)) => Box::pin(lines.ready_chunks(WAITING).then(move |lines| {
                let (store, origin) = (store.clone(), Arc::clone(&origin));
                async move { keep(&store, &origin, lines).await }
            })),
        };
        Box::pin(ready(Ok(Response::new(acks))))
    }
}

impl Service<http::Request<Body>> for Lines {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<Ack, Record>::default();
            Ok(Server::new(codec).streaming(service, request).await)
        })
    }
}

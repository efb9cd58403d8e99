//! The daemon itself, with a manager's ends of real TLS connections.

use std::{process::Stdio, time::Duration};

use camino_tempfile::Utf8TempDir;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};
use tonic::{Request, Response, Status, async_trait, service::Routes, transport::Channel};
use waggoner_identity::{Ca, Credentials, Csr, JoinToken, TrustDomain, Validity, tls};
use waggoner_link::{Accepted, Dialler, Io, Life, Listener, client_over, serve_over};
use waggoner_proto::{
    agent::v1::{
        self as pb, agent_service_client::AgentServiceClient,
        identity_service_client::IdentityServiceClient,
    },
    v1::{
        EnrolRequest, EnrolResponse,
        enrolment_service_server::{EnrolmentService, EnrolmentServiceServer},
    },
};
use waggoner_types::{AgentName, Body, ErrorKind, TenantName};
use waggoner_wire::{Reason, Refused};

use super::{
    processes::is_alive,
    site::{Talk, program, refuse, shell},
};

/// What a manager has to prove itself with, and a join token of its.
struct Authority {
    ca: std::sync::Arc<Ca>,
    credentials: std::sync::Arc<Credentials>,
    token: JoinToken,
}

/// A daemon of ours.
struct Daemon {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

/// Lets agents join, or not.
#[derive(Clone)]
struct Enrolment {
    ca: std::sync::Arc<Ca>,
    accepts: bool,
}

fn authority(directory: &Utf8TempDir) -> Authority {
    let now = Timestamp::now();
    let ca = Ca::open_or_create(&directory.path().join("ca"), &TrustDomain::default(), now);
    let ca = std::sync::Arc::new(ca.unwrap());
    let validity = Validity::new(now, Duration::from_hours(1));
    let credentials = ca.issue_manager(&[], &[], validity).unwrap().credentials();
    let token = JoinToken::mint(ca.certificate().pin());
    fs_err::write(directory.path().join("token"), token.reveal().expose_secret()).unwrap();
    Authority { ca, credentials, token }
}

fn start(directory: &Utf8TempDir, way: &[&str]) -> Daemon {
    let path = directory.path();
    let mut child = Command::new(program())
        .args(["--state-dir", path.join("agent").as_str()])
        .args(["--join", path.join("token").as_str()])
        .args(way)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    Daemon { child, log }
}

impl Daemon {
    /// Reads the log up to a line with this text, and returns that line.
    async fn says(&mut self, text: &str) -> String {
        loop {
            let line = timeout(Duration::from_mins(1), self.log.next_line()).await;
            let line = line.unwrap().unwrap().expect("the daemon lives");
            if line.contains(text) {
                return line;
            }
        }
    }

    async fn dies(mut self) {
        self.child.kill().await.unwrap();
    }

    fn terminate(&self) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    async fn exits(mut self) -> (Option<i32>, String) {
        let mut last = String::new();
        while let Some(line) = self.log.next_line().await.unwrap() {
            last = line;
        }
        let status = timeout(Duration::from_mins(1), self.child.wait()).await.unwrap().unwrap();
        (status.code(), last)
    }
}

#[async_trait]
impl EnrolmentService for Enrolment {
    async fn enrol(&self, asked: Request<EnrolRequest>) -> Result<Response<EnrolResponse>, Status> {
        let asked = asked.into_inner();
        if !self.accepts {
            let why = "the join token expired: make a new one";
            return Err(Refused::new(Reason::TokenExpired, why).into());
        }
        let (certificate_chain_pem, ca_pem) = certificate(&self.ca, &asked.csr_der);
        let agent_name = asked.agent_name;
        let tenant = "t".to_owned();
        Ok(Response::new(EnrolResponse { certificate_chain_pem, ca_pem, agent_name, tenant }))
    }
}

fn certificate(ca: &Ca, csr_der: &[u8]) -> (String, String) {
    let validity = Validity::new(Timestamp::now(), Duration::from_hours(1));
    let tenant: TenantName = "t".parse().unwrap();
    let name: AgentName = "a".parse().unwrap();
    let csr = Csr::from_der(csr_der).unwrap();
    let chain = ca.issue_agent(&csr, &tenant, &name, validity).unwrap();
    (chain.to_pem(), ca.certificate().to_pem())
}

async fn listen(authority: &Authority) -> (Listener, String) {
    let port = tls::manager_port(&authority.credentials, authority.ca.certificate());
    let listener = Listener::bind("127.0.0.1:0", port).await.unwrap();
    let address = listener.address().unwrap().to_string();
    (listener, address)
}

async fn next(listener: &mut Listener) -> Accepted {
    timeout(Duration::from_mins(1), listener.next()).await.expect("an agent dials")
}

/// Answers the next connection, which wants to join.
async fn enrol(listener: &mut Listener, authority: &Authority, accepts: bool) {
    let Accepted::Grpc { io } = next(listener).await else { panic!("it is to join first") };
    let service = Enrolment { ca: authority.ca.clone(), accepts };
    let routes = Routes::new(EnrolmentServiceServer::new(service));
    serve_over(io, routes, std::future::pending()).await;
}

async fn hello(io: Io) -> (AgentServiceClient<Channel>, Life, pb::HelloResponse) {
    let (channel, life) = client_over(io).await.unwrap();
    let mut client = AgentServiceClient::new(channel);
    let hello = pb::HelloRequest { protocol_min: 1, protocol_max: 1, ..Default::default() };
    let answer = client.hello(hello).await.unwrap().into_inner();
    (client, life, answer)
}

#[tokio::test]
async fn an_agent_joins_works_and_stops_when_told() {
    let directory = Utf8TempDir::new().unwrap();
    let authority = authority(&directory);
    let (mut listener, address) = listen(&authority).await;
    let daemon = start(&directory, &["--manager", &address, "--name", "a", "--stop-grace", "0"]);
    enrol(&mut listener, &authority, true).await;
    let Accepted::Agent { io, tenant, name } = next(&mut listener).await else { panic!("a link") };
    assert_eq!((tenant.as_str(), name.as_str()), ("t", "a"));
    let (mut client, _life, answer) = hello(io).await;
    assert_eq!((answer.protocol, answer.slots), (1, 32));
    assert_eq!(answer.host.unwrap().system, "linux");
    let mut talk = Talk::start(&mut client, shell("sleep 600")).await.unwrap();
    talk.record(|body| matches!(body, Body::ProcessStarted { .. })).await;
    daemon.terminate();
    let story = talk.finish(refuse).await;
    assert_eq!(story.error().kind, ErrorKind::Cancelled);
    assert_eq!(story.error().message, "the operation was cancelled: the agent is stopping");
    assert_eq!(daemon.exits().await.0, Some(0));
}

#[tokio::test]
async fn a_second_order_to_stop_ends_everything_at_once() {
    let directory = Utf8TempDir::new().unwrap();
    let authority = authority(&directory);
    let (mut listener, address) = listen(&authority).await;
    let mut daemon = start(&directory, &["--manager", &address, "--stop-grace", "3600"]);
    enrol(&mut listener, &authority, true).await;
    let Accepted::Agent { io, .. } = next(&mut listener).await else { panic!("a link") };
    let (mut client, _life, _) = hello(io).await;
    let mut talk = Talk::start(&mut client, shell("sleep 600")).await.unwrap();
    let started = talk.record(|body| matches!(body, Body::ProcessStarted { .. })).await;
    daemon.terminate();
    daemon.says("stopping").await;
    daemon.terminate();
    assert_eq!(daemon.exits().await.0, Some(0));
    let Body::ProcessStarted { pid } = started.body else { unreachable!("it was asked for") };
    // It was killed; the kernel may take its time.
    let gone = async {
        while is_alive(&pid.to_string()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), gone).await.expect("the operation ends with its agent");
}

#[tokio::test]
async fn an_agent_comes_back_by_itself_and_with_the_same_identity() {
    let directory = Utf8TempDir::new().unwrap();
    let authority = authority(&directory);
    let (mut listener, address) = listen(&authority).await;
    let daemon = start(&directory, &["--manager", &address]);
    enrol(&mut listener, &authority, true).await;
    let Accepted::Agent { io, .. } = next(&mut listener).await else { panic!("a link") };
    let (client, life, first) = hello(io).await;
    life.close("the test cuts the link");
    drop(client);
    let Accepted::Agent { io, .. } = next(&mut listener).await else { panic!("the same agent") };
    let (client, _life, second) = hello(io).await;
    assert_eq!(first.instance_id, second.instance_id, "the daemon has lived on");
    drop(client);
    daemon.dies().await;

    let daemon = start(&directory, &["--manager", &address]);
    let Accepted::Agent { io, .. } = next(&mut listener).await else { panic!("no second joining") };
    let (_client, _life, third) = hello(io).await;
    assert_ne!(third.instance_id, first.instance_id);
    drop(daemon);
}

#[tokio::test]
async fn a_refusal_to_join_is_one_sentence_and_no_second_try() {
    let directory = Utf8TempDir::new().unwrap();
    let authority = authority(&directory);
    let (mut listener, address) = listen(&authority).await;
    let daemon = start(&directory, &["--manager", &address]);
    enrol(&mut listener, &authority, false).await;
    let (code, last) = daemon.exits().await;
    assert_eq!(code, Some(78));
    assert_eq!(
        last,
        "error: the manager refused to let this agent join: the join token expired: make a new one"
    );
}

#[tokio::test]
async fn a_manager_of_another_ca_is_not_told_the_token() {
    let directory = Utf8TempDir::new().unwrap();
    let (stranger, own) = (Utf8TempDir::new().unwrap(), authority(&directory));
    let stranger = authority(&stranger);
    let (mut listener, address) = listen(&stranger).await;
    let daemon = start(&directory, &["--manager", &address]);
    let (ended, _) = tokio::join!(daemon.exits(), timeout(Duration::from_secs(5), listener.next()));
    assert_eq!(ended.0, Some(69));
    assert!(ended.1.contains("failed to agree on TLS with"), "{}", ended.1);
    drop(own.token);
}

#[tokio::test]
async fn an_agent_that_listens_gets_its_certificate_from_who_dials() {
    let directory = Utf8TempDir::new().unwrap();
    let authority = authority(&directory);
    let mut daemon = start(&directory, &["--listen", "127.0.0.1:0"]);
    let said = daemon.says("waiting for the manager to dial").await;
    let address = said.split('"').nth_back(1).unwrap().to_owned();

    let any = Dialler::new(tls::manager_enrolling_any_server(&authority.credentials));
    let (channel, _life) = client_over(any.dial(&address).await.unwrap()).await.unwrap();
    let mut client = IdentityServiceClient::new(channel);
    let asked = client.request_certificate(pb::RequestCertificateRequest {}).await.unwrap();
    let asked = asked.into_inner();
    let token: JoinToken = asked.join_token.parse().unwrap();
    assert_eq!(token.hash(), authority.token.hash());
    let (certificate_chain_pem, ca_pem) = certificate(&authority.ca, &asked.csr_der);
    let install = pb::InstallCertificateRequest { certificate_chain_pem, ca_pem };
    client.install_certificate(install).await.unwrap();
    drop(client);

    let settings = tls::manager_dialling(&authority.credentials, authority.ca.certificate());
    let dialler = Dialler::new(settings);
    let (mut client, life, _) = hello(dialler.dial(&address).await.unwrap()).await;
    let story = Talk::start(&mut client, shell("echo hi")).await.unwrap().finish(refuse).await;
    assert_eq!(story.output(waggoner_types::OutputStream::Stdout), b"hi\n");

    // A second link waits for the end of the first, and takes its place then.
    let second = dialler.dial(&address).await.unwrap();
    daemon.says("a second link waits for the end of the first").await;
    life.close("the test cuts the first link");
    let (_client, _life, _) = hello(second).await;
    daemon.terminate();
    assert_eq!(daemon.exits().await.0, Some(0));
}

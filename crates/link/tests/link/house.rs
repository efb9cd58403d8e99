//! A manager's CA, those it vouches for, and what they say.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use camino_tempfile::{Utf8TempDir, tempdir};
use jiff::Timestamp;
use tokio::{sync::mpsc, time};
use tonic::{Status, service::Routes, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tracing::subscriber::DefaultGuard;
use waggoner_identity::{Ca, CaCertificate, Csr, Identity, Key, TrustDomain, Validity, tls};
use waggoner_link::{Accepted, AgentListener, Io, Listener};
use waggoner_task::Tasks;

pub(crate) const DAY: Duration = Duration::from_hours(24);

/// One manager's world: its CA and a directory for it.
pub(crate) struct House {
    pub(crate) ca: Ca,
    _directory: Utf8TempDir,
}

impl House {
    pub(crate) fn new() -> Self {
        let directory = tempdir().unwrap();
        let ca = Ca::open_or_create(directory.path(), &TrustDomain::default(), Timestamp::now());
        Self { ca: ca.unwrap(), _directory: directory }
    }

    pub(crate) fn trust(&self) -> &CaCertificate {
        self.ca.certificate()
    }

    pub(crate) fn manager(&self) -> Identity {
        self.ca.issue_manager(&[], &[], Validity::new(Timestamp::now(), DAY)).unwrap()
    }

    pub(crate) fn agent(&self, name: &str) -> Identity {
        self.agent_since(name, Timestamp::now())
    }

    /// An agent whose certificate was issued then and was good for a day.
    pub(crate) fn agent_since(&self, name: &str, then: Timestamp) -> Identity {
        let key = Key::generate().unwrap();
        let request = Csr::from_der(&key.request().unwrap()).unwrap();
        let (tenant, name) = ("default_tenant".parse().unwrap(), name.parse().unwrap());
        let validity = Validity::new(then, DAY);
        let chain = self.ca.issue_agent(&request, &tenant, &name, validity).unwrap();
        Identity::new(key, chain, self.trust().clone(), then).unwrap()
    }

    /// The manager's public port, and what comes in there.
    pub(crate) async fn open(&self, tasks: &Tasks) -> (String, mpsc::Receiver<Accepted>) {
        let tls = tls::manager_port(&self.manager().credentials(), self.trust());
        let mut listener = Listener::bind("127.0.0.1:0", tls).await.unwrap();
        let address = listener.address().unwrap().to_string();
        let (accepted_tx, accepted) = mpsc::channel(16);
        tasks.spawn("port", async move {
            loop {
                let accepted = listener.next().await;
                if accepted_tx.send(accepted).await.is_err() {
                    return;
                }
            }
        });
        (address, accepted)
    }
}

/// An agent's port, and what comes in there.
pub(crate) async fn listen(
    tls: Arc<rustls::ServerConfig>,
    tasks: &Tasks,
) -> (String, mpsc::Receiver<Io>) {
    let mut listener = AgentListener::bind("127.0.0.1:0", tls).await.unwrap();
    let address = listener.address().unwrap().to_string();
    let (accepted_tx, accepted) = mpsc::channel(16);
    tasks.spawn("port", async move {
        loop {
            let accepted = listener.next().await;
            if accepted_tx.send(accepted).await.is_err() {
                return;
            }
        }
    });
    (address, accepted)
}

/// A service to call: it answers and it streams.
pub(crate) fn routes() -> Routes {
    Routes::new(tonic_health::server::health_reporter().1)
}

/// Calls the service once.
pub(crate) async fn call(channel: &Channel) -> Result<(), Status> {
    let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await?;
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    Ok(())
}

/// What was logged on this thread while the guard lived.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn keep(&self) -> DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Waits until a connection was refused, and returns why.
    pub(crate) async fn refusal(&self) -> String {
        let logged = async {
            loop {
                let text = self.text();
                let line = text.lines().find(|line| line.contains("refused a connection"));
                if let Some((_, why)) = line.and_then(|line| line.split_once(" why=\"")) {
                    assert!(line.is_some_and(|line| line.contains("peer=127.0.0.1:")), "{text}");
                    return why.trim_end_matches('"').to_owned();
                }
                time::sleep(Duration::from_millis(2)).await;
            }
        };
        let refusal = time::timeout(Duration::from_secs(20), logged).await;
        refusal.unwrap_or_else(|_| panic!("nobody was refused:\n{}", self.text()))
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

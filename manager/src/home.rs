//! What the manager's parts share.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use camino::Utf8PathBuf;
use jiff::Timestamp;
use tracing::warn;
use waggoner_identity::{Ca, Credentials};
use waggoner_proto::agent::v1::HelloResponse;
use waggoner_store::{Store, agent::Greeting};
use waggoner_task::Tasks;
use waggoner_types::Chain;

use crate::{
    catalog::{imports::Urls, sources::Sources},
    executions::Executions,
    fleet::{Fleet, Link},
};

/// What the manager's parts share. Each field is safe to use from everywhere.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) store: Store,
    pub(crate) fleet: Fleet,
    pub(crate) executions: Executions,
    pub(crate) ca: Ca,
    /// The manager's own certificate, for every TLS end it opens.
    pub(crate) credentials: Arc<Credentials>,
    /// The serial numbers of certificates that are refused although they have not expired.
    denied: Mutex<HashSet<String>>,
    /// Tasks that come and go: links, attempts, executions. Stopped explicitly at the end, since
    /// they hold this very home.
    pub(crate) tasks: Tasks,
    pub(crate) data_dir: Utf8PathBuf,
    pub(crate) heartbeat: Duration,
    pub(crate) settings: waggoner_engine::Settings,
    /// The variables that central operations get.
    pub(crate) execution_env: Vec<(String, String)>,
    /// Brings imports from the network.
    pub(crate) imports: Arc<Urls>,
    /// What was made of the sources of plugins.
    pub(crate) sources: Sources,
    /// Where agents of new hosts reach the manager: host and port.
    pub(crate) address: String,
    pub(crate) started_at: Timestamp,
}

// === impl Home ===

impl Home {
    #[expect(clippy::too_many_arguments, reason = "called once, in the wiring")]
    pub(crate) fn new(
        store: Store,
        ca: Ca,
        credentials: Arc<Credentials>,
        denied: Vec<String>,
        data_dir: Utf8PathBuf,
        heartbeat: Duration,
        settings: waggoner_engine::Settings,
        executions: Executions,
        execution_env: Vec<(String, String)>,
        imports: Arc<Urls>,
        address: String,
        started_at: Timestamp,
    ) -> Self {
        Self {
            store,
            fleet: Fleet::default(),
            executions,
            ca,
            credentials,
            denied: Mutex::new(denied.into_iter().collect()),
            tasks: Tasks::default(),
            data_dir,
            heartbeat,
            settings,
            execution_env,
            imports,
            sources: Sources::default(),
            address,
            started_at,
        }
    }

    /// Where what comes over the REST API lies until it is in its place. Emptied at the start.
    pub(crate) fn incoming(&self) -> Utf8PathBuf {
        self.data_dir.join("incoming")
    }

    /// Says whether a certificate is refused.
    pub(crate) fn is_denied(&self, serial: &str) -> bool {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).contains(serial)
    }

    /// Refuses a certificate from now on.
    pub(crate) fn deny(&self, serial: String) {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).insert(serial);
    }

    /// Notes what an agent said of itself in its first exchange.
    pub(crate) async fn note_agent_linked(&self, link: &Link, hello: &HelloResponse) {
        let greeting = Greeting {
            version: hello.agent_version.clone(),
            host: link.host.clone(),
            at: Timestamp::now(),
        };
        let (tenant, name) = (link.key.tenant.clone(), link.key.name.clone());
        if let Err(error) = self.store.greet_agent(tenant, name, greeting).await {
            warn!(agent = %link.key, error = %Chain(&error), "failed to note the agent's greeting");
        }
    }

    /// Notes when an agent was last heard of.
    pub(crate) async fn note_agent_unlinked(&self, link: &Link) {
        let (tenant, name) = (link.key.tenant.clone(), link.key.name.clone());
        // A removed agent has no row any more, which is no failure.
        if let Err(error) = self.store.saw_agent(tenant, name, link.last_seen()).await
            && !matches!(error, waggoner_store::Error::Missing(_))
        {
            warn!(agent = %link.key, error = %Chain(&error), "failed to note when it was seen");
        }
    }
}

//! The fleet: which agents have a link now, and how to reach them.
//!
//! ```text
//!  listener ── an agent dialled ──┐
//!                                 ├─▶ session: hello, status, until the link ends
//!  dial ── we dial an agent ──────┘        │ joins and leaves
//!                                          ▼
//!  executions ── wait for a link ──▶ Fleet: (tenant, name) → Link
//! ```

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, time};
use tonic::transport::Channel;
use tracing::{info, warn};
use waggoner_identity::{Chain, Csr, Validity};
use waggoner_proto::agent::v1::{
    InstallCertificateRequest, RequestCertificateRequest, agent_service_client::AgentServiceClient,
    identity_service_client::IdentityServiceClient,
};
use waggoner_store::agent::Certificate;
use waggoner_task::CancellationToken;
use waggoner_types::{AgentName, AgentRole, AttemptId, Digest, Host, TenantName};

use crate::{executions, home::Home};

pub(crate) mod artifacts;
pub(crate) mod dial;
pub(crate) mod enrol;
pub(crate) mod installs;
pub(crate) mod reconcile;
pub(crate) mod session;

/// How often house is kept.
const UPKEEP: Duration = Duration::from_mins(10);

/// Which agent: names are unique in their tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AgentKey {
    pub(crate) tenant: TenantName,
    pub(crate) name: AgentName,
}

/// A live link to an agent.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) key: AgentKey,
    pub(crate) role: AgentRole,
    pub(crate) host: Host,
    channel: Channel,
    client: AgentServiceClient<Channel>,
    /// How many attempts we hold open on it.
    attempts: AtomicU32,
    /// The agent takes no new attempts.
    draining: AtomicBool,
    /// When the agent was last heard of, in microseconds since 1970.
    seen: AtomicI64,
    /// How far the agent's clock was ahead of ours when it said hello.
    pub(crate) clock_offset: SignedDuration,
    /// Cancelled to end the link, and when it has ended.
    pub(crate) ended: CancellationToken,
    /// Artifacts that the agent was known to hold then; the lock also makes one bring them.
    held: tokio::sync::Mutex<HashMap<Digest, time::Instant>>,
}

/// Counts an attempt on a link for as long as it lives.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Link>);

/// The links there are.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    links: Mutex<HashMap<AgentKey, Arc<Link>>>,
    /// Ends the dialling of an agent that listens.
    dialled: Mutex<HashMap<AgentKey, CancellationToken>>,
    /// Why agents without a link have none, as far as we know.
    problems: Mutex<HashMap<AgentKey, String>>,
    /// The agents that take no new operations, and what they run.
    drained: Mutex<HashMap<AgentKey, AgentRole>>,
    /// The attempts that have a conversation here.
    needed: Mutex<HashSet<AttemptId>>,
    /// Told of each change of `links` and `drained`.
    changed: watch::Sender<()>,
}

// === impl AgentKey ===

impl fmt::Display for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.name)
    }
}

// === impl Link ===

impl Link {
    pub(crate) fn new(
        key: AgentKey,
        role: AgentRole,
        host: Host,
        channel: Channel,
        clock_offset: SignedDuration,
    ) -> Self {
        let client = AgentServiceClient::new(channel.clone())
            .max_decoding_message_size(session::MESSAGE_BYTES)
            .max_encoding_message_size(session::MESSAGE_BYTES);
        Self {
            key,
            role,
            host,
            channel,
            client,
            attempts: AtomicU32::new(0),
            draining: AtomicBool::new(false),
            seen: AtomicI64::new(Timestamp::now().as_microsecond()),
            clock_offset,
            ended: CancellationToken::new(),
            held: tokio::sync::Mutex::default(),
        }
    }

    /// Returns a client of the agent; clones share the one connection.
    pub(crate) fn client(&self) -> AgentServiceClient<Channel> {
        self.client.clone()
    }

    /// Returns how many attempts are open on it.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Notes that the agent was heard of now.
    pub(crate) fn saw(&self) {
        self.seen.store(Timestamp::now().as_microsecond(), Ordering::Relaxed);
    }

    /// Returns when the agent was last heard of.
    pub(crate) fn last_seen(&self) -> Timestamp {
        let seen = self.seen.load(Ordering::Relaxed);
        Timestamp::from_microsecond(seen).expect("it was a time when it was stored")
    }

    /// Says whether the agent takes new attempts.
    pub(crate) fn is_open(&self) -> bool {
        !self.draining.load(Ordering::Relaxed)
    }

    /// Counts an attempt until the answer is dropped.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.attempts.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Fleet ===

impl Fleet {
    /// Returns an agent's link, if it has one now.
    pub(crate) fn link(&self, key: &AgentKey) -> Option<Arc<Link>> {
        self.links().get(key).cloned()
    }

    /// Returns all links of a tenant.
    pub(crate) fn links_of(&self, tenant: &TenantName) -> Vec<Arc<Link>> {
        self.links().values().filter(|link| link.key.tenant == *tenant).cloned().collect()
    }

    /// Returns the least busy link of a tenant's central agents.
    pub(crate) fn central(&self, tenant: &TenantName) -> Option<Arc<Link>> {
        self.links_of(tenant)
            .into_iter()
            .filter(|link| link.role == AgentRole::Central && link.is_open())
            .filter(|link| !self.is_drained(&link.key))
            .min_by_key(|link| link.attempts())
    }

    /// Notes whether an agent is drained, as the store has it.
    pub(crate) fn note_drained(&self, agent: &waggoner_store::agent::Agent) {
        let key = AgentKey { tenant: agent.tenant.clone(), name: agent.name.clone() };
        match agent.drained_at {
            Some(_) => self.drained().insert(key, agent.role),
            None => self.drained().remove(&key),
        };
        self.changed.send_replace(());
    }

    /// Says whether an agent takes no new operations.
    pub(crate) fn is_drained(&self, key: &AgentKey) -> bool {
        self.drained().contains_key(key)
    }

    /// Says whether agents of a tenant are drained, and no other runs its central operations.
    pub(crate) fn is_central_drained(&self, tenant: &TenantName) -> bool {
        let is_central = |(key, role): (&AgentKey, &AgentRole)| {
            key.tenant == *tenant && *role == AgentRole::Central
        };
        let some_are = self.drained().iter().any(is_central);
        some_are && self.central(tenant).is_none()
    }

    /// Says whether any agent is drained.
    pub(crate) fn has_drained(&self) -> bool {
        !self.drained().is_empty()
    }

    /// Waits until something is so. Cancel safe.
    pub(crate) async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let mut changed = self.changed.subscribe();
        while !is_so(self) {
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn drained(&self) -> MutexGuard<'_, HashMap<AgentKey, AgentRole>> {
        self.drained.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `find` finds a link, for `patience` at the most. Cancel safe.
    pub(crate) async fn wait_for(
        &self,
        find: impl Fn(&Self) -> Option<Arc<Link>>,
        patience: Duration,
    ) -> Option<Arc<Link>> {
        let mut changed = self.changed.subscribe();
        time::timeout(patience, async {
            loop {
                if let Some(link) = find(self) {
                    return link;
                }
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        })
        .await
        .ok()
    }

    /// Ends an agent's link and the dialling of it: the agent was removed.
    pub(crate) fn drop_agent(&self, key: &AgentKey) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.drained().remove(key);
        let dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        dialled.inspect(CancellationToken::cancel);
        if let Some(link) = self.link(key) {
            self.leave(&link);
        }
    }

    /// Returns the token that ends the dialling of an agent.
    fn dialling(&self, key: &AgentKey, stop: &CancellationToken) -> CancellationToken {
        let token = stop.child_token();
        let mut dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = dialled.insert(key.clone(), token.clone()) {
            before.cancel();
        }
        token
    }

    /// Notes why an agent has no link.
    pub(crate) fn note_problem(&self, key: &AgentKey, why: &str) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.insert(key.clone(), why.to_owned());
    }

    /// Returns why an agent has no link, if that is known.
    pub(crate) fn problem(&self, key: &AgentKey) -> Option<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Adds a link, unless its agent has one.
    fn join(&self, link: &Arc<Link>) -> bool {
        let mut links = self.links();
        if links.contains_key(&link.key) {
            return false;
        }
        links.insert(link.key.clone(), Arc::clone(link));
        drop(links);
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).remove(&link.key);
        self.changed.send_replace(());
        true
    }

    /// Takes this very link away.
    fn leave(&self, link: &Arc<Link>) {
        let mut links = self.links();
        if links.get(&link.key).is_some_and(|held| Arc::ptr_eq(held, link)) {
            links.remove(&link.key);
        }
        drop(links);
        link.ended.cancel();
        self.changed.send_replace(());
    }

    fn links(&self) -> MutexGuard<'_, HashMap<AgentKey, Arc<Link>>> {
        // A panic while it was held left the map whole: each change is one call.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps house from time to time: renews the certificates of linked agents that have less than
/// half of their time left, and removes artifacts that nothing refers to and what else is left.
pub(crate) async fn upkeep(home: Arc<Home>, stop: CancellationToken) {
    let mut ticks = time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = home.store.sweep_artifacts(|| home.sources.artifacts()).await {
            warn!(error = %waggoner_types::Chain(&error), "failed to sweep artifacts");
        }
        executions::sweep(&home).await;
        let links: Vec<_> = home.fleet.links().values().cloned().collect();
        for link in links {
            if let Err(why) = renew(&home, &link).await {
                warn!(agent = %link.key, why, "failed to renew the agent's certificate");
            }
        }
    }
}

async fn renew(home: &Home, link: &Link) -> Result<(), String> {
    let AgentKey { tenant, name } = &link.key;
    let told = |error: &dyn std::error::Error| waggoner_types::Chain(error).to_string();
    let agent = home.store.agent(tenant.clone(), name.clone()).await.map_err(|e| told(&e))?;
    let now = Timestamp::now();
    let left = agent.certificate.map(|certificate| certificate.expires_at.duration_since(now));
    if left.is_none_or(|left| left.unsigned_abs() > enrol::CERTIFICATE / 2) {
        return Ok(());
    }
    let mut client = IdentityServiceClient::new(link.channel.clone());
    let asked = client.request_certificate(RequestCertificateRequest {}).await;
    let asked = asked.map_err(|status| status.message().to_owned())?.into_inner();
    let csr = Csr::from_der(&asked.csr_der).map_err(|e| told(&e))?;
    let validity = Validity::new(now, enrol::CERTIFICATE);
    let chain: Chain = home.ca.issue_agent(&csr, tenant, name, validity).map_err(|e| told(&e))?;
    let certificate = Certificate {
        serial: chain.serial().to_owned(),
        expires_at: chain.expires(),
        key_hash: enrol::digest(chain.key_hash()),
    };
    // Noted before it is handed out: a removed agent's newest certificate is denied as well.
    let noted = home.store.certify_agent(tenant.clone(), name.clone(), certificate).await;
    noted.map_err(|e| told(&e))?;
    let install = InstallCertificateRequest {
        certificate_chain_pem: chain.to_pem(),
        ca_pem: home.ca.certificate().to_pem(),
    };
    client.install_certificate(install).await.map_err(|status| status.message().to_owned())?;
    info!(agent = %link.key, "renewed the agent's certificate");
    Ok(())
}

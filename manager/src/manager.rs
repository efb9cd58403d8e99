//! The wiring: bind everything that can be refused, then run.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use fs_err as fs;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tracing::info;
use waggoner_identity::{ApiToken, Ca, Identity, TrustDomain, Validity, tls};
use waggoner_link::Listener;
use waggoner_store::{Store, token};
use waggoner_task::Group;
use waggoner_types::{Digest, TenantName, TokenId};

use crate::{
    bench::Dispatcher,
    catalog::imports::Urls,
    config::Config,
    doors,
    error::StartError,
    executions::{self, Executions},
    fleet::{self, dial},
    home::Home,
    profile, retention,
};

/// How long the manager's own certificate lives; a new one is made at every start.
const CERTIFICATE: Duration = Duration::from_hours(365 * 24);

/// A manager with everything bound and nothing running yet.
#[derive(Debug)]
pub struct Manager {
    home: Arc<Home>,
    listener: Listener,
    address: SocketAddr,
    grace: Duration,
    /// What is kept of events.
    events: retention::Limits,
}

// === impl Manager ===

impl Manager {
    /// Takes everything that can be refused, so that [`Manager::run`] starts whole or not at all.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let executions = Executions::on_agents(config.operations);
        Self::bind_with(config, executions).await
    }

    /// The same, with a way of its own to run operations.
    pub(crate) async fn bind_with(
        config: Config,
        executions: Executions,
    ) -> Result<Self, StartError> {
        let now = Timestamp::now();
        let data_dir = config.data_dir.clone();
        let in_data_dir = |source| StartError::DataDir { path: config.data_dir.clone(), source };
        fs::create_dir_all(&data_dir).map_err(in_data_dir)?;
        let data_dir = data_dir.canonicalize_utf8().map_err(in_data_dir)?;
        let store = Store::open(data_dir.join("store")).await.map_err(StartError::Store)?;
        prepare(&store, now).await.map_err(StartError::Prepare)?;
        // What the last manager had not done with is sent again.
        let incoming = data_dir.join("incoming");
        if incoming.exists() {
            fs::remove_dir_all(&incoming).map_err(in_data_dir)?;
        }
        fs::create_dir(&incoming).map_err(in_data_dir)?;
        let domain: TrustDomain = "waggoner".parse().expect("it is a name of a trust domain");
        let ca = Ca::open_or_create(&data_dir.join("ca"), &domain, now).map_err(StartError::Ca)?;
        let identity = certificate(&ca, &config, now).map_err(StartError::Certificate)?;
        let credentials = identity.credentials();

        let port = tls::manager_port(&credentials, ca.certificate());
        let address = config.listen;
        let listen = |source| StartError::Listen { address, source };
        let listener = Listener::bind(address, port).await.map_err(listen)?;
        let address = listener.address().map_err(listen)?;
        let token = api_token(&store, &data_dir, now).await?;
        profile::write(&data_dir, reachable(address), &ca.certificate().to_pem(), &token)
            .map_err(in_data_dir)?;

        let denied = store.denied_serials(now).await.map_err(StartError::Prepare)?;
        let drained = store.drained_agents().await.map_err(StartError::Prepare)?;
        let settings = waggoner_engine::Settings {
            task_retries: config.task_retries,
            task_retry_interval: SignedDuration::from_secs(config.task_retry_interval_secs.into()),
            retry_backoff: waggoner_engine::Backoff {
                factor: config.retry_backoff,
                jitter: config.retry_jitter,
                ..waggoner_engine::Backoff::default()
            },
            subgraph_retries: config.subgraph_retries,
            max_in_flight: config.operations_per_deployment,
            wait_after_fail: SignedDuration::from_secs(config.wait_after_fail_secs.into()),
            ..waggoner_engine::Settings::default()
        };
        let heartbeat = Duration::from_secs(config.heartbeat_secs.max(1));
        let bytes = config.events_mib.map(|mib| mib.saturating_mul(1 << 20));
        let events = retention::Limits { days: config.events_days, bytes };
        let for_agents = match config.names.first() {
            Some(name) => format!("{name}:{}", address.port()),
            None => reachable(address).to_string(),
        };
        let env = config.execution_env;
        let imports = Arc::new(Urls::new(config.import_sites));
        let home = Home::new(
            store,
            ca,
            credentials,
            denied,
            data_dir,
            heartbeat,
            settings,
            executions,
            env,
            imports,
            for_agents,
            now,
        );
        for agent in &drained {
            home.fleet.note_drained(agent);
        }
        let grace = Duration::from_secs(config.stop_grace_secs);
        Ok(Self { home: Arc::new(home), listener, address, grace, events })
    }

    /// Returns what the manager's parts share.
    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// Returns the way to run operations by themselves, for benchmarks.
    pub fn dispatcher(&self) -> Dispatcher {
        Dispatcher::new(Arc::clone(&self.home), self.address)
    }

    /// Serves until `shutdown`, then drains.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        let Self { home, listener, address, grace, events } = self;
        executions::restore(&home).await.map_err(StartError::Prepare)?;
        dial::start(&home).await.map_err(StartError::Prepare)?;

        let mut group = Group::default();
        group.spawn("doors", doors::serve(Arc::clone(&home), listener, group.token()));
        let schedule = executions::waiting::keep_time(Arc::clone(&home), group.token());
        group.spawn("schedule", schedule);
        group.spawn("retention", retention::keep(Arc::clone(&home), events, group.token()));
        group.spawn("upkeep", fleet::upkeep(Arc::clone(&home), group.token()));
        info!(%address, data_dir = %home.data_dir, "ready");
        ready(address);
        let ended = group.run(shutdown, grace).await;
        if let Err(overdue) = home.tasks.stop(grace).await {
            info!(%overdue, "ended what did not end by itself");
        }
        ended.map_err(StartError::Run)
    }
}

/// Tells on standard output, in one line, that the manager takes connections.
#[expect(clippy::print_stdout, reason = "the one line that whoever started it waits for")]
fn ready(address: SocketAddr) {
    println!("ready {}", json!({ "address": reachable(address).to_string() }));
}

/// An address to connect to on this host, for a port that was taken on all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(all) if all.ip().is_unspecified() => ([127, 0, 0, 1], all.port()).into(),
        SocketAddr::V6(all) if all.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, all.port()).into()
        }
        one => one,
    }
}

async fn prepare(store: &Store, now: Timestamp) -> Result<(), waggoner_store::Error> {
    match store.create_tenant(default_tenant(), now).await {
        Ok(_) | Err(waggoner_store::Error::Exists(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn default_tenant() -> TenantName {
    "default_tenant".parse().expect("it is a tenant's name")
}

fn certificate(
    ca: &Ca,
    config: &Config,
    now: Timestamp,
) -> Result<Identity, waggoner_identity::IssueError> {
    let (addresses, mut names): (Vec<_>, Vec<_>) = config
        .names
        .iter()
        .map(|name| name.parse().map_err(|_| name.clone()))
        .partition(Result::is_ok);
    names.push(Err("localhost".to_owned()));
    let mut addresses: Vec<std::net::IpAddr> =
        addresses.into_iter().filter_map(Result::ok).collect();
    addresses.push(config.listen.ip());
    let names: Vec<String> = names.into_iter().filter_map(Result::err).collect();
    ca.issue_manager(&names, &addresses, Validity::new(now, CERTIFICATE))
}

/// Returns the token of the profile, if the store knows it, or makes a new one.
async fn api_token(
    store: &Store,
    data_dir: &camino::Utf8Path,
    now: Timestamp,
) -> Result<secrecy::SecretString, StartError> {
    use secrecy::ExposeSecret as _;

    let held = profile::token(data_dir)
        .map_err(|source| StartError::DataDir { path: data_dir.to_owned(), source })?;
    let held = held.and_then(|text| text.expose_secret().parse::<ApiToken>().ok());
    if let Some(token) = held {
        let hash = Digest(*token.hash().as_bytes());
        if store.find_api_token(hash).await.map_err(StartError::Prepare)?.is_some() {
            return Ok(token.reveal());
        }
    }
    let token = ApiToken::mint();
    let row = token::ApiToken {
        id: TokenId(uuid::Uuid::now_v7()),
        tenant: default_tenant(),
        description: "the profile on the manager's own host".to_owned(),
        admin: true,
        created_at: now,
    };
    let hash = Digest(*token.hash().as_bytes());
    store.create_api_token(row, hash).await.map_err(StartError::Prepare)?;
    Ok(token.reveal())
}

//! One link, from its first exchange to its end.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time;
use tonic::{Code, Status, transport::Channel};
use tracing::{info, warn};
use waggoner_proto::agent::v1::{
    FindMissingArtifactsRequest, HelloRequest, HelloResponse, WatchStatusRequest,
    agent_service_client::AgentServiceClient,
};

use crate::{
    fleet::{AgentKey, Link, installs, reconcile::reconcile},
    home::Home,
};

/// The protocol versions that this manager speaks.
pub(crate) const PROTOCOL: std::ops::RangeInclusive<u32> = 1..=1;

/// What this manager can beyond the protocol version.
pub(crate) const CAPABILITIES: &[&str] = &["operate", "artifacts", "environments"];

/// The largest message either side takes: 4 MiB, the default of every gRPC library.
pub(crate) const MESSAGE_BYTES: usize = 4 << 20;

/// For how long an agent may leave an exchange unanswered.
const ANSWER: Duration = Duration::from_secs(10);

/// How many signs of life may fail to come before the link is given up.
const MISSED: u32 = 3;

/// Why a connection did not become a link, or why the link ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("agent `{0}` was removed, or never joined this manager")]
    Unknown(AgentKey),
    #[error("agent `{0}` has a link already, and it lives: two agents have the same certificate")]
    Duplicate(AgentKey),
    #[error("agent `{key}` speaks none of our protocol versions: {}", status.message())]
    Protocol { key: AgentKey, status: Status },
    #[error("agent `{key}` did not answer: {}", status.message())]
    Answer { key: AgentKey, status: Status },
    #[error("agent `{0}` gave no sign of life")]
    Silent(AgentKey),
    #[error("failed to compare the attempts of agent `{key}` with the stored ones")]
    Reconcile {
        key: AgentKey,
        #[source]
        source: waggoner_store::Error,
    },
    #[error("failed to look agent `{key}` up")]
    Store {
        key: AgentKey,
        #[source]
        source: waggoner_store::Error,
    },
}

/// Holds a link until it ends.
pub(crate) async fn hold(
    home: &Arc<Home>,
    channel: Channel,
    key: AgentKey,
) -> Result<(), SessionError> {
    let agent =
        home.store.agent(key.tenant.clone(), key.name.clone()).await.map_err(
            |source| match source {
                waggoner_store::Error::Missing(_) => SessionError::Unknown(key.clone()),
                source => SessionError::Store { key: key.clone(), source },
            },
        )?;
    let hello = greet(home, AgentServiceClient::new(channel.clone()), &key).await?;
    let host = waggoner_wire::from_host(hello.host.clone().unwrap_or_default());
    let theirs = hello.now.and_then(|now| waggoner_wire::from_timestamp(now).ok());
    let ahead = theirs.map(|theirs| theirs.duration_since(Timestamp::now())).unwrap_or_default();
    let link = Arc::new(Link::new(key.clone(), agent.role, host, channel, ahead));
    reconcile(home, &link, hello.attempts.clone())
        .await
        .map_err(|source| SessionError::Reconcile { key, source })?;
    enter(home, &link).await?;
    info!(agent = %link.key, version = hello.agent_version, "agent linked");
    home.note_agent_linked(&link, &hello).await;
    installs::resume(home, &link).await;
    let stop = home.tasks.token();
    let ended = tokio::select! {
        biased;
        () = link.ended.cancelled() => Ok(()),
        () = stop.cancelled() => Ok(()),
        ended = watch(home, &link) => ended,
    };
    home.fleet.leave(&link);
    home.note_agent_unlinked(&link).await;
    info!(agent = %link.key, "agent unlinked");
    ended
}

async fn greet(
    home: &Home,
    mut client: AgentServiceClient<Channel>,
    key: &AgentKey,
) -> Result<HelloResponse, SessionError> {
    let request = HelloRequest {
        manager_version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol_min: *PROTOCOL.start(),
        protocol_max: *PROTOCOL.end(),
        capabilities: CAPABILITIES.iter().map(|&capability| capability.to_owned()).collect(),
        now: Some(waggoner_wire::timestamp(Timestamp::now())),
        heartbeat_interval: Some(waggoner_wire::duration(home.heartbeat)),
    };
    let answer = time::timeout(ANSWER, client.hello(request))
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("the time for an answer is over")));
    let hello = answer.map_err(|status| match status.code() {
        Code::FailedPrecondition => SessionError::Protocol { key: key.clone(), status },
        _ => SessionError::Answer { key: key.clone(), status },
    })?;
    let hello = hello.into_inner();
    if !PROTOCOL.contains(&hello.protocol) {
        let told = format!("it chose version {}", hello.protocol);
        let status = Status::failed_precondition(told);
        return Err(SessionError::Protocol { key: key.clone(), status });
    }
    Ok(hello)
}

/// Enters the link into the fleet. One that is there already is asked whether it lives: an agent
/// that lost its connection comes back before we notice, a copied certificate comes beside it.
async fn enter(home: &Home, link: &Arc<Link>) -> Result<(), SessionError> {
    while !home.fleet.join(link) {
        let Some(held) = home.fleet.link(&link.key) else { continue };
        if lives(&held).await {
            return Err(SessionError::Duplicate(link.key.clone()));
        }
        warn!(agent = %link.key, "the agent came back while its old link was dead");
        home.fleet.leave(&held);
    }
    Ok(())
}

async fn lives(link: &Link) -> bool {
    let mut client = link.client();
    let asked = client.find_missing_artifacts(FindMissingArtifactsRequest::default());
    matches!(time::timeout(ANSWER / 2, asked).await, Ok(Ok(_)))
}

/// Follows the agent's signs of life until they end, or fail to come.
async fn watch(home: &Home, link: &Arc<Link>) -> Result<(), SessionError> {
    let answer = |status| SessionError::Answer { key: link.key.clone(), status };
    let watched = link.client().watch_status(WatchStatusRequest {}).await.map_err(answer)?;
    let mut signs = watched.into_inner();
    loop {
        match time::timeout(home.heartbeat * MISSED, signs.message()).await {
            Err(_) => return Err(SessionError::Silent(link.key.clone())),
            Ok(Err(status)) => return Err(answer(status)),
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(sign))) => {
                link.draining.store(sign.draining, Ordering::Relaxed);
                if let Some(plugins) = sign.plugins {
                    installs::hear(home, link, plugins).await;
                }
                link.saw();
            }
        }
    }
}

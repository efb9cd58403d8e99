//! `waggoner.agent.v1.AgentService`.

use std::{error::Error, sync::Arc, time::Duration};

use jiff::Timestamp;
use prost::Message as _;
use tokio::{
    sync::mpsc,
    task::yield_now,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};
use tracing::{info, warn};
use waggoner_attempt::{Prefix, agent::First};
use waggoner_proto::agent::v1::{self as pb, agent_service_server::AgentService};
use waggoner_task::Tasks;
use waggoner_types::{Digest, Exit, Host, OperationError, Outcome};
use waggoner_wire::{At as _, Reason, Refused, from_duration, timestamp, to_host};

use crate::{
    api::conversation::{Conversation, FIRST_WORDS, VOICE},
    attempt::Attempt,
    environments::{install, remove},
    house::House,
    operation,
    start::{Start, environment},
};

mod write;

/// The protocol versions that this agent speaks, lowest and highest.
const PROTOCOL: (u32, u32) = (1, 1);

/// The bounds of what a manager may choose as heartbeat.
const HEARTBEATS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// Answers the manager.
#[derive(Clone, Debug)]
pub(crate) struct AgentApi {
    house: Arc<House>,
    host: Arc<Host>,
    /// Identifies this life of the daemon.
    instance_id: Arc<str>,
    /// Owns the attempts and the conversations about them.
    tasks: Arc<Tasks>,
}

// === impl AgentApi ===

impl AgentApi {
    pub(crate) fn new(house: Arc<House>, host: Host, tasks: Arc<Tasks>) -> Self {
        let instance_id = uuid::Uuid::now_v7().to_string().into();
        Self { house, host: Arc::new(host), instance_id, tasks }
    }

    /// Goes on with what another life of the daemon began.
    pub(crate) fn resume(&self) {
        for attempt in self.house.attempts.list().into_iter().filter(|known| !known.is_ended()) {
            let start = pb::Start::decode(attempt.start.clone())
                .map_err(|error| error.to_string())
                .and_then(|start| Start::try_from(start).map_err(|refused| refused.to_string()));
            match start {
                Ok(start) => self.run(attempt, start),
                Err(error) => {
                    // Written by a daemon of another release.
                    let message = format!("the agent cannot read how it was started: {error}");
                    let result = Err(OperationError::non_recoverable(message));
                    self.tasks.spawn("attempt", async move {
                        attempt.end(Outcome { result, exit: Some(Exit::Lost) }).await;
                    });
                }
            }
        }
    }

    /// Tells whether there is a link to the manager.
    pub(crate) async fn linked(&self, up: bool) {
        self.house.journal.link(up).await;
    }

    fn run(&self, attempt: Arc<Attempt>, start: Start) {
        self.tasks.spawn("attempt", operation::run(self.house.clone(), attempt, start));
    }

    /// Opens the conversation that the manager's first words ask for.
    async fn open(&self, first: pb::OperateRequest) -> Result<Conversation, Refused> {
        use pb::operate_request::Message;
        let house = &self.house;
        let (attempt, first) = match first.message.ok_or_else(|| Refused::missing("message"))? {
            Message::Start(message) => {
                let bytes = message.encode_to_vec().into();
                let start = Start::try_from(message)?;
                let (id, epoch) = (start.id, start.epoch);
                let api = self.clone();
                // Also when the link has ended meanwhile on which it was asked for.
                let opened = self.tasks.whole(async move {
                    let begin = |attempt| api.run(attempt, start);
                    api.house.attempts.open(id, epoch, bytes, begin).await
                });
                let stops = "the agent is about to end: ask it again";
                let stops = || Err(Refused::new(Reason::Unavailable, stops));
                (opened.await.unwrap_or_else(stops)?, First::Start { epoch })
            }
            Message::Resume(resume) => {
                let id = resume.attempt_id.parse().at("resume.attempt_id")?;
                let attempt = house.attempts.get(id)?;
                let manager = Prefix { length: resume.after, chain: resume.chain };
                let journal = house.journal.chain(id, resume.after).await;
                (attempt, First::Resume { manager, journal })
            }
            Message::Ack(_) | Message::Answer(_) | Message::Cancel(_) => {
                let why = "a conversation begins with a start or a resume";
                return Err(Refused::field("message", why));
            }
        };
        Conversation::begin(Arc::clone(house), attempt, first).await
    }

    /// Lists what the manager does not hold whole.
    fn attempts(&self) -> Vec<pb::Attempt> {
        let attempts = self.house.attempts.list().into_iter().filter(|one| !one.is_done());
        let message = attempts.map(|attempt| {
            let held = attempt.held();
            let state =
                if held.ended { pb::AttemptState::Ended } else { pb::AttemptState::Running };
            pb::Attempt {
                attempt_id: attempt.id.to_string(),
                state: state.into(),
                last_sequence: held.last,
            }
        });
        message.collect()
    }
}

#[async_trait]
impl AgentService for AgentApi {
    type OperateStream = ReceiverStream<Result<pb::OperateResponse, Status>>;
    type WatchStatusStream = ReceiverStream<Result<pb::WatchStatusResponse, Status>>;

    async fn hello(
        &self,
        request: Request<pb::HelloRequest>,
    ) -> Result<Response<pb::HelloResponse>, Status> {
        let hello = request.into_inner();
        let protocol = common(hello.protocol_min, hello.protocol_max)?;
        if let Some(interval) = hello.heartbeat_interval {
            let interval = from_duration(interval)?.clamp(HEARTBEATS.0, HEARTBEATS.1);
            self.house.heartbeat.send_replace(interval);
        }
        // What is still said over an older link is heard by nobody.
        self.house.hellos.send_modify(|hellos| *hellos += 1);
        info!(manager = hello.manager_version, protocol, "the manager has said hello");
        Ok(Response::new(pb::HelloResponse {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol,
            capabilities: Vec::new(),
            host: Some(to_host((*self.host).clone())),
            now: Some(timestamp(Timestamp::now())),
            attempts: self.attempts(),
            instance_id: self.instance_id.to_string(),
            slots: self.house.slot_count,
        }))
    }

    async fn operate(
        &self,
        request: Request<Streaming<pb::OperateRequest>>,
    ) -> Result<Response<Self::OperateStream>, Status> {
        let mut inbound = request.into_inner();
        let first = timeout(FIRST_WORDS, inbound.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no first message came"))??;
        let first = first.ok_or_else(|| Refused::missing("message"))?;
        let conversation = self.open(first).await?;
        let (voice, outbound) = mpsc::channel(VOICE);
        self.tasks.spawn("conversation", conversation.hold(inbound, voice));
        // What is said at once goes out with the answer's head.
        yield_now().await;
        Ok(Response::new(ReceiverStream::new(outbound)))
    }

    async fn find_missing_artifacts(
        &self,
        request: Request<pb::FindMissingArtifactsRequest>,
    ) -> Result<Response<pb::FindMissingArtifactsResponse>, Status> {
        let mut digests = Vec::new();
        for text in request.into_inner().digests {
            let digest: Digest = text.parse().at("digests")?;
            match self.house.artifacts.find(digest) {
                Some(_) => self.house.artifacts.touch(digest),
                None => digests.push(text),
            }
        }
        Ok(Response::new(pb::FindMissingArtifactsResponse { digests }))
    }

    async fn write_artifact(
        &self,
        request: Request<Streaming<pb::WriteArtifactRequest>>,
    ) -> Result<Response<pb::WriteArtifactResponse>, Status> {
        write::artifact(&self.house.artifacts, request.into_inner()).await?;
        Ok(Response::new(pb::WriteArtifactResponse {}))
    }

    async fn prepare_environment(
        &self,
        request: Request<pb::PrepareEnvironmentRequest>,
    ) -> Result<Response<pb::PrepareEnvironmentResponse>, Status> {
        let wanted = environment(request.into_inner().environment, "environment")?;
        let wanted = wanted.ok_or_else(|| Refused::missing("environment"))?;
        let house = &self.house;
        let ready = install(house, &wanted, None).await;
        let ready = ready.map_err(|error| {
            warn!(error = &error as &dyn Error, "an environment cannot be prepared");
            Refused::from(error)
        })?;
        Ok(Response::new(pb::PrepareEnvironmentResponse {
            reused: ready.reused,
            python_tag: ready.tag,
        }))
    }

    async fn remove_plugin(
        &self,
        request: Request<pb::RemovePluginRequest>,
    ) -> Result<Response<pb::RemovePluginResponse>, Status> {
        let wagon: Digest = request.into_inner().wagon_digest.parse().at("wagon_digest")?;
        let removed = remove(&self.house, wagon).await.map_err(|error| {
            Refused::new(Reason::Unavailable, format!("the plugin cannot be removed: {error}"))
        })?;
        Ok(Response::new(pb::RemovePluginResponse { removed }))
    }

    async fn watch_status(
        &self,
        _: Request<pb::WatchStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, Status> {
        let (status_tx, statuses) = mpsc::channel(1);
        let house = Arc::clone(&self.house);
        self.tasks.spawn("status", async move {
            let mut beats = interval(*house.heartbeat.borrow());
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut installs = house.installs.watch();
            installs.mark_changed();
            loop {
                let is_changed = tokio::select! {
                    () = status_tx.closed() => return,
                    Ok(()) = installs.changed() => true,
                    _ = beats.tick() => false,
                };
                let plugins = is_changed.then(|| house.installs.message());
                if status_tx.send(Ok(status(&house, plugins))).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(statuses)))
    }
}

fn status(house: &House, plugins: Option<pb::Plugins>) -> pb::WatchStatusResponse {
    pb::WatchStatusResponse {
        running: u32::try_from(house.attempts.running()).unwrap_or(u32::MAX),
        draining: house.attempts.is_draining(),
        now: Some(timestamp(Timestamp::now())),
        disk_free: house.state.free(),
        plugins,
    }
}

/// Returns the highest protocol version that both speak.
fn common(low: u32, high: u32) -> Result<u32, Refused> {
    let protocol = high.min(PROTOCOL.1);
    if protocol < low.max(PROTOCOL.0) {
        let (own_low, own_high) = PROTOCOL;
        return Err(Refused::new(
            Reason::ProtocolMismatch,
            format!(
                "the manager speaks the versions {low} to {high} of the protocol and this agent \
                 {own_low} to {own_high}: bring them to the same release"
            ),
        ));
    }
    Ok(protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_is_spoken() {
        assert_eq!(common(1, 1).unwrap(), 1);
        assert_eq!(common(0, 9).unwrap(), 1);
        assert_eq!(common(2, 9).unwrap_err().reason, Reason::ProtocolMismatch);
        assert_eq!(common(0, 0).unwrap_err().reason, Reason::ProtocolMismatch);
    }
}

//! `EventService`.

use std::time::Duration;

use serde_json::Value;
use tokio::time;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use waggoner_proto::v1::{
    Event, EventFilter, FollowEventsRequest, FollowEventsResponse, ListEventsRequest,
    ListEventsResponse, event_service_server::EventService,
};
use waggoner_store::{
    PageRequest,
    event::{self, EntryKind},
};
use waggoner_types::TenantName;
use waggoner_wire::{At as _, Refused, timestamp};

use crate::api::{Api, refused};

/// How many events are sent at once.
const BATCH: u32 = 200;

/// How often a stream shows that it lives when nothing happens.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Where the events of a stream go.
type Events = tokio::sync::mpsc::Sender<Result<FollowEventsResponse, Status>>;

#[tonic::async_trait]
impl EventService for Api {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let ListEventsRequest { tenant: _, page_size, page_token, filter } = request.into_inner();
        let filter = parse(filter.unwrap_or_default())?;
        let page = PageRequest::new(page_size, page_token);
        let page = self.home.store.events(tenant, filter, &page).await.map_err(refused)?;
        Ok(Response::new(ListEventsResponse {
            events: page.items.into_iter().map(message).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    type FollowEventsStream = ReceiverStream<Result<FollowEventsResponse, Status>>;

    async fn follow_events(
        &self,
        request: Request<FollowEventsRequest>,
    ) -> Result<Response<Self::FollowEventsStream>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let FollowEventsRequest { tenant: _, filter, after } = request.into_inner();
        let filter = parse(filter.unwrap_or_default())?;
        if let Some(execution) = filter.execution_id {
            // An unknown execution is refused at once, not followed in silence.
            self.home.store.execution(tenant.clone(), execution).await.map_err(refused)?;
        }
        // One batch waits beside the one on the way; a slow reader slows its own stream only.
        let (events, stream) = tokio::sync::mpsc::channel(1);
        let api = self.clone();
        self.home.tasks.spawn("follow", async move {
            if let Err(refusal) = api.follow(tenant, filter, after, &events).await {
                // Nobody is there to be told once the receiver is gone.
                drop(events.send(Err(refusal.into())).await);
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl Api {
    async fn follow(
        &self,
        tenant: TenantName,
        filter: event::EventFilter,
        mut after: u64,
        events: &Events,
    ) -> Result<(), Refused> {
        let store = &self.home.store;
        let mut last = store.last_event();
        loop {
            // Looked at before the events are read: what comes later wakes us again.
            let ended = match filter.execution_id {
                Some(id) => {
                    store.execution(tenant.clone(), id).await.map_err(refused)?.status.is_end()
                }
                None => false,
            };
            last.borrow_and_update();
            loop {
                let batch = store
                    .events_after(tenant.clone(), filter.clone(), after, BATCH)
                    .await
                    .map_err(refused)?;
                let Some(newest) = batch.last() else { break };
                after = newest.id;
                let batch = batch.into_iter().map(message).collect();
                if events.send(Ok(FollowEventsResponse { events: batch })).await.is_err() {
                    return Ok(());
                }
            }
            if ended {
                return Ok(());
            }
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = events.closed() => return Ok(()),
                changed = last.changed() => if changed.is_err() { return Ok(()) },
                () = time::sleep(SIGN_OF_LIFE) => {
                    if events.send(Ok(FollowEventsResponse::default())).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

fn parse(filter: EventFilter) -> Result<event::EventFilter, Refused> {
    let EventFilter { execution_id, deployment_id, node_instance_id, no_logs, min_level } = filter;
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(event::EventFilter {
        execution_id: given(execution_id)
            .map(|id| id.parse())
            .transpose()
            .at("filter.execution_id")?,
        deployment_id: given(deployment_id)
            .map(|id| id.parse())
            .transpose()
            .at("filter.deployment_id")?,
        node_instance_id: given(node_instance_id),
        no_logs,
        min_level: given(min_level)
            .map(|level| level.parse())
            .transpose()
            .at("filter.min_level")?,
    })
}

fn message(event: event::Event) -> Event {
    let event::Event { id, reported_at, entry } = event;
    let event::Entry { origin, time, kind, message, causes, sequence } = entry;
    let (event_type, level, logger) = match kind {
        EntryKind::Event { event_type } => (event_type, String::new(), String::new()),
        EntryKind::Log { level, logger } | EntryKind::Output { level, logger, .. } => {
            (String::new(), level.to_string(), logger)
        }
    };
    let shown = |id: Option<String>| id.unwrap_or_default();
    Event {
        id,
        time: Some(timestamp(time)),
        reported_at: Some(timestamp(reported_at)),
        message,
        event_type,
        level,
        logger,
        execution_id: shown(origin.execution_id.map(|id| id.to_string())),
        deployment_id: shown(origin.deployment_id.as_ref().map(ToString::to_string)),
        workflow_id: shown(origin.workflow_id.clone()),
        node_id: shown(origin.node_id.clone()),
        node_instance_id: shown(origin.node_instance_id.clone()),
        operation: shown(origin.operation.clone()),
        attempt_id: shown(origin.attempt_id.map(|id| id.to_string())),
        sequence,
        causes_json: if causes.is_empty() {
            String::new()
        } else {
            Value::Array(causes).to_string()
        },
        agent: shown(origin.agent.as_ref().map(ToString::to_string)),
        target_id: shown(origin.target_id.clone()),
    }
}

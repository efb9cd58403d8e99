//! Events as they come, over breaks of the connection.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Request, Streaming};
use waggoner_proto::v1::{Event, EventFilter, FollowEventsRequest, FollowEventsResponse};
use waggoner_task::Backoff;

use super::{ClientError, Manager};

/// How long the manager may be away before following is given up.
const AWAY: Duration = Duration::from_mins(1);

/// Events of a filter, each once, in order.
#[derive(Debug)]
pub(crate) struct Follow {
    manager: Manager,
    filter: EventFilter,
    after: u64,
    stream: Option<Streaming<FollowEventsResponse>>,
    backoff: Backoff,
    lost_at: Option<Instant>,
}

// === impl Follow ===

impl Follow {
    /// Follows from the first event on.
    pub(crate) fn new(manager: &Manager, filter: EventFilter) -> Self {
        Self {
            manager: manager.clone(),
            filter,
            after: 0,
            stream: None,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(5)),
            lost_at: None,
        }
    }

    /// Returns the next events, none where the manager only shows that it lives, or `None` at the
    /// end. Cancel safe.
    ///
    /// While the manager cannot be reached it is tried again for a minute, from the last event on.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Event>>, ClientError> {
        loop {
            match self.try_next().await {
                Ok(Some(events)) => {
                    self.lost_at = None;
                    self.backoff.reset();
                    self.after = events.last().map_or(self.after, |event| event.id);
                    return Ok(Some(events));
                }
                Ok(None) => return Ok(None),
                Err(lost @ ClientError::Unavailable(_)) => {
                    self.stream = None;
                    let since = *self.lost_at.get_or_insert_with(Instant::now);
                    if since.elapsed() > AWAY {
                        return Err(lost);
                    }
                    sleep(self.backoff.next()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens the stream anew after its end.
    pub(crate) fn again(&mut self) {
        self.stream = None;
    }

    async fn try_next(&mut self) -> Result<Option<Vec<Event>>, ClientError> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let request = FollowEventsRequest {
                    tenant: self.manager.tenant(),
                    filter: Some(self.filter.clone()),
                    after: self.after,
                };
                let stream = self.manager.events().follow_events(Request::new(request)).await?;
                none.insert(stream.into_inner())
            }
        };
        Ok(stream.message().await?.map(|answer| answer.events))
    }
}

//! Letting old events and log lines go.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;
use tracing::{info, warn};
use waggoner_store::event::Retention;
use waggoner_task::CancellationToken;
use waggoner_types::Chain;

use crate::home::Home;

/// How long events and log lines are kept, and how large they may make the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) days: Option<u32>,
    pub(crate) bytes: Option<u64>,
}

/// How often is looked what may go.
const ROUND: Duration = Duration::from_mins(10);

/// How long others may write between two steps of one round.
const PAUSE: Duration = Duration::from_millis(50);

/// Keeps to the limits until it is stopped.
pub(crate) async fn keep(home: Arc<Home>, limits: Limits, stop: CancellationToken) {
    let round = async {
        loop {
            forget(&home, limits).await;
            sleep(ROUND).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = round => {}
    }
}

async fn forget(home: &Home, limits: Limits) {
    let mut forgotten = 0;
    loop {
        let rows = match home.store.forget_events(limits.now(Timestamp::now())).await {
            Ok(rows) => rows,
            Err(error) => {
                warn!(error = %Chain(&error), "old events are not let go");
                return;
            }
        };
        forgotten += rows;
        if rows == 0 {
            break;
        }
        sleep(PAUSE).await;
    }
    if forgotten > 0 {
        info!(forgotten, "old events were let go");
    }
}

// === impl Limits ===

impl Limits {
    fn now(self, now: Timestamp) -> Retention {
        let age = self.days.map(|days| SignedDuration::from_hours(24 * i64::from(days)));
        let since = age.and_then(|age| now.checked_sub(age).ok());
        Retention { since, most_bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_back_from_now() {
        let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        let limits = Limits { days: Some(30), bytes: Some(7) };
        let since = Some("2026-02-08T12:00:00Z".parse().unwrap());
        assert_eq!(limits.now(now), Retention { since, most_bytes: Some(7) });
        assert_eq!(Limits::default().now(now), Retention::default());
        let ever = Limits { days: Some(u32::MAX), bytes: None };
        assert_eq!(ever.now(now).since, None, "before all time");
    }
}

//! A wait that says so when it takes long.

use std::{pin::pin, time::Duration};

use tokio::time::{self, Instant};
use tracing::{info, warn};

/// Awaits `future`; logs `what` once it has taken longer than `after`, and again when it is over.
///
/// `what` names the wait: "waiting for the manager".
pub async fn slow<F: Future>(future: F, after: Duration, what: &str) -> F::Output {
    let began = Instant::now();
    let mut future = pin!(future);
    if let Ok(output) = time::timeout(after, &mut future).await {
        return output;
    }
    warn!(?after, "{what} takes longer than usual");
    let output = future.await;
    info!(took = ?began.elapsed(), "{what} is over");
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::Log;

    async fn logged(takes: Duration) -> String {
        let log = Log::default();
        let guard = log.keep();
        slow(time::sleep(takes), Duration::from_secs(5), "waiting for the manager").await;
        drop(guard);
        log.text()
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_wait_is_logged_when_late_and_when_over() {
        let text = logged(Duration::from_secs(7)).await;
        assert!(
            text.contains("waiting for the manager takes longer than usual after=5s"),
            "{text}"
        );
        assert!(text.contains("waiting for the manager is over took=7"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_wait_is_not_logged() {
        assert_eq!(logged(Duration::from_secs(4)).await, "");
    }
}

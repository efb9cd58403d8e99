//! Counts the log lines and events for which there was no room, until the records tell of them.

use std::time::Duration;

use tokio::time::Instant;
use waggoner_types::{Body, LogLevel};

/// What the records have not told of.
#[derive(Debug, Default)]
pub(super) struct Loss {
    count: u64,
    told: Option<Instant>,
}

/// How long the records say nothing of further losses: to tell of one needs room as well.
const PAUSE: Duration = Duration::from_secs(1);

// === impl Loss ===

impl Loss {
    /// Counts what was not kept.
    pub(super) fn add(&mut self, count: u64) {
        self.count += count;
    }

    /// Returns how many there are that have to be told of now; they are told of, then. At the end
    /// there is no later.
    pub(super) fn take(&mut self, is_end: bool) -> Option<u64> {
        let is_soon = self.told.is_some_and(|told| told.elapsed() < PAUSE);
        if self.count == 0 || (is_soon && !is_end) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(std::mem::take(&mut self.count))
    }
}

/// The record that tells of a loss.
pub(super) fn told(count: u64) -> Body {
    let message = format!(
        "{count} log lines and events were not kept: more waits for the manager than the agent may \
         keep"
    );
    Body::Log { level: LogLevel::Warning, logger: "agent".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_told_of_at_once_and_then_once_a_second_and_at_the_end() {
        let mut loss = Loss::default();
        assert_eq!(loss.take(true), None, "nothing is lost");
        loss.add(2);
        assert_eq!(loss.take(false), Some(2));
        loss.add(1);
        assert_eq!(loss.take(false), None);
        loss.add(4);
        tokio::time::advance(PAUSE).await;
        assert_eq!(loss.take(false), Some(5));
        loss.add(1);
        assert_eq!(loss.take(true), Some(1));
        assert_eq!(loss.take(true), None);
    }
}

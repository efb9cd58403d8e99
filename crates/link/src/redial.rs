//! Tries again and again, without hurry and without noise.

use std::{convert::Infallible, error::Error, fmt};

use tokio::time::{self, Instant};
use tracing::{info, warn};
use waggoner_task::Backoff;

use crate::settings;

/// Keeps a link up: runs `once` for ever, with a wait from `backoff` in between.
///
/// `once` dials, lives with the link until it ends, and returns why it did; or it fails because no
/// link came up. A link that lived for [`settings::STEADY`] resets the backoff. A failure is logged
/// once, until another one takes its place. The caller stops it by dropping the future.
pub async fn redial<F, Fut, E>(what: &str, mut backoff: Backoff, mut once: F) -> Infallible
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<String, E>>,
    E: Error + 'static,
{
    let mut last = None;
    loop {
        let began = Instant::now();
        let lived = once().await;
        match lived {
            Ok(why) => {
                if began.elapsed() >= settings::STEADY {
                    backoff.reset();
                }
                last = None;
                info!(why, "the link to {what} has ended");
            }
            Err(error) => {
                let why = Chain(&error).to_string();
                if last.as_ref() != Some(&why) {
                    warn!(why, "no link to {what}");
                }
                last = Some(why);
            }
        }
        time::sleep(backoff.next()).await;
    }
}

/// An error with its causes, each once.
struct Chain<'a>(&'a dyn Error);

// === impl Chain ===

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

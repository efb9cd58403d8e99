//! Tries again and again, without hurry and without noise.

use std::{convert::Infallible, error::Error};

use tokio::time::{self, Instant};
use tracing::{info, warn};
use waggoner_task::Backoff;
use waggoner_types::Chain;

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

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, io, time::Duration};

    use super::*;

    /// Runs links that live so long (`None`: that do not come up) and returns when each began.
    async fn begun(lives: &[Option<Duration>]) -> Vec<Duration> {
        let backoff = Backoff::seeded(settings::REDIAL_BASE, settings::REDIAL_CAP, 1);
        let zero = Instant::now();
        let began = RefCell::new(Vec::new());
        let redialling = redial("the manager", backoff, || {
            let nth = began.borrow().len();
            began.borrow_mut().push(zero.elapsed());
            async move {
                match lives.get(nth).copied() {
                    Some(Some(life)) => {
                        time::sleep(life).await;
                        Ok("the peer closed the connection".to_owned())
                    }
                    Some(None) => Err(io::Error::other("no route")),
                    None => std::future::pending().await,
                }
            }
        });
        // Longer than all lives and waits together.
        drop(time::timeout(Duration::from_hours(24), redialling).await);
        began.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn tries_come_with_longer_and_longer_waits() {
        let began = begun(&[None; 40]).await;
        assert_eq!(began.len(), 41);
        assert!(began[1] <= settings::REDIAL_BASE);
        let waits = began.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        assert!(waits.clone().all(|wait| wait <= settings::REDIAL_CAP));
        assert!(waits.skip(10).any(|wait| wait > settings::REDIAL_CAP / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_lived_makes_the_next_try_quick() {
        let mut lives = vec![None; 20];
        lives.push(Some(settings::STEADY));
        let began = begun(&lives).await;
        assert!(began[21] <= began[20] + settings::STEADY + settings::REDIAL_BASE);
    }

    #[tokio::test(start_paused = true)]
    async fn links_that_end_at_once_are_not_dialled_in_a_hurry() {
        let began = begun(&[Some(Duration::ZERO); 40]).await;
        assert!(began[40] > 10 * settings::REDIAL_CAP);
    }
}

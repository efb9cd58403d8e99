//! What a conversation waits for: for ever where there is none, save for a link.

use std::{future::pending, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::time::{self, Instant};

use super::{
    gather::Kept,
    talk::{Said, Talk},
};
use crate::{
    fleet::{AgentKey, Link},
    home::Home,
};

/// Waits for the transaction under way.
pub(super) async fn ready(storing: Option<&mut BoxFuture<'_, Kept>>) -> Kept {
    match storing {
        Some(storing) => storing.await,
        None => pending().await,
    }
}

/// Waits for the end of a lull.
pub(super) async fn over(lull: Option<Instant>) {
    match lull {
        Some(until) => time::sleep_until(until).await,
        None => pending().await,
    }
}

/// Waits for what the agent says.
pub(super) async fn said(talk: Option<&mut Talk<'_>>) -> Said {
    match talk {
        Some(talk) => talk.next().await,
        None => pending().await,
    }
}

/// Waits for a link, with patience. Cancel safe.
pub(super) async fn find(
    home: &Home,
    key: &AgentKey,
    lost: &mut Option<(Arc<Link>, Instant)>,
    patience: Instant,
) -> Option<Arc<Link>> {
    if let Some((link, until)) = lost {
        // It is about to be given up, or another conversation may be held over it.
        tokio::select! {
            () = link.ended.cancelled() => {}
            () = time::sleep_until(*until) => {}
        }
        *lost = None;
    }
    let left = patience.saturating_duration_since(Instant::now());
    home.fleet.wait_for(|fleet| fleet.link(key), left).await
}

//! What is put in order when an agent comes back, before anything new is sent to it.
//!
//! Attempts that nobody here needs any more are told so, and what runs of them is killed; attempts
//! that are open in the store and needed by nobody end as lost. All others have a conversation,
//! which finds out by itself what the agent knows.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::{sync::mpsc, time};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tracing::{debug, info, warn};
use waggoner_attempt::{Farewell, Known, Listed, Reconciled};
use waggoner_proto::agent::v1::{
    Ack, Attempt, AttemptState, Cancel, OperateRequest, OperateResponse, Resume,
    operate_request::Message as Down, operate_response::Message as Up,
};
use waggoner_store::attempt::End;
use waggoner_types::{AttemptId, Chain, Outcome};

use crate::{
    executions::{lost, told},
    fleet::{Fleet, Link},
    home::Home,
};

/// How long an agent may take to hear a farewell.
const ANSWER: Duration = Duration::from_secs(10);

/// How many farewells are said at once.
const AT_ONCE: usize = 16;

/// How many messages of a farewell may wait to be sent.
const DOWN: usize = 4;

/// Says that an attempt is needed, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Needed<'a> {
    fleet: &'a Fleet,
    id: AttemptId,
}

/// Puts the attempts that an agent lists in order with those of the store.
pub(crate) async fn reconcile(
    home: &Arc<Home>,
    link: &Arc<Link>,
    attempts: Vec<Attempt>,
) -> Result<(), waggoner_store::Error> {
    let listed: Vec<_> = attempts.into_iter().filter_map(listed).collect();
    let named = listed.iter().map(|listed| listed.id).collect();
    let (tenant, agent) = (link.key.tenant.clone(), link.key.name.clone());
    let standings = home.store.attempt_standings(tenant, agent, named).await?;
    let needed = home.fleet.needed().clone();
    let known: BTreeMap<_, _> = standings
        .into_iter()
        .map(|standing| {
            let known = match (standing.ended, standing.over) {
                (true, _) => Known::Ended,
                (false, true) if !needed.contains(&standing.id) => Known::Orphaned,
                (false, _) => Known::Needed,
            };
            (standing.id, known)
        })
        .collect();
    let Reconciled { farewells, lost: orphans } = waggoner_attempt::reconcile(&listed, &known);
    for id in orphans {
        let outcome = lost(&link.key, "its execution ended without it");
        end(home, id, &outcome).await;
    }
    let farewells = farewells.into_iter().map(|said| farewell(home, link, said));
    stream::iter(farewells).buffer_unordered(AT_ONCE).collect::<()>().await;
    Ok(())
}

/// Ends an attempt in the store. Where that fails, it is found open at the next link.
pub(crate) async fn end(home: &Home, id: AttemptId, outcome: &Outcome) {
    let end = End { at: Timestamp::now(), outcome: told(outcome) };
    if let Err(error) = home.store.end_attempt(id, end).await {
        warn!(attempt = %id, error = %Chain(&error), "failed to end an attempt");
    }
}

/// Tells an agent that nobody needs an attempt. It has heard so when this returns, unless it does
/// not answer; its records are acknowledged as they come.
pub(crate) async fn farewell(home: &Home, link: &Arc<Link>, farewell: Farewell) {
    let Farewell { id, after, kill } = farewell;
    if kill {
        info!(attempt = %id, agent = %link.key, "nobody needs the attempt: it is killed");
    }
    let (down, requests) = mpsc::channel(DOWN);
    let resume = Resume { attempt_id: id.to_string(), after, chain: 0 };
    let reason = "the manager does not need it any more".to_owned();
    let cancel = kill.then_some(Down::Cancel(Cancel { kill, reason }));
    let said = [Down::Resume(resume), Down::Ack(Ack { upto: after })].into_iter().chain(cancel);
    for message in said {
        drop(down.send(OperateRequest { message: Some(message) }).await);
    }
    let mut client = link.client();
    match time::timeout(ANSWER, client.operate(ReceiverStream::new(requests))).await {
        Ok(Ok(answer)) => {
            home.tasks.spawn("farewell", read_on(Arc::clone(link), down, answer.into_inner()));
        }
        Ok(Err(status)) => debug!(attempt = %id, %status, "the agent refused a farewell"),
        Err(_) => warn!(attempt = %id, agent = %link.key, "the agent did not hear a farewell"),
    }
}

/// Acknowledges what comes, until the agent has no more.
async fn read_on(
    link: Arc<Link>,
    down: mpsc::Sender<OperateRequest>,
    mut up: Streaming<OperateResponse>,
) {
    loop {
        let said = tokio::select! {
            () = link.ended.cancelled() => return,
            said = up.message() => said,
        };
        let Ok(Some(said)) = said else { return };
        if let Some(Up::Record(record)) = said.message {
            let message = Some(Down::Ack(Ack { upto: record.sequence }));
            drop(down.send(OperateRequest { message }).await);
        }
    }
}

fn listed(attempt: Attempt) -> Option<Listed> {
    let Attempt { attempt_id, state, last_sequence } = attempt;
    let Ok(id) = attempt_id.parse() else {
        warn!(attempt_id, "an agent lists an attempt whose id is none");
        return None;
    };
    let ended = state == i32::from(AttemptState::Ended);
    Some(Listed { id, last: last_sequence, ended })
}

// === impl Needed ===

impl Fleet {
    /// Notes that an attempt has a conversation here.
    pub(crate) fn need(&self, id: AttemptId) -> Needed<'_> {
        self.needed().insert(id);
        Needed { fleet: self, id }
    }

    fn needed(&self) -> MutexGuard<'_, HashSet<AttemptId>> {
        self.needed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Needed<'_> {
    fn drop(&mut self) {
        self.fleet.needed().remove(&self.id);
    }
}

#[cfg(test)]
mod tests;

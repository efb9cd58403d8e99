//! The one public port: ALPN decides what a connection is.

use std::{convert::Infallible, sync::Arc};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tracing::warn;
use waggoner_link::{Accepted, Io, Listener, client_over};
use waggoner_task::CancellationToken;
use waggoner_types::{AgentName, Chain, TenantName};

use crate::{
    api,
    fleet::{AgentKey, session},
    home::Home,
};

pub(crate) mod pages;

/// How many people's connections may wait to be served: each is taken at once.
const WAITING: usize = 64;

/// Takes connections until `stop`, and hands each to who it is for.
pub(crate) async fn serve(home: Arc<Home>, mut listener: Listener, stop: CancellationToken) {
    let (people_tx, people) = mpsc::channel::<Result<Io, Infallible>>(WAITING);
    let api = api::serve(&home, ReceiverStream::new(people), stop.clone());
    tokio::pin!(api);
    loop {
        let accepted = tokio::select! {
            biased;
            // Ends with the last call once it is told to stop.
            () = &mut api => return,
            accepted = listener.next(), if !stop.is_cancelled() => accepted,
        };
        match accepted {
            Accepted::Agent { io, tenant, name } => {
                home.tasks.spawn("link", link(Arc::clone(&home), io, tenant, name));
            }
            Accepted::Grpc { io } => {
                // The receiver lives as long as `api`, which has not ended.
                if people_tx.send(Ok(io)).await.is_err() {
                    return;
                }
            }
            Accepted::Http { io } => {
                home.tasks.spawn("page", pages::serve(Arc::clone(&home), io));
            }
        }
    }
}

async fn link(home: Arc<Home>, io: Io, tenant: TenantName, name: AgentName) {
    let key = AgentKey { tenant, name };
    let address = io.caller().address;
    if let Err(why) = hold(&home, io, key.clone()).await {
        home.fleet.note_problem(&key, &why);
        warn!(agent = %key, %address, why, "the link was refused or lost");
    }
}

/// Holds the link of an agent over a connection, whoever dialled it, until it ends.
pub(crate) async fn hold(home: &Arc<Home>, io: Io, key: AgentKey) -> Result<(), String> {
    if let Some(serial) = denied(home, &io) {
        return Err(format!("its certificate, number {serial}, was denied when it was removed"));
    }
    let (channel, life) = client_over(io).await.map_err(|error| Chain(&error).to_string())?;
    let held = session::hold(home, channel, key).await;
    // The reason of the connection itself, a refused certificate for one, says more than the call.
    held.map_err(|error| match life.why() {
        Some(why) => format!("{}: {why}", Chain(&error)),
        None => Chain(&error).to_string(),
    })
}

fn denied(home: &Home, io: &Io) -> Option<String> {
    let chain = waggoner_identity::Chain::from_ders(io.certificates().to_vec()).ok()?;
    let serial = chain.serial().to_owned();
    home.is_denied(&serial).then_some(serial)
}

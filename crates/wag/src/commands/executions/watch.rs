//! An execution followed to its end, its progress shown.

use std::time::Duration;

use tokio::{
    signal,
    time::{MissedTickBehavior, interval, sleep},
};
use waggoner_proto::v1::{EventFilter, Execution};

use crate::{
    Error, Ui,
    client::{Follow, Manager},
    commands::node_instances,
    record::is_ended,
    ui::Progress,
};

/// How often the states of node instances are asked for while they are shown.
const STATES: Duration = Duration::from_millis(500);

/// How long an execution whose events have ended may take to say that it has ended itself.
const SETTLING: Duration = Duration::from_millis(200);

/// Follows an execution, and returns it as it ended. Interrupting leaves it running.
pub(crate) async fn watch(
    manager: &Manager,
    ui: &mut Ui,
    execution: &Execution,
    logs: bool,
) -> Result<Execution, Error> {
    let mut progress = ui.progress(logs);
    let watched = tokio::select! {
        ended = to_the_end(manager, ui, &mut progress, execution) => ended,
        _ = signal::ctrl_c() => Err(Error::Unwatched(execution.id.clone())),
    };
    progress.finish();
    watched
}

async fn to_the_end(
    manager: &Manager,
    ui: &mut Ui,
    progress: &mut Progress,
    execution: &Execution,
) -> Result<Execution, Error> {
    let filter = EventFilter { execution_id: execution.id.clone(), ..EventFilter::default() };
    let mut follow = Follow::new(manager, filter);
    let mut tick = interval(STATES);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            events = follow.next() => match events? {
                Some(events) => progress.events(&events, ui),
                // A manager that stops ends its streams as well.
                None => match super::get(manager, &execution.id).await? {
                    ended if is_ended(&ended) => {
                        states(manager, progress, execution).await;
                        return Ok(ended);
                    }
                    _ => {
                        sleep(SETTLING).await;
                        follow.again();
                    }
                },
            },
            _ = tick.tick(), if progress.wants_states() => {
                states(manager, progress, execution).await;
            }
        }
    }
}

/// Brings the picture up to date. Where that fails it only stays as it was: the events tell what
/// matters.
async fn states(manager: &Manager, progress: &mut Progress, execution: &Execution) {
    if progress.wants_states()
        && let Ok(found) = node_instances::list(manager, &execution.deployment_id, "").await
    {
        progress.states(&found);
    }
}

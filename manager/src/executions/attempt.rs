//! One attempt at an operation, from its task to the outcome that the engine hears of.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{sync::mpsc, time};
use tracing::warn;
use waggoner_attempt::{Prefix, manager::Half};
use waggoner_engine::Dispatch;
use waggoner_proto::agent::v1::Start;
use waggoner_store::{
    attempt::{self, Watermark},
    event::Origin,
};
use waggoner_task::{Backoff, CancellationToken};
use waggoner_types::{AttemptId, Chain, OperationError, Outcome};

use crate::{
    executions::{
        Stage,
        actor::Happening,
        answers::Answers,
        built_in,
        conversation::{Attempt, Speaker, Teller, converse, resume, unsent},
        outcome::heard,
        prepare::{Ready, attempt_id, prepare},
    },
    fleet::AgentKey,
    home::Home,
};

/// Runs an attempt to its end and tells of it; unless the manager stops, then the next one goes on.
pub(crate) async fn run(
    home: Arc<Home>,
    stage: Arc<Stage>,
    dispatch: Dispatch,
    happenings: mpsc::Sender<Happening>,
    cancel: CancellationToken,
) {
    let (task, retry_number) = (dispatch.task, dispatch.retry_number);
    let teller = Teller { happenings, task, retry_number };
    let stop = home.tasks.token();
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        outcome = outcome(&home, &stage, &dispatch, &teller, &cancel) => {
            teller.ended(outcome).await;
        }
    }
}

async fn outcome(
    home: &Arc<Home>,
    stage: &Arc<Stage>,
    dispatch: &Dispatch,
    teller: &Teller,
    cancel: &CancellationToken,
) -> Outcome {
    let failed = |error| Outcome { result: Err(error), exit: None };
    let answers = Answers::of(home, stage, dispatch);
    if built_in::has(&dispatch.operation.plugin) {
        drop(teller.started().await);
        let result = built_in::run(home, stage, dispatch, &answers).await;
        return Outcome { result, exit: None };
    }
    if dispatch.again
        && let Some(outcome) = resumed(home, stage, dispatch, &answers, cancel, teller).await
    {
        return outcome;
    }
    let attempt = tokio::select! {
        attempt = begin(home, stage, dispatch, &answers) => attempt,
        () = cancel.cancelled() => Err(unsent()),
    };
    match attempt {
        Ok(attempt) => converse(home, attempt, &answers, cancel, teller).await,
        Err(error) => failed(error),
    }
}

/// Goes on with an attempt that the last manager stored, unless its agent never heard of it.
async fn resumed(
    home: &Home,
    stage: &Stage,
    dispatch: &Dispatch,
    answers: &Answers,
    cancel: &CancellationToken,
    teller: &Teller,
) -> Option<Outcome> {
    let operation = stage.operation(dispatch.task.0, dispatch.retry_number);
    let held = held(home, attempt_id(operation)).await?;
    // It was stored how it ended, and the manager was gone before the execution heard of it.
    if let Some(outcome) = held.outcome.as_ref().and_then(heard) {
        return Some(outcome);
    }
    let agent = AgentKey { tenant: held.tenant, name: held.agent };
    let Watermark { upto, chain } = held.watermark;
    let half = Half::restored(Prefix { length: upto, chain });
    let attempt = attempt(stage, dispatch, agent, None, half);
    resume(home, attempt, answers, cancel, teller).await
}

/// Reads an attempt, however long it takes: to start it anew might run it twice.
async fn held(home: &Home, id: AttemptId) -> Option<attempt::Attempt> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    loop {
        match home.store.attempt(id).await {
            Ok(held) => return Some(held),
            Err(error @ waggoner_store::Error::Failed { .. }) => {
                warn!(attempt = %id, error = %Chain(&error), "failed to read an attempt");
                time::sleep(backoff.next()).await;
            }
            Err(_) => return None,
        }
    }
}

/// Makes the attempt ready, and stores it before anybody hears of it.
async fn begin(
    home: &Home,
    stage: &Stage,
    dispatch: &Dispatch,
    answers: &Answers,
) -> Result<Attempt, OperationError> {
    let operation = stage.operation(dispatch.task.0, dispatch.retry_number);
    loop {
        let ready = prepare(home, stage, dispatch, answers, operation).await?;
        if let Some(attempt) = keep(home, stage, dispatch, ready).await? {
            return Ok(attempt);
        }
    }
}

/// Stores an attempt that is ready. Returns nothing if its agent was drained meanwhile.
pub(crate) async fn keep(
    home: &Home,
    stage: &Stage,
    dispatch: &Dispatch,
    ready: Ready,
) -> Result<Option<Attempt>, OperationError> {
    let Ready { agent, start } = ready;
    let epoch = start.epoch;
    let attempt = attempt(stage, dispatch, agent, Some(start), Half::new());
    let row = attempt::Attempt {
        id: attempt.id,
        operation: stage.operation(dispatch.task.0, dispatch.retry_number),
        tenant: attempt.agent.tenant.clone(),
        agent: attempt.agent.name.clone(),
        epoch,
        started_at: Timestamp::now(),
        ended_at: None,
        outcome: None,
        watermark: Watermark::default(),
    };
    match home.store.create_attempt(row).await {
        Ok(()) => Ok(Some(attempt)),
        Err(waggoner_store::Error::Drained(_)) => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

fn attempt(
    stage: &Stage,
    dispatch: &Dispatch,
    agent: AgentKey,
    start: Option<Start>,
    half: Half,
) -> Attempt {
    let operation = stage.operation(dispatch.task.0, dispatch.retry_number);
    let id = attempt_id(operation);
    let relationship = dispatch.relationship.as_ref();
    let scene = &stage.scene;
    let origin = Origin {
        execution_id: Some(scene.execution),
        deployment_id: Some(scene.deployment.clone()),
        workflow_id: Some(scene.workflow.clone()),
        node_id: Some(dispatch.node.clone()),
        node_instance_id: Some(
            relationship.map_or(&dispatch.instance, |of| &of.source_instance).clone(),
        ),
        target_id: relationship.map(|of| of.target_instance.clone()),
        operation: Some(dispatch.operation_name.clone()),
        agent: Some(agent.name.clone()),
        attempt_id: Some(id),
        ..Origin::of(scene.tenant.clone())
    };
    let speaker = Speaker { origin: Arc::new(origin), logger: format!("ctx.{operation}") };
    Attempt { id, agent, start, speaker, half }
}

fn failed(error: &waggoner_store::Error) -> OperationError {
    let message = format!("failed to store the attempt: {}", Chain(error));
    warn!(message, "an attempt was not started");
    OperationError::recoverable(message)
}

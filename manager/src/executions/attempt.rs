//! One attempt at an operation, from its task to the outcome that the engine hears of.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::warn;
use waggoner_engine::Dispatch;
use waggoner_store::{attempt, event::Origin};
use waggoner_task::CancellationToken;
use waggoner_types::{Chain, ErrorKind, OperationError, Outcome};

use crate::{
    executions::{
        Stage,
        actor::Happening,
        answers::Answers,
        built_in,
        conversation::{Attempt, Teller, converse},
        evaluate::Viewpoint,
        outcome::heard,
        prepare::{Ready, attempt_id, prepare},
    },
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
    let answers = Answers {
        home: Arc::clone(home),
        stage: Arc::clone(stage),
        viewpoint: Viewpoint::of(dispatch),
    };
    if built_in::has(&dispatch.operation.plugin) {
        drop(teller.started().await);
        let result = built_in::run(home, stage, dispatch, &answers).await;
        return Outcome { result, exit: None };
    }
    // The last manager stored how it ended, and was gone before the execution heard of it.
    let id = attempt_id(stage.operation(dispatch.task.0, dispatch.retry_number));
    if dispatch.again
        && let Ok(held) = home.store.attempt(id).await
        && let Some(outcome) = held.outcome.as_ref().and_then(heard)
    {
        return outcome;
    }
    let attempt = tokio::select! {
        attempt = begin(home, stage, dispatch, &answers) => attempt,
        () = cancel.cancelled() => Err(OperationError::new(
            ErrorKind::Cancelled,
            "ProcessKillCancelled",
            "the operation was cancelled before it was sent to its agent",
        )),
    };
    match attempt {
        Ok(attempt) => converse(home, attempt, &answers, cancel, teller).await,
        Err(error) => failed(error),
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
    let ready = prepare(home, stage, dispatch, answers, operation).await?;
    keep(home, stage, dispatch, ready).await
}

/// Stores an attempt that is ready, or finds it stored.
pub(crate) async fn keep(
    home: &Home,
    stage: &Stage,
    dispatch: &Dispatch,
    ready: Ready,
) -> Result<Attempt, OperationError> {
    let operation = stage.operation(dispatch.task.0, dispatch.retry_number);
    let id = attempt_id(operation);
    let Ready { agent, start } = ready;
    let relationship = dispatch.relationship.as_ref();
    let scene = &stage.scene;
    let mut attempt = Attempt {
        id,
        origin: Arc::new(Origin {
            execution_id: Some(scene.execution),
            deployment_id: Some(scene.deployment.clone()),
            workflow_id: Some(scene.workflow.clone()),
            node_id: Some(dispatch.node.clone()),
            node_instance_id: Some(dispatch.instance.clone()),
            target_id: relationship.map(|of| of.target_instance.clone()),
            operation: Some(dispatch.operation_name.clone()),
            agent: Some(agent.name.clone()),
            attempt_id: Some(id),
            ..Origin::of(scene.tenant.clone())
        }),
        agent,
        start,
        watermark: 0,
        accepted: false,
        begun: None,
    };
    let row = attempt::Attempt {
        id,
        operation,
        tenant: attempt.agent.tenant.clone(),
        agent: attempt.agent.name.clone(),
        epoch: attempt.start.epoch,
        started_at: Timestamp::now(),
        ended_at: None,
        outcome: None,
        watermark: attempt::Watermark::default(),
    };
    match home.store.create_attempt(row).await {
        Ok(()) => Ok(attempt),
        Err(waggoner_store::Error::Exists(_)) => {
            // It was sent before the manager was restarted: the same agent knows more.
            let held = home.store.attempt(id).await.map_err(|error| failed(&error))?;
            attempt.agent.name = held.agent;
            attempt.watermark = held.watermark.upto;
            attempt.accepted = held.watermark.upto > 0;
            Ok(attempt)
        }
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &waggoner_store::Error) -> OperationError {
    let message = format!("failed to store the attempt: {}", Chain(error));
    warn!(message, "an attempt was not started");
    OperationError::recoverable(message)
}

use jiff::SignedDuration;
use serde_json::{Value, json};
use waggoner_types::{
    CancelMode, ErrorKind, ExecutionStatus,
    plan::{Executor, InstanceState},
};

use crate::{
    Dispatch, Effect, Event, Modification, Refusal, Resume, Standing, Task, TaskState,
    testkit::{ALL, Act, PlanBuilder, Sim, T0, all_in, ok, start},
};

mod cancel;
mod failures;
mod looks;
mod order;
mod refusals;
mod resume;

fn chain() -> PlanBuilder {
    PlanBuilder::default().node("host", ALL).node("app", ALL).related(
        "host",
        "contained_in",
        &["preconfigure", "establish", "unlink"],
    )
}

/// Runs a workflow in which all goes well and returns what was called.
fn calls(
    plan: PlanBuilder,
    workflow: &str,
    state: InstanceState,
    parameters: Value,
) -> Vec<String> {
    let plan = plan.build();
    let mut start = start(workflow, &plan, parameters);
    start.instances = all_in(&plan, state);
    let mut sim = Sim::new(&plan, start).unwrap();
    sim.run(ok);
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
    sim.calls
}

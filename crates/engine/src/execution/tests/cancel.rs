use super::*;

#[test]
fn a_cancelled_execution_waits_for_what_is_out() {
    let plan = chain().node("other", ALL).build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.step(Event::Cancel(CancelMode::Cancel));
    assert_eq!(sim.finish, None);
    sim.settle(0, Act::Succeed(Value::Null));
    sim.settle(0, Act::Fail(ErrorKind::Recoverable));
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Cancelled);
    assert_eq!(sim.calls, ["host_1 create", "other_1 create"]);
    assert_eq!(sim.told.last().unwrap(), "'install' workflow execution cancelled");
}

#[test]
fn force_ends_at_once_and_kill_ends_what_is_out() {
    let plan = chain().build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.step(Event::Cancel(CancelMode::Force));
    assert_eq!(sim.finish.as_ref().unwrap().status, ExecutionStatus::Cancelled);
    sim.settle(0, Act::Succeed(Value::Null));
    assert_eq!(sim.calls.len(), 1);

    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.step(Event::Cancel(CancelMode::Kill));
    let killed = |effect: &Effect| matches!(effect, Effect::CancelOperation { .. });
    assert_eq!(sim.effects.iter().filter(|effect| killed(effect)).count(), 1);
    assert_eq!(sim.finish, None);
    // The agent does not answer.
    sim.sleep();
    assert_eq!(sim.now, T0 + SignedDuration::from_secs(15));
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Cancelled);
}

#[test]
fn a_report_about_another_attempt_changes_nothing() {
    let plan = PlanBuilder::default().node("a", &["create"]).build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    let task = sim.out[0].task;
    let before = sim.effects.len();
    sim.step(Event::OperationSucceeded { task, retry_number: 1, result: Value::Null });
    sim.step(Event::OperationSucceeded {
        task: crate::TaskNumber(99),
        retry_number: 0,
        result: Value::Null,
    });
    assert_eq!(sim.effects.len(), before);
    sim.settle(0, Act::Succeed(Value::Null));
    let before = sim.effects.len();
    sim.step(Event::OperationSucceeded { task, retry_number: 0, result: Value::Null });
    assert_eq!(sim.effects.len(), before);
}

#[test]
fn an_execution_that_was_cancelled_between_phases_begins_the_next() {
    let plan = PlanBuilder::default().node("a", &["create", "delete"]).build();
    let mut start = start("reinstall", &plan, json!({}));
    start.instances = all_in(&plan, InstanceState::Started);
    let mut sim = Sim::new(&plan, start).unwrap();
    sim.step(Event::Cancel(CancelMode::Cancel));
    sim.settle(0, Act::Succeed(Value::Null));
    assert_eq!(sim.finish.as_ref().unwrap().status, ExecutionStatus::Cancelled);
    sim.resume(Resume::Unfinished).unwrap();
    assert_eq!(sim.states["a_1"], InstanceState::Creating);
    assert!(sim.told.contains(&"Creating node instance".to_owned()));
    sim.run(ok);
    assert_eq!(sim.calls, ["a_1 delete", "a_1 create"]);
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
}

#[test]
fn a_cancel_ends_only_the_round_of_a_life_that_it_met() {
    let plan = PlanBuilder::default().node("a", &["create"]).build();
    let mut start = start("install", &plan, json!({}));
    start.settings.subgraph_retries = 2;
    let mut sim = Sim::new(&plan, start).unwrap();
    sim.settle(0, Act::Fail(ErrorKind::NonRecoverable));
    sim.step(Event::Cancel(CancelMode::Cancel));
    sim.settle(0, Act::Fail(ErrorKind::NonRecoverable));
    assert_eq!(sim.finish.as_ref().unwrap().status, ExecutionStatus::Cancelled);
    sim.resume(Resume::Unfinished).unwrap();
    sim.crash();
    sim.run(ok);
    assert_eq!(sim.calls, ["a_1 create", "a_1 create", "a_1 create#1"]);
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
}

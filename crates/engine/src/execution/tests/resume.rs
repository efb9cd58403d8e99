use super::*;

#[test]
fn after_a_crash_what_was_sent_is_sent_again_and_what_is_done_is_not() {
    let plan = chain().node("other", &["create"]).build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.settle(0, Act::Succeed(Value::Null));
    sim.settle(0, Act::Fail(ErrorKind::Recoverable));
    sim.crash();
    let again: Vec<_> = sim.out.iter().map(|out| (out.operation_name.clone(), out.again)).collect();
    assert_eq!(again, [("cloudify.interfaces.lifecycle.configure".to_owned(), true)]);
    assert_eq!(sim.wake, Some(T0 + SignedDuration::from_secs(10)));
    sim.run(ok);
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
    assert_eq!(sim.calls.iter().filter(|call| *call == "host_1 create").count(), 1);
    assert_eq!(sim.calls.iter().filter(|call| *call == "other_1 create#1").count(), 1);
}

#[test]
fn a_resumed_execution_runs_what_failed_and_what_is_left() {
    let plan = chain().node("other", &["create", "start"]).build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    let is_bad = |dispatch: &Dispatch| dispatch.instance == "host_1";
    sim.run(
        |dispatch| {
            if is_bad(dispatch) { Act::Fail(ErrorKind::Recoverable) } else { ok(dispatch) }
        },
    );
    let before = sim.calls.len();
    sim.resume(Resume::Unfinished).unwrap();
    assert!(sim.told.contains(&"Resuming 'install' workflow execution".to_owned()));
    // It fails as often as before, and then no more.
    let mut left = 3;
    sim.run(|dispatch| {
        left -= i32::from(is_bad(dispatch));
        if is_bad(dispatch) && left >= 0 { Act::Fail(ErrorKind::Recoverable) } else { ok(dispatch) }
    });
    assert_eq!(sim.finish.as_ref().unwrap().status, ExecutionStatus::Terminated);
    assert_eq!(
        sim.calls[before..before + 5],
        [
            "host_1 delete",
            "host_1 create#3",
            "host_1 create#4",
            "host_1 create#5",
            "host_1 configure"
        ]
    );
    assert!(!sim.calls[before..].iter().any(|call| call.starts_with("other_1")));
    assert!(sim.told.contains(&"Sending task 'p.create' [retry 5/5]".to_owned()));
}

#[test]
fn a_resumed_execution_waits_for_what_is_out_unless_forced() {
    let plan = chain().build();
    for (resume, calls) in [
        (Resume::Unfinished, vec!["host_1 create"]),
        (Resume::Force, vec!["host_1 create", "host_1 delete"]),
    ] {
        let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
        sim.step(Event::Cancel(CancelMode::Force));
        sim.resume(resume).unwrap();
        assert_eq!(sim.calls, calls, "{resume:?}");
        assert_eq!(sim.out.len(), 1);
        sim.run(ok);
        assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
    }
}

#[test]
fn what_a_step_may_have_left_is_cleared_away_at_each_resume() {
    let plan = PlanBuilder::default().node("a", ALL).build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    let fail_start = |dispatch: &Dispatch| {
        let short = dispatch.operation_name.rsplit('.').next().unwrap();
        let is_well = ["create", "configure"].contains(&short);
        if is_well { ok(dispatch) } else { Act::Fail(ErrorKind::NonRecoverable) }
    };
    sim.run(fail_start);
    for _ in 0..2 {
        sim.resume(Resume::Unfinished).unwrap();
        sim.crash();
        sim.run(fail_start);
    }
    sim.resume(Resume::Unfinished).unwrap();
    sim.crash();
    sim.settle(0, Act::Succeed(Value::Null));
    sim.crash();
    sim.run(ok);
    assert_eq!(
        sim.calls[2..],
        [
            "a_1 start",
            "a_1 stop",
            "a_1 start#1",
            "a_1 stop",
            "a_1 start#2",
            "a_1 stop",
            "a_1 start#3",
        ]
    );
    assert_eq!(sim.states["a_1"], InstanceState::Started);
    let told = |text: &str| sim.told.iter().filter(|told| *told == text).count();
    assert_eq!(told("Rolling back prior to resuming install"), 3);
    assert_eq!(told("Finished rolling back, now resuming install"), 3);
}

#[test]
fn a_scaling_that_was_taken_back_is_not_resumed() {
    let plan = PlanBuilder::default().node("a", ALL).build();
    let mut start = start("scale", &plan, json!({"scalable_entity_name": "a"}));
    start.modification = Some(Modification { added: vec!["a_1".to_owned()], removed: Vec::new() });
    let mut sim = Sim::new(&plan, start).unwrap();
    sim.run(|_| Act::Fail(ErrorKind::NonRecoverable));
    let refusal = sim.resume(Resume::Unfinished).unwrap_err();
    let sentence = "failed to resume workflow `scale`: its deployment modification was taken back";
    assert_eq!(refusal.to_string(), sentence);
}

#[test]
fn rows_of_another_graph_are_refused() {
    let plan = chain().build();
    let start = start("install", &plan, json!({}));
    let mut row = Sim::new(&plan, start.clone()).unwrap().rows.into_values().next().unwrap();
    row.task = crate::TaskNumber(4711);
    let restored = crate::Execution::restore(plan, &start, [row]);
    assert!(restored.unwrap_err().to_string().contains("no task 4711"));
}

use super::*;

#[test]
fn a_recoverable_failure_is_tried_again_until_the_limit() {
    let plan = PlanBuilder::default().node("a", &["create"]).build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.run(|_| Act::Fail(ErrorKind::Recoverable));
    assert_eq!(sim.calls, ["a_1 create", "a_1 create#1", "a_1 create#2"]);
    assert_eq!(sim.now, T0 + SignedDuration::from_secs(20));
    assert!(sim.told.contains(&"Task failed 'p.create' -> it broke [retry 2/2]".to_owned()));
    let error =
        "Task failed: p.create (a_1:cloudify.interfaces.lifecycle.create): Error `it broke`";
    let finish = sim.finish.unwrap();
    assert_eq!(finish.status, ExecutionStatus::Failed);
    assert_eq!(finish.error.as_deref(), Some(error));
    assert_eq!(sim.told.last().unwrap(), &format!("'install' workflow execution failed: {error}"));
    assert_eq!(sim.states["a_1"], InstanceState::Creating);
}

#[test]
fn retries_are_counted_and_spaced_as_the_operation_says() {
    for (key, value, kind, attempts, seconds) in [
        ("max_retries", json!(0), ErrorKind::Recoverable, 1, 0),
        ("max_retries", json!(1), ErrorKind::Retry, 2, 10),
        ("retry_interval", json!(0.5), ErrorKind::Recoverable, 3, 1),
        ("retry_interval", json!(3), ErrorKind::NonRecoverable, 1, 0),
    ] {
        let plan = PlanBuilder::default()
            .node("a", &["create"])
            .with("create", key, value.clone())
            .build();
        let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
        sim.run(|_| Act::Fail(kind));
        assert_eq!(sim.calls.len(), attempts, "{key} {value}");
        assert_eq!(sim.now, T0 + SignedDuration::from_secs(seconds), "{key} {value}");
    }
}

#[test]
fn a_wake_that_comes_too_early_is_wished_for_again() {
    let plan = PlanBuilder::default().node("a", &["create"]).build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.settle(0, Act::Fail(ErrorKind::Recoverable));
    let due = sim.wake.take();
    assert_eq!(due, Some(T0 + SignedDuration::from_secs(10)));
    sim.now = T0 + SignedDuration::from_secs(9);
    sim.step(Event::Woken);
    assert_eq!(sim.wake, due);
    assert_eq!(sim.calls.len(), 1);
}

#[test]
fn minus_one_retries_for_ever() {
    let plan = PlanBuilder::default()
        .node("a", &["create"])
        .with("create", "max_retries", json!(-1))
        .build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.run(|dispatch| match dispatch.retry_number {
        500 => Act::Succeed(Value::Null),
        _ => Act::Fail(ErrorKind::Recoverable),
    });
    assert!(sim.told.contains(&"Sending task 'p.create' [retry 500]".to_owned()));
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
}

#[test]
fn a_failure_stops_what_depends_on_it_and_nothing_else() {
    let plan = chain().node("other", &["create", "start"]).build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.run(|dispatch| match dispatch.instance.as_str() {
        "host_1" => Act::Fail(ErrorKind::NonRecoverable),
        _ => Act::Succeed(Value::Null),
    });
    assert_eq!(sim.calls, ["host_1 create", "other_1 create", "other_1 start"]);
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Failed);
    assert_eq!(sim.states["app_1"], InstanceState::Uninitialized);
    assert_eq!(sim.states["other_1"], InstanceState::Started);
}

#[test]
fn long_after_a_failure_nothing_new_is_started() {
    let plan = chain().node("other", &["create", "start"]).build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.settle(0, Act::Fail(ErrorKind::NonRecoverable));
    assert_eq!(sim.wake, Some(T0 + SignedDuration::from_secs(600)));
    sim.sleep();
    assert_eq!(sim.finish, None, "an operation is out");
    sim.settle(0, Act::Succeed(Value::Null));
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Failed);
    assert_eq!(sim.calls, ["host_1 create", "other_1 create"]);
}

#[test]
fn ignored_failures_are_told_and_passed_over() {
    let plan = PlanBuilder::default().node("a", ALL).build();
    let mut start = start("uninstall", &plan, json!({"ignore_failure": true}));
    start.instances = all_in(&plan, InstanceState::Started);
    let mut sim = Sim::new(&plan, start).unwrap();
    sim.run(|_| Act::Fail(ErrorKind::Recoverable));
    assert_eq!(sim.calls, ["a_1 stop", "a_1 delete"]);
    assert!(sim.told.contains(&"Ignoring task p.stop failure".to_owned()));
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
    assert_eq!(sim.states["a_1"], InstanceState::Deleted);
}

#[test]
fn a_life_is_tried_again_as_a_whole() {
    let plan = chain().build();
    let mut start = start("install", &plan, json!({}));
    start.settings.subgraph_retries = 1;
    let mut sim = Sim::new(&plan, start).unwrap();
    let mut starts = 0;
    sim.run(|dispatch| {
        let is_start = dispatch.instance == "host_1"
            && dispatch.operation_name == "cloudify.interfaces.lifecycle.start";
        starts += u32::from(is_start);
        if is_start && starts == 1 { Act::Fail(ErrorKind::NonRecoverable) } else { ok(dispatch) }
    });
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
    let lifecycle: Vec<&str> = sim.calls[..9].iter().map(String::as_str).collect();
    assert_eq!(
        lifecycle,
        [
            "host_1 create",
            "host_1 configure",
            "host_1 start",
            "host_1 stop",
            "host_1 delete",
            "host_1 create",
            "host_1 configure",
            "host_1 start",
            "app_1 create"
        ]
    );
}

#[test]
fn a_life_begins_again_only_when_its_last_operation_is_back() {
    let plan = chain().build();
    let mut start = start("install", &plan, json!({"node_ids": ["app"]}));
    start.settings.subgraph_retries = 1;
    let mut sim = Sim::new(&plan, start).unwrap();
    sim.settle(0, Act::Succeed(Value::Null));
    assert_eq!(sim.out.len(), 2, "both sides preconfigure");
    sim.settle(0, Act::Fail(ErrorKind::NonRecoverable));
    assert_eq!(sim.out.len(), 1);
    sim.crash();
    assert_eq!(sim.out.len(), 1);
    sim.settle(0, Act::Succeed(Value::Null));
    assert_eq!(sim.calls.last().unwrap(), "app_1 stop");
}

#[test]
fn a_life_is_not_tried_again_without_end() {
    let plan = PlanBuilder::default().node("a", &["create"]).build();
    let mut start = start("install", &plan, json!({}));
    start.settings.subgraph_retries = 3;
    let mut sim = Sim::new(&plan, start).unwrap();
    sim.run(|_| Act::Fail(ErrorKind::NonRecoverable));
    assert_eq!(sim.calls.len(), 4);
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Failed);
}

#[test]
fn only_so_many_operations_are_out() {
    let builder = (0..10).fold(PlanBuilder::default(), |plan, at| {
        plan.node(&format!("n{at}"), &["create", "start"])
    });
    let plan = builder.build();
    let mut start = start("install", &plan, json!({}));
    start.settings.max_in_flight = 3;
    let mut sim = Sim::new(&plan, start).unwrap();
    while sim.finish.is_none() {
        assert!(sim.out.len() <= 3 && sim.execution.running() <= 3);
        sim.settle(0, Act::Succeed(Value::Null));
    }
    assert_eq!(sim.calls.len(), 20);
}

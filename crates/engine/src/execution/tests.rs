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

#[test]
fn install_goes_from_the_target_to_the_source() {
    let plan = chain().build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.run(ok);
    assert_eq!(
        sim.calls,
        [
            "host_1 create",
            "host_1 configure",
            "host_1 start",
            "app_1 create",
            "app_1 preconfigure app_1>host_1 source",
            "host_1 preconfigure app_1>host_1 target",
            "app_1 configure",
            "app_1 start",
            "app_1 establish app_1>host_1 source",
            "host_1 establish app_1>host_1 target",
        ]
    );
    assert!(sim.states.values().all(|state| *state == InstanceState::Started));
}

#[test]
fn the_events_of_an_install_are_worded_as_cloudify_words_them() {
    let plan = PlanBuilder::default().node("a", &["create"]).build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.out.clone().iter().for_each(|dispatch| {
        let (task, retry_number) = (dispatch.task, dispatch.retry_number);
        sim.step(Event::OperationStarted { task, retry_number });
    });
    sim.run(|_| Act::Succeed(json!("done")));
    assert_eq!(
        sim.told,
        [
            "Starting 'install' workflow execution",
            "Validating node instance before creation: nothing to do",
            "Precreating node instance: nothing to do",
            "Creating node instance",
            "Sending task 'p.create'",
            "Task started 'p.create'",
            "Task succeeded 'p.create' - done",
            "Node instance created",
            "Configuring node instance: nothing to do",
            "Starting node instance: nothing to do",
            "Poststarting node instance: nothing to do",
            "Node instance started",
            "'install' workflow execution succeeded",
        ]
    );
}

#[test]
fn uninstall_goes_from_the_source_to_the_target() {
    assert_eq!(
        calls(chain(), "uninstall", InstanceState::Started, json!({})),
        [
            "app_1 stop",
            "app_1 unlink app_1>host_1 source",
            "host_1 unlink app_1>host_1 target",
            "app_1 delete",
            "host_1 stop",
            "host_1 delete",
        ]
    );
}

#[test]
fn what_an_instance_has_behind_it_is_not_done_again() {
    use InstanceState::{Configured, Created, Creating, Started, Starting, Uninitialized};
    let plan = || PlanBuilder::default().node("a", ALL);
    for (state, install, uninstall) in [
        (Uninitialized, "create configure start", ""),
        (Creating, "create configure start", "stop delete"),
        (Created, "configure start", "stop delete"),
        (Configured, "start", "delete"),
        (Starting, "start", "stop delete"),
        (Started, "", "stop delete"),
        (InstanceState::Stopped, "create configure start", "delete"),
        (InstanceState::Deleted, "create configure start", ""),
    ] {
        let short = |workflow: &str| {
            let calls = calls(plan(), workflow, state, json!({}));
            let names: Vec<&str> = calls.iter().map(|call| &call["a_1 ".len()..]).collect();
            names.join(" ")
        };
        assert_eq!(short("install"), install, "install from {state}");
        assert_eq!(short("uninstall"), uninstall, "uninstall from {state}");
    }
}

#[test]
fn reinstall_decides_by_the_states_that_uninstall_left() {
    assert_eq!(
        calls(
            PlanBuilder::default().node("a", &["create", "delete"]),
            "reinstall",
            InstanceState::Started,
            json!({})
        ),
        ["a_1 delete", "a_1 create"]
    );
}

#[test]
fn what_stays_is_related_again_to_what_comes() {
    let plan = || chain().node("other", ALL);
    assert_eq!(
        calls(plan(), "install", InstanceState::Uninitialized, json!({"node_ids": ["host"]})),
        [
            "host_1 create",
            "host_1 configure",
            "host_1 start",
            "app_1 establish app_1>host_1 source",
            "host_1 establish app_1>host_1 target",
        ]
    );
    assert_eq!(
        calls(plan(), "uninstall", InstanceState::Started, json!({"node_ids": ["host"]})),
        [
            "app_1 unlink app_1>host_1 source",
            "host_1 unlink app_1>host_1 target",
            "host_1 stop",
            "host_1 delete"
        ]
    );
}

#[test]
fn a_host_brings_and_takes_its_agent() {
    let agent = |name: &str| format!("cloudify.interfaces.cloudify_agent.{name}");
    let operations = [
        "start".to_owned(),
        "stop".to_owned(),
        "cloudify.interfaces.host.get_state".to_owned(),
        agent("create"),
        agent("start"),
        agent("stop"),
        agent("stop_amqp"),
        agent("delete"),
        "cloudify.interfaces.monitoring_agent.install".to_owned(),
    ];
    let operations: Vec<&str> = operations.iter().map(String::as_str).collect();
    for (properties, install, uninstall) in [
        (json!({"install_agent": false}), "start get_state install", "stop"),
        (
            json!({"agent_config": {"install_method": "remote"}}),
            "start get_state create install",
            "stop delete stop",
        ),
        (
            json!({"agent_config": {"install_method": "init_script"}}),
            "start get_state create start install",
            "stop_amqp delete stop",
        ),
        (
            json!({"agent_config": {"install_method": "provided"}}),
            "start get_state create install",
            "stop_amqp delete stop",
        ),
    ] {
        let run = |workflow: &str, state| {
            let plan = PlanBuilder::default()
                .node_of("vm", "cloudify.nodes.Compute", &operations, &properties)
                .build();
            let mut start = start(workflow, &plan, json!({}));
            start.instances = all_in(&plan, state);
            let mut sim = Sim::new(&plan, start).unwrap();
            sim.run(|_| Act::Succeed(json!(true)));
            let names = sim.calls.iter().map(|call| call["vm_1 ".len()..].to_owned());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(run("install", InstanceState::Uninitialized), install, "{properties}");
        assert_eq!(run("uninstall", InstanceState::Started), uninstall, "{properties}");
    }
}

#[test]
fn a_host_is_asked_until_it_is_up_whatever_the_limit() {
    let plan = PlanBuilder::default()
        .node_of(
            "vm",
            "cloudify.nodes.Compute",
            &["cloudify.interfaces.host.get_state"],
            &json!({"install_agent": false}),
        )
        .with("cloudify.interfaces.host.get_state", "max_retries", json!(0))
        .build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    sim.run(|dispatch| Act::Succeed(json!(dispatch.retry_number == 7)));
    assert_eq!(sim.calls.last().unwrap(), "vm_1 get_state#7");
    assert_eq!(sim.now, T0 + SignedDuration::from_secs(70));
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
}

#[test]
fn an_operation_named_by_a_relationship_is_all_that_is_waited_for() {
    let plan = PlanBuilder::default()
        .node("early", ALL)
        .node("late", &["create"])
        .related("early", "depends_on_lifecycle_operation", &[])
        .property("operation", json!("create"))
        .build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    assert_eq!(sim.calls, ["early_1 create"]);
    sim.settle(0, Act::Succeed(Value::Null));
    assert_eq!(sim.calls, ["early_1 create", "early_1 configure", "late_1 create"]);
}

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
fn a_dry_run_tells_all_and_does_nothing() {
    let plan = chain().build();
    let mut start = start("install", &plan, json!({}));
    start.settings.dry_run = true;
    let sim = Sim::new(&plan, start).unwrap();
    assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Terminated);
    assert!(sim.calls.is_empty());
    assert!(sim.told.contains(&"Task succeeded 'p.create' (dry run)".to_owned()));
    assert!(sim.states.values().all(|state| *state == InstanceState::Uninitialized));
}

#[test]
fn a_dispatch_says_where_and_with_what() {
    let plan = PlanBuilder::default()
        .node("a", &["create"])
        .with("create", "inputs", json!({"x": 1, "y": 2}))
        .with("create", "executor", json!("auto"))
        .build();
    let parameters = json!({
        "operation": "cloudify.interfaces.lifecycle.create",
        "operation_kwargs": {"y": 3, "z": 4},
        "allow_kwargs_override": true
    });
    let mut start = start("execute_operation", &plan, parameters);
    for (host, executor) in
        [(None, Executor::CentralDeploymentAgent), (Some("h_1"), Executor::HostAgent)]
    {
        start.instances[0].host_id = host.map(str::to_owned);
        let sim = Sim::new(&plan, start.clone()).unwrap();
        let dispatch = &sim.out[0];
        assert_eq!(dispatch.executor, executor);
        assert_eq!(dispatch.host.as_deref(), host);
        assert_eq!(
            Value::Object(dispatch.operation.inputs.clone()),
            json!({"x": 1, "y": 3, "z": 4})
        );
        assert_eq!(dispatch.total_retries, 2);
    }
}

#[test]
fn execute_operation_takes_only_whom_the_filters_let_through() {
    let plan = || {
        chain().node_of("vm", "cloudify.nodes.Compute", &["start"], &json!({})).related(
            "app",
            "depends_on",
            &[],
        )
    };
    let run = |parameters: Value| {
        let mut given = json!({"operation": "cloudify.interfaces.lifecycle.start"});
        given.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        let mut calls = calls(plan(), "execute_operation", InstanceState::Started, given);
        calls.sort();
        calls.join(", ")
    };
    for (parameters, expected) in [
        (json!({}), "app_1 start, host_1 start, vm_1 start"),
        (json!({"node_ids": ["app"]}), "app_1 start"),
        (json!({"node_instance_ids": ["host_1", "vm_1"]}), "host_1 start, vm_1 start"),
        (json!({"type_names": ["cloudify.nodes.Compute"]}), "vm_1 start"),
        (json!({"type_names": ["cloudify.nodes.Root"], "node_ids": ["vm"]}), "vm_1 start"),
        (json!({"type_names": ["cloudify.nodes.Compute"], "node_ids": ["app"]}), ""),
    ] {
        assert_eq!(run(parameters.clone()), expected, "{parameters}");
    }
}

#[test]
fn dependency_order_goes_through_those_that_are_left_out() {
    let plan = PlanBuilder::default()
        .node("c", ALL)
        .node("b", ALL)
        .related("c", "depends_on", &[])
        .node("a", ALL)
        .related("b", "depends_on", &[])
        .build();
    let parameters = json!({
        "operation": "cloudify.interfaces.lifecycle.stop",
        "node_ids": ["a", "c"],
        "run_by_dependency_order": true
    });
    let mut sim = Sim::new(&plan, start("execute_operation", &plan, parameters)).unwrap();
    assert_eq!(sim.calls, ["c_1 stop"]);
    sim.run(ok);
    assert_eq!(sim.calls, ["c_1 stop", "a_1 stop"]);
}

#[test]
fn restart_stops_all_before_it_starts_any() {
    let plan =
        || PlanBuilder::default().node("a", &["start", "stop"]).node("b", &["start", "stop"]);
    assert_eq!(
        calls(plan(), "restart", InstanceState::Started, json!({})),
        ["a_1 stop", "b_1 stop", "a_1 start", "b_1 start"]
    );
}

#[test]
fn a_wrong_start_is_refused_with_a_sentence() {
    let plan = chain().with("create", "inputs", json!({"x": 1})).build();
    let create = "cloudify.interfaces.lifecycle.create";
    for (workflow, parameters, sentence) in [
        (
            "instal",
            json!({}),
            "failed to start workflow `instal`: the deployment has no such workflow; did you mean `install`?",
        ),
        (
            "install",
            json!({"node_ids": "app"}),
            "parameter `node_ids` has to be a list of names, but the string `app` was given",
        ),
        (
            "install",
            json!({"node_ids": [1]}),
            "parameter `node_ids` has to be a list of names, but the number `1` was given",
        ),
        (
            "install",
            json!({"node_ids": ["ap"]}),
            "parameter `node_ids` names the node `ap`, which the deployment does not have; did you mean `app`? there are `app`, `host`",
        ),
        (
            "install",
            json!({"node_instance_ids": ["app"]}),
            "the node instance `app`, which the deployment does not have; there are `app_1`, `host_1`",
        ),
        (
            "install",
            json!({"nodes": []}),
            "it has no parameter `nodes`; there are `node_ids`, `node_instance_ids`, `type_names`",
        ),
        (
            "uninstall",
            json!({"ignore_failure": "yes"}),
            "parameter `ignore_failure` has to be true or false, but the string `yes` was given",
        ),
        ("execute_operation", json!({}), "it must be given `operation`"),
        (
            "execute_operation",
            json!({"operation": "cloudify.interfaces.lifecycle.creat"}),
            "did you mean `cloudify.interfaces.lifecycle.create`?",
        ),
        (
            "execute_operation",
            json!({"operation": create, "operation_kwargs": []}),
            "parameter `operation_kwargs` has to be a dictionary, but a list was given",
        ),
        (
            "execute_operation",
            json!({"operation": create, "operation_kwargs": {"x": 2}}),
            "input `x` of operation `cloudify.interfaces.lifecycle.create` of node `app` is set in the blueprint",
        ),
    ] {
        let Err(refusal) = Sim::new(&plan, start(workflow, &plan, parameters.clone())) else {
            panic!("{workflow} {parameters} was accepted");
        };
        let text = refusal.to_string();
        assert!(text.contains(sentence), "{text}\n does not say\n{sentence}");
    }
}

#[test]
fn declared_parameters_are_merged_and_checked() {
    let plan = json!({
        "workflows": {
            "mine": {"operation": "cloudify.plugins.workflows.uninstall", "parameters": {
                "ignore_failure": {"default": false, "type": "boolean"},
                "count": {"type": "integer"}
            }},
            "foreign": {"operation": "my_plugin.workflows.do_it"}
        }
    });
    let plan = std::sync::Arc::new(serde_json::from_value(plan).unwrap());
    let try_it = |workflow, parameters| Sim::new(&plan, start(workflow, &plan, parameters));
    assert!(try_it("mine", json!({"ignore_failure": "True", "count": "3"})).is_ok());
    assert!(matches!(
        try_it("mine", json!({})).map(|_| ()),
        Err(Refusal::MissingParameters { parameters, .. }) if parameters == ["count"]
    ));
    assert!(matches!(
        try_it("mine", json!({"count": "three"})).map(|_| ()),
        Err(Refusal::WrongType { .. })
    ));
    assert!(matches!(
        try_it("foreign", json!({})).map(|_| ()),
        Err(Refusal::NotBuiltIn { mapping, .. }) if mapping == "my_plugin.workflows.do_it"
    ));
}

#[test]
fn a_circle_of_relationships_is_refused_with_its_members() {
    let plan = json!({
        "nodes": [
            {"id": "a", "relationships": [{"target_id": "b"}]},
            {"id": "b", "relationships": [{"target_id": "a"}]},
            {"id": "c", "relationships": [{"target_id": "b"}]}
        ],
        "node_instances": [
            {"id": "a_1", "node_id": "a", "relationships": [{"target_id": "b_1", "target_name": "b"}]},
            {"id": "b_1", "node_id": "b", "relationships": [{"target_id": "a_1", "target_name": "a"}]},
            {"id": "c_1", "node_id": "c", "relationships": [{"target_id": "b_1", "target_name": "b"}]}
        ]
    });
    let plan = std::sync::Arc::new(serde_json::from_value(plan).unwrap());
    let Err(Refusal::Cycle { mut instances, .. }) =
        Sim::new(&plan, start("install", &plan, json!({}))).map(|_| ())
    else {
        panic!("a circle was accepted");
    };
    instances.sort();
    assert_eq!(instances, ["a_1", "b_1"]);
}

#[test]
fn an_instance_of_no_node_and_a_relationship_to_nothing_are_refused() {
    for (plan, sentence) in [
        (
            json!({"node_instances": [{"id": "a_1", "node_id": "a"}]}),
            "node instance `a_1` is of node `a`, which the plan does not have",
        ),
        (
            json!({"nodes": [{"id": "a"}], "node_instances": [
                {"id": "a_1", "node_id": "a", "relationships": [{"target_id": "b_1"}]}]}),
            "node instance `a_1` is related to `b_1`, which does not exist",
        ),
    ] {
        let plan = std::sync::Arc::new(serde_json::from_value(plan).unwrap());
        let refusal = Sim::new(&plan, start("install", &plan, json!({}))).map(|_| ()).unwrap_err();
        assert!(refusal.to_string().contains(sentence), "{refusal}");
    }
}

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

#[test]
fn an_explanation_says_what_waits_for_what() {
    let plan = chain().node("other", &["create", "start"]).build();
    let mut start = start("install", &plan, json!({}));
    start.settings.max_in_flight = 1;
    let mut sim = Sim::new(&plan, start).unwrap();
    sim.settle(0, Act::Fail(ErrorKind::Recoverable));
    let told: Vec<String> = sim
        .execution
        .explain()
        .lines
        .iter()
        .map(|line| {
            let short = line.operation.rsplit('.').next().unwrap();
            let standing = match &line.standing {
                Standing::Running { state: TaskState::Sent, since } if *since == T0 => {
                    "sent".to_owned()
                }
                Standing::Retry { not_before } => format!("retry at {not_before}"),
                Standing::Waits { tasks } => format!("waits for {}", tasks.len()),
                other => format!("{other:?}"),
            };
            format!("{} {short}: {standing}", line.instance)
        })
        .collect();
    assert_eq!(told[0], "host_1 create: retry at 1970-01-01T00:00:10Z");
    assert_eq!(told[1], "host_1 configure: waits for 1");
    assert!(told.contains(&"app_1 configure: waits for 2".to_owned()), "{told:#?}");
    assert!(told.contains(&"other_1 create: sent".to_owned()));
}

#[test]
fn a_drawing_has_what_is_done_and_what_is_not() {
    let plan = chain().build();
    let mut sim = Sim::new(&plan, start("install", &plan, json!({}))).unwrap();
    let draw = |sim: &Sim| -> Vec<String> {
        let tasks = sim.execution.tasks();
        let places: Vec<_> = tasks.iter().map(|task| task.number).collect();
        let place = |number| places.iter().position(|place| *place == number).unwrap();
        let line = |task: &Task| {
            let after: Vec<usize> = task.after.iter().map(|number| place(*number)).collect();
            let short = task.operation.rsplit('.').next().unwrap();
            format!("{} {short} {} {after:?}", task.instance, task.state)
        };
        tasks.iter().map(line).collect()
    };
    sim.settle(0, Act::Succeed(Value::Null));
    let expected = [
        "host_1 create succeeded []",
        "host_1 configure sent [0]",
        "host_1 start pending [1]",
        "app_1 create pending [2]",
        "app_1 preconfigure pending [3]",
        "host_1 preconfigure pending [3]",
        "app_1 configure pending [4, 5]",
        "app_1 start pending [6]",
        "app_1 establish pending [7]",
        "host_1 establish pending [7]",
    ];
    assert_eq!(draw(&sim), expected);
    sim.crash();
    assert_eq!(draw(&sim), expected);
}

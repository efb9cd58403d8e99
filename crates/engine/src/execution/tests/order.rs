use super::*;

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

use super::*;

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
    // What cannot be run is not offered.
    let said = try_it("forein", json!({})).map(|_| ()).unwrap_err().to_string();
    assert!(!said.contains("`foreign`") && said.contains("`mine`"), "{said}");
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

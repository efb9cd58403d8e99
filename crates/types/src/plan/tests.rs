use serde_json::json;

use super::{Executor, InstanceState, Plan};

#[test]
fn a_plan_is_read_with_nulls_and_unknown_keys() {
    let plan: Plan = serde_json::from_value(json!({
        "nodes": [{
            "id": "web", "name": "web", "type": "my.Web",
            "type_hierarchy": ["cloudify.nodes.Root", "my.Web"],
            "properties": null,
            "operations": {
                "create": {
                    "plugin": "p", "operation": "p.create", "inputs": {"a": 1},
                    "executor": "host_agent", "max_retries": null, "retry_interval": 1,
                    "timeout": null, "timeout_recoverable": null, "has_intrinsic_functions": true
                },
                "start": {"plugin": "", "operation": "", "executor": null}
            },
            "relationships": null,
            "invented": 1
        }],
        "node_instances": [
            {"id": "web_1", "name": "web", "node_id": "web",
             "relationships": [{"type": "t", "target_name": "host", "target_id": "host_1"}]},
            {"id": "web_2", "name": "web", "state": "started"}
        ],
        "workflows": {"w": {"plugin": "p", "operation": "p.w", "parameters": {
            "given": {"default": null}, "wanted": {"type": "list"}
        }}},
        "policies": null
    }))
    .unwrap();

    let node = &plan.nodes[0];
    assert!(node.is_a("cloudify.nodes.Root"));
    assert_eq!(node.operation("create").unwrap().executor, Some(Executor::HostAgent));
    assert_eq!(node.operation("create").unwrap().retry_interval, Some(1.0));
    assert_eq!(node.operation("start"), None);
    assert_eq!(node.capabilities.scalable.properties.max_instances, -1);
    assert_eq!(plan.node_instances[0].relationships[0].target_id, "host_1");
    assert_eq!(plan.node_instances[1].node_id, "web");
    assert_eq!(plan.node_instances[1].state, InstanceState::Started);
    let parameters = &plan.workflows["w"].parameters;
    assert_eq!(parameters["given"].default, Some(serde_json::Value::Null));
    assert_eq!(parameters["wanted"].default, None);
}

#[test]
fn what_is_written_is_read_again() {
    let plan: Plan = serde_json::from_value(json!({
        "nodes": [{"id": "a", "relationships": [{"target_id": "b", "type": "t"}]}, {"id": "b"}],
        "node_instances": [{"id": "a_1", "node_id": "a", "state": "creating"}],
        "workflows": {"w": {"parameters": {"p": {"default": null}, "q": {}}}}
    }))
    .unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

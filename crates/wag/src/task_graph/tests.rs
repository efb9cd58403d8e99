use waggoner_proto::v1::{ExecutionTask, GetExecutionGraphResponse};

use super::TaskGraph;

fn graph() -> TaskGraph {
    let task = |number, instance: &str, name: &str, state: &str, after: &[u64]| ExecutionTask {
        number,
        node_instance_id: instance.to_owned(),
        operation: format!("cloudify.interfaces.lifecycle.{name}"),
        state: state.to_owned(),
        after: after.to_vec(),
        ..ExecutionTask::default()
    };
    let tasks = vec![
        task(2, "net_1", "create", "succeeded", &[]),
        task(5, "vm_1", "create", "failed", &[2]),
        task(9, "vm_<2>", "create", "started", &[2]),
        ExecutionTask { retry_number: 1, ..task(12, "app_1", "start", "pending", &[5, 9]) },
    ];
    TaskGraph::of(&GetExecutionGraphResponse { execution: None, tasks })
}

#[test]
fn text_has_a_line_for_each_operation_behind_what_comes_before_it() {
    let text = anstream::adapter::strip_str(&graph().text()).to_string();
    assert_eq!(
        text,
        "#2  ✓ net_1.create\n\
         #5  ✗ vm_1.create failed after #2\n\
         #9  ▶ vm_<2>.create started after #2\n\
         #12 · app_1.start (retry 1) after #5 #9\n"
    );
}

#[test]
fn svg_draws_each_operation_once_and_each_order_once() {
    let svg = graph().svg();
    for (what, count) in [
        ("<path d=", 4),
        ("class=\"succeeded\"", 1),
        ("class=\"failed\"", 1),
        ("class=\"started\"", 1),
        ("class=\"pending\"", 1),
        ("vm_&lt;2&gt;.create", 1),
    ] {
        assert_eq!(svg.matches(what).count(), count, "{what}: {svg}");
    }
}

use super::*;

fn deployment(started: u32) -> Deployment {
    Deployment {
        node_instances: 2,
        node_instances_started: started,
        inputs_json: r#"{"a": 1, "b": [1, {"c": 2}]}"#.to_owned(),
        ..Deployment::default()
    }
}

fn execution(workflow: &str, status: ExecutionStatus) -> Execution {
    let mut execution = Execution { workflow_id: workflow.to_owned(), ..Execution::default() };
    execution.set_status(status);
    execution
}

#[test]
fn the_last_install_or_uninstall_decides() {
    use ExecutionStatus::{Cancelled, Failed, Started, Terminated};
    let word = |started, executions: &[(&str, ExecutionStatus)]| {
        let executions = executions.iter().map(|(name, status)| execution(name, *status));
        match decide(deployment(started), executions.collect()) {
            Standing::Installed(..) => "installed",
            Standing::Installing(..) => "installing",
            Standing::Partial(_) => "partial",
            Standing::Absent => "absent",
        }
    };
    assert_eq!(word(0, &[]), "partial");
    assert_eq!(word(2, &[]), "installed");
    assert_eq!(word(1, &[("install", Started)]), "installing");
    assert_eq!(word(2, &[("install", Terminated)]), "installed");
    assert_eq!(word(2, &[("heal", Failed), ("install", Terminated)]), "installed");
    assert_eq!(word(1, &[("heal", Failed), ("install", Terminated)]), "partial");
    assert_eq!(word(1, &[("install", Failed)]), "partial");
    assert_eq!(word(1, &[("install", Cancelled)]), "partial");
    assert_eq!(word(0, &[("uninstall", Terminated), ("install", Terminated)]), "partial");
}

#[test]
fn inputs_that_were_not_named_do_not_differ() {
    let holds = |inputs: &str| holds(&deployment(0), inputs);
    assert!(holds("{}"));
    assert!(holds(r#"{"b": [1, {"c": 2}]}"#));
    assert!(!holds(r#"{"a": "1"}"#));
    assert!(!holds(r#"{"z": 1}"#));
}

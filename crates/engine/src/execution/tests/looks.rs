use super::*;

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

use rusqlite::{Connection, params_from_iter};
use uuid::Uuid;
use waggoner_types::{DeploymentId, ExecutionId, LogLevel};

use super::{EventFilter, select};
use crate::schema;

#[test]
fn events_are_read_in_order_from_the_narrowest_index() {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection).unwrap();
    let execution = Some(ExecutionId(Uuid::nil()));
    let deployment = Some("d".parse::<DeploymentId>().unwrap());
    let cases = [
        (None, None, "events_by_tenant"),
        (None, deployment.clone(), "events_by_deployment"),
        (execution, None, "events_by_execution"),
        (execution, deployment, "events_by_execution"),
    ];
    for (execution_id, deployment_id, index) in cases {
        let filter = EventFilter {
            execution_id,
            deployment_id,
            node_instance_id: Some("vm_1".to_owned()),
            no_logs: true,
            min_level: Some(LogLevel::Info),
        };
        let (query, parameters) = select(&"t".parse().unwrap(), &filter, 7, 10);
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let plan: Vec<String> = explain
            .query_map(params_from_iter(parameters), |row| row.get("detail"))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(plan.len(), 1, "{plan:?}");
        assert!(plan[0].contains(index) && plan[0].contains("rowid>?"), "{plan:?}");
    }
}

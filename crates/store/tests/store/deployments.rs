use serde_json::{Map, Value, json};
use waggoner_store::{
    Deletion, Error, Kind, PageRequest,
    advance::{Advance, StatusChange},
    instance::{InstanceChange, InstanceUpdate, UpdateError},
};
use waggoner_types::{DeploymentId, ExecutionStatus, plan::InstanceState};

use crate::scene::{Scene, at, deployment, execution, instance, new, tenant};

fn d() -> DeploymentId {
    "d".parse().unwrap()
}

fn properties(value: &Value) -> Option<Map<String, Value>> {
    value.as_object().cloned()
}

fn update(version: i64, runtime_properties: &Value) -> InstanceUpdate {
    InstanceUpdate {
        tenant: tenant(),
        id: "vm_1".to_owned(),
        version,
        force: false,
        runtime_properties: properties(runtime_properties),
        state: None,
        system_properties: None,
    }
}

#[tokio::test]
async fn a_deployment_counts_its_instances_and_keeps_every_digit() {
    let Scene { store, directory: _directory } = Scene::new().await.with_deployment().await;
    let stored = store.deployment(tenant(), d()).await.unwrap();
    assert_eq!((stored.node_instances, stored.node_instances_started), (2, 0));
    assert_eq!(stored.inputs["big"], json!(9_007_199_254_740_993_i64));
    assert_eq!(stored.workflows, ["install"]);
    let plan = store.deployment_plan(tenant(), d()).await.unwrap();
    assert_eq!(plan, json!({"node_instances": []}));

    let started = InstanceUpdate { state: Some(InstanceState::Started), ..update(1, &Value::Null) };
    store.update_node_instance(started).await.unwrap();
    let page = PageRequest::default();
    let listed = store.deployments(tenant(), Some("b".parse().unwrap()), &page).await.unwrap();
    assert_eq!(listed.items[0].node_instances_started, 1);
    let none = store.deployments(tenant(), Some("c".parse().unwrap()), &page).await.unwrap();
    assert_eq!(none.items, []);
}

#[tokio::test]
async fn a_deployment_that_cannot_be_stored_whole_leaves_nothing() {
    let Scene { store, directory: _directory } = Scene::new().await.with_deployment().await;
    let clash = deployment("e", &["new_1", "vm_1"]);
    let refused = store.create_deployment(clash).await.unwrap_err();
    assert!(matches!(&refused, Error::Exists(thing) if thing.kind == Kind::NodeInstance));
    assert!(store.deployment(tenant(), "e".parse().unwrap()).await.is_err());
    assert!(store.node_instance(tenant(), "new_1".to_owned()).await.is_err());
}

#[tokio::test]
async fn instances_are_listed_by_node_and_index() {
    let Scene { store, directory: _directory } = Scene::new().await.with_deployment().await;
    let mut many = deployment("e", &[]);
    many.instances = (1..=12).rev().map(|n| instance("e", &format!("x_{n:02}"), n)).collect();
    store.create_deployment(many).await.unwrap();

    let mut indexes = Vec::new();
    let mut request = PageRequest::new(5, "");
    loop {
        let e = Some("e".parse().unwrap());
        let page = store.node_instances(tenant(), e, None, &request).await.unwrap();
        indexes.extend(page.items.iter().map(|instance| instance.index));
        let Some(next) = page.next else { break };
        request = PageRequest::new(5, next);
    }
    assert_eq!(indexes, (1..=12).collect::<Vec<_>>());

    let whole = PageRequest::default();
    let of_node = store.node_instances(tenant(), None, Some("vm".to_owned()), &whole);
    assert_eq!(of_node.await.unwrap().items.len(), 14);
    let two = store.all_node_instances(tenant(), d()).await.unwrap();
    assert_eq!(two, [instance("d", "vm_1", 1), instance("d", "vm_2", 2)]);
}

#[tokio::test]
async fn a_stale_update_is_refused_with_the_stored_row_and_changes_nothing() {
    let Scene { store, directory: _directory } = Scene::new().await.with_deployment().await;
    let first = store.update_node_instance(update(1, &json!({"ip": "10.0.0.1"}))).await.unwrap();
    assert_eq!(first.version, 2);
    let same = store.update_node_instance(update(2, &json!({"ip": "10.0.0.1"}))).await.unwrap();
    assert_eq!(same.version, 2);

    let stale = InstanceUpdate {
        state: Some(InstanceState::Started),
        ..update(1, &json!({"ip": "10.0.0.2"}))
    };
    match store.update_node_instance(stale.clone()).await {
        Err(error @ UpdateError::Conflict { .. }) => {
            let text = error.to_string();
            assert!(text.contains("`vm_1`") && text.contains("they differ in `ip`"), "{text}");
            let UpdateError::Conflict { stored, sent: 1, keys } = error else { unreachable!() };
            assert_eq!((*stored, keys), (first.clone(), vec!["ip".to_owned()]));
        }
        other => panic!("{other:?}"),
    }
    let stored = store.node_instance(tenant(), "vm_1".to_owned()).await.unwrap();
    assert_eq!(stored, first);

    let forced = InstanceUpdate { force: true, ..stale };
    let forced = store.update_node_instance(forced).await.unwrap();
    assert_eq!((forced.version, forced.state), (3, InstanceState::Started));
}

#[tokio::test]
async fn a_deployment_with_a_running_execution_or_live_instances_stays() {
    let Scene { store, directory: _directory } = Scene::new().await.with_deployment().await;
    let running = execution(1);
    store.create_execution(new(running.clone())).await.unwrap();
    let delete = |deletion| store.delete_deployment(tenant(), d(), deletion);

    let refused = delete(Deletion::Forced).await.unwrap_err();
    assert!(matches!(&refused, Error::InUse { by, .. } if by.kind == Kind::Execution), "{refused}");

    let ended = Advance {
        status: Some(StatusChange { status: ExecutionStatus::Terminated, error: None }),
        instances: vec![InstanceChange {
            id: "vm_2".to_owned(),
            state: Some(InstanceState::Started),
            ..InstanceChange::default()
        }],
        ..Advance::new(running.id, at(9))
    };
    store.advance(ended).await.unwrap();
    let refused = delete(Deletion::IfUnused).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the deployment `d` in the tenant `t` is in use by the node instance `vm_2`: uninstall it \
         first"
    );
    delete(Deletion::Forced).await.unwrap();
    assert!(store.node_instance(tenant(), "vm_1".to_owned()).await.is_err());
    assert!(store.execution(tenant(), running.id).await.is_err());
}

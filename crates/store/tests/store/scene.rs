//! A store with something in it.

use camino_tempfile::{Utf8TempDir, tempdir};
use jiff::Timestamp;
use serde_json::{Map, json};
use uuid::Uuid;
use waggoner_store::{
    Store,
    attempt::{Attempt, Watermark},
    blueprint::Blueprint,
    deployment::NewDeployment,
    execution::{Execution, NewExecution, Operation},
    instance::NodeInstance,
    plugin::{Plugin, PluginYaml},
};
use waggoner_types::{
    AttemptId, Digest, ExecutionId, OperationId, PluginId, TenantName,
    plan::{InstanceRelationship, InstanceState, ScalingGroupInstance},
};

/// A store in a directory of its own, with the tenant `t`.
pub(crate) struct Scene {
    pub(crate) directory: Utf8TempDir,
    pub(crate) store: Store,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let directory = tempdir().unwrap();
        let store = Store::open(directory.path().join("data")).await.unwrap();
        store.create_tenant(tenant(), at(0)).await.unwrap();
        Self { directory, store }
    }

    /// Closes the store and opens it again.
    pub(crate) async fn reopened(self) -> Self {
        let Self { directory, store } = self;
        drop(store);
        let store = Store::open(directory.path().join("data")).await.unwrap();
        Self { directory, store }
    }

    /// Adds the blueprint `b` and the deployment `d` with the node instances `vm_1` and `vm_2`.
    pub(crate) async fn with_deployment(self) -> Self {
        self.store.create_blueprint(blueprint("b", &[]), json!({"nodes": []})).await.unwrap();
        self.store.create_deployment(deployment("d", &["vm_1", "vm_2"])).await.unwrap();
        self
    }

    /// Adds a running execution of `d`.
    pub(crate) async fn with_execution(self) -> (Self, Execution) {
        let scene = self.with_deployment().await;
        let execution = execution(1);
        scene.store.create_execution(new(execution.clone())).await.unwrap();
        (scene, execution)
    }
}

pub(crate) fn tenant() -> TenantName {
    "t".parse().unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) const fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

pub(crate) fn plugin(number: u128, version: &str) -> Plugin {
    Plugin {
        id: PluginId(id(number)),
        tenant: tenant(),
        title: "title".to_owned(),
        package_name: "p".to_owned(),
        package_version: version.to_owned(),
        supported_platform: "any".to_owned(),
        distribution: String::new(),
        distribution_version: String::new(),
        distribution_release: String::new(),
        supported_python_versions: vec!["py311".to_owned()],
        wheels: vec!["p-1-py3-none-any.whl".to_owned()],
        archive_name: "p.wgn".to_owned(),
        digest: digest(1),
        size: 12,
        uploaded_at: at(1),
        yamls: vec![PluginYaml { name: "plugin.yaml".to_owned(), text: "plugins: {}".to_owned() }],
    }
}

pub(crate) fn blueprint(id: &str, plugins: &[PluginId]) -> Blueprint {
    Blueprint {
        tenant: tenant(),
        id: id.parse().unwrap(),
        description: "a blueprint".to_owned(),
        main_file: "blueprint.yaml".to_owned(),
        digest: digest(2),
        created_at: at(2),
        plugins: plugins.to_vec(),
    }
}

pub(crate) fn instance(deployment: &str, id: &str, index: u32) -> NodeInstance {
    NodeInstance {
        tenant: tenant(),
        deployment_id: deployment.parse().unwrap(),
        id: id.to_owned(),
        node_id: "vm".to_owned(),
        host_id: Some(id.to_owned()),
        index,
        state: InstanceState::Uninitialized,
        version: 1,
        runtime_properties: Map::new(),
        system_properties: Map::from_iter([("status".to_owned(), json!({}))]),
        relationships: vec![InstanceRelationship {
            target_id: "net_1".to_owned(),
            target_name: "net".to_owned(),
            type_: "cloudify.relationships.connected_to".to_owned(),
        }],
        scaling_groups: vec![ScalingGroupInstance {
            id: "group_1".to_owned(),
            name: "group".to_owned(),
        }],
    }
}

pub(crate) fn deployment(id: &str, instances: &[&str]) -> NewDeployment {
    NewDeployment {
        tenant: tenant(),
        id: id.parse().unwrap(),
        blueprint_id: "b".parse().unwrap(),
        created_at: at(3),
        inputs: json!({"big": 9_007_199_254_740_993_i64}),
        workflows: vec!["install".to_owned()],
        plan: json!({"node_instances": []}),
        instances: (1..).zip(instances).map(|(index, name)| instance(id, name, index)).collect(),
    }
}

pub(crate) fn execution(number: u128) -> Execution {
    let deployment = "d".parse().unwrap();
    Execution::new(ExecutionId(id(number)), tenant(), deployment, "install", at(4))
}

pub(crate) fn new(execution: Execution) -> NewExecution {
    NewExecution::new(execution, json!({"dry_run": false}))
}

pub(crate) fn operation(number: u128) -> Operation {
    Operation {
        id: OperationId(id(number)),
        task: 7,
        retry: 0,
        name: "cloudify.interfaces.lifecycle.create".to_owned(),
        node_instance_id: Some("vm_1".to_owned()),
        target_id: None,
        created_at: at(5),
        ended_at: None,
        outcome: None,
    }
}

pub(crate) fn attempt(number: u128, operation: OperationId) -> Attempt {
    Attempt {
        id: AttemptId(id(number)),
        operation,
        tenant: tenant(),
        agent: "a".parse().unwrap(),
        epoch: 1,
        started_at: at(6),
        ended_at: None,
        outcome: None,
        watermark: Watermark::default(),
    }
}

//! Functions of a plugin, as operations of the benchmark's node.

use std::sync::atomic::Ordering;

use camino::Utf8Path;
use fs_err::tokio as fs;
use serde_json::Map;
use sha2::{Digest as _, Sha256};
use waggoner_engine::TaskNumber;
use waggoner_proto::v1::{PluginHeader, PluginYaml};
use waggoner_store::{artifact::Announced, instance::NodeInstance};
use waggoner_task::BoxError;
use waggoner_types::{
    Digest, Outcome,
    plan::{self, InstanceState},
};

use super::{Bench, Dispatcher, NAME, NODE, dispatch, instance, tenant};
use crate::{
    catalog::plugins::check,
    executions::{answers::Answers, prepare::prepare},
};

/// The name of the plugin, in the plan and of its package.
const PLUGIN: &str = "bench-plugin";

const YAML: &str = "plugins: {bench: {executor: central_deployment_agent, \
                    package_name: bench-plugin, package_version: '1.0'}}\n";

impl Dispatcher {
    /// Keeps the wagon of `bench-plugin` 1.0.
    pub async fn upload(&self, wagon: &Utf8Path) -> Result<(), BoxError> {
        let bytes = fs::read(wagon).await?;
        let digest = Digest(Sha256::digest(&bytes).into());
        let size = bytes.len() as u64;
        let mut incoming = self.home.store.artifacts().receive(Announced { digest, size }).await?;
        incoming.write(&bytes).await?;
        let received = incoming.finish().await?;
        let header = PluginHeader {
            archive_name: wagon.file_name().unwrap_or_default().to_owned(),
            digest: digest.to_string(),
            size,
            yamls: vec![PluginYaml { name: "plugin.yaml".to_owned(), text: YAML.to_owned() }],
            ..PluginHeader::default()
        };
        let plugin = check(tenant(), header, &received).await.map_err(|refused| refused.message)?;
        let _artifact = received.publish().await?;
        self.home.store.create_plugin(plugin).await?;
        Ok(())
    }
}

impl Bench {
    /// Runs a function of the plugin on the agent, as an operation of its own, until its end is
    /// stored.
    pub async fn call(&self, function: &str) -> Result<Outcome, BoxError> {
        let task = TaskNumber(self.begun.fetch_add(1, Ordering::Relaxed));
        let mut dispatch = dispatch(task);
        dispatch.operation = plan::Operation {
            plugin: PLUGIN.to_owned(),
            operation: function.to_owned(),
            ..plan::Operation::default()
        };
        let operation = self.stage.operation(task.0, dispatch.retry_number);
        let answers = Answers::of(&self.home, &self.stage, &dispatch);
        let ready = prepare(&self.home, &self.stage, &dispatch, &answers, operation).await;
        let ready = ready.map_err(|error| error.message)?;
        self.go(task, dispatch, operation, ready).await
    }
}

/// The plugin, as the plan's node has it.
pub(super) fn plugin() -> plan::Plugin {
    plan::Plugin {
        name: PLUGIN.to_owned(),
        package_name: Some(PLUGIN.to_owned()),
        package_version: Some("1.0".to_owned()),
        ..plan::Plugin::default()
    }
}

/// The node's only instance.
pub(super) fn node_instance() -> NodeInstance {
    NodeInstance {
        tenant: tenant(),
        deployment_id: NAME.parse().expect("it is a deployment's name"),
        id: instance(),
        node_id: NODE.to_owned(),
        host_id: None,
        index: 1,
        state: InstanceState::Uninitialized,
        version: 1,
        runtime_properties: Map::new(),
        system_properties: Map::new(),
        relationships: Vec::new(),
        scaling_groups: Vec::new(),
    }
}

//! Installations whose operations are done as soon as they are sent: what the manager itself
//! costs, from the engine to the disk.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use waggoner_store::{blueprint::Blueprint, deployment::NewDeployment, instance::NodeInstance};
use waggoner_task::BoxError;
use waggoner_types::{Digest, Outcome, plan::InstanceState};

use super::tenant;
use crate::{
    Config, Manager,
    error::StartError,
    executions::{
        self, Asked, Executions,
        actor::Happening,
        attempts::{Attempt, Attempts},
    },
    home::Home,
};

/// The operations of each node instance.
const OPERATIONS: [&str; 3] = ["create", "configure", "start"];

/// A manager whose operations are done as soon as they are sent.
#[derive(Debug)]
pub struct Installer {
    home: Arc<Home>,
}

/// Does what it is given by doing nothing.
#[derive(Debug)]
struct AtOnce;

// === impl Installer ===

impl Installer {
    /// Opens a manager's data, with everything that a manager has but agents.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let executions = Executions::new(Arc::new(AtOnce), config.operations);
        let manager = Manager::bind_with(config, executions).await?;
        Ok(Self { home: Arc::clone(manager.home()) })
    }

    /// Makes a deployment of so many node instances.
    pub async fn prepare(&self, name: &str, instances: u32) -> Result<(), BoxError> {
        let now = Timestamp::now();
        let plan = plan();
        let blueprint = Blueprint {
            tenant: tenant(),
            id: name.parse()?,
            description: String::new(),
            main_file: "blueprint.yaml".to_owned(),
            digest: Digest([0; 32]),
            created_at: now,
            plugins: Vec::new(),
        };
        let instance = |index| NodeInstance {
            tenant: tenant(),
            deployment_id: name.parse().expect("it was read as a name just now"),
            id: format!("{name}_{index}"),
            node_id: "app".to_owned(),
            host_id: None,
            index,
            state: InstanceState::Uninitialized,
            version: 1,
            runtime_properties: Map::new(),
            system_properties: Map::new(),
            relationships: Vec::new(),
            scaling_groups: Vec::new(),
        };
        let deployment = NewDeployment {
            tenant: tenant(),
            id: name.parse()?,
            blueprint_id: blueprint.id.clone(),
            created_at: now,
            inputs: json!({}),
            workflows: vec!["install".to_owned()],
            plan: plan.clone(),
            instances: (1..=instances).map(instance).collect(),
        };
        self.home.store.create_blueprint(blueprint, plan).await?;
        self.home.store.create_deployment(deployment).await?;
        Ok(())
    }

    /// Installs a deployment, until its end is stored. Returns how many operations it ran.
    pub async fn install(&self, name: &str) -> Result<u32, BoxError> {
        let asked = Asked::new(tenant(), name.parse()?, "install");
        let started = executions::start(&self.home, asked).await;
        let started = started.map_err(|refusal| refusal.message)?;
        self.home.tasks.join().await;
        let ended = self.home.store.execution(tenant(), started.id).await?;
        match ended.error {
            None => Ok(ended.finished_operations),
            Some(error) => Err(error.into()),
        }
    }
}

// === impl AtOnce ===

impl Attempts for AtOnce {
    fn run(&self, attempt: Attempt) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let Attempt { dispatch, happenings, .. } = attempt;
            let (task, retry_number) = (dispatch.task, dispatch.retry_number);
            let (stored, _nobody_waits) = oneshot::channel();
            let outcome = Outcome { result: Ok(Value::Null), exit: None };
            for happening in [
                Happening::Started { task, retry_number, stored },
                Happening::Ended { task, retry_number, outcome },
            ] {
                // An execution that has ended wants to hear no more.
                drop(happenings.send(happening).await);
            }
        })
    }
}

fn plan() -> Value {
    let operations = OPERATIONS.map(|name| {
        let name = format!("cloudify.interfaces.lifecycle.{name}");
        (name, json!({ "plugin": "p", "operation": "p.nothing.nothing", "inputs": {} }))
    });
    json!({
        "nodes": [{
            "id": "app",
            "type": "nothing",
            "type_hierarchy": ["cloudify.nodes.Root", "nothing"],
            "operations": operations.into_iter().collect::<Map<_, _>>(),
        }],
        "workflows": { "install": { "operation": "cloudify.plugins.workflows.install" } },
    })
}

//! Intrinsic functions at run time, evaluated against the store.

use std::{collections::HashMap, sync::Arc};

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};
use tokio::{runtime::Handle, task::spawn_blocking};
use waggoner_blueprint::{
    Kind, Refusal, Scope, Storage, evaluate, evaluate_capabilities, evaluate_outputs,
};
use waggoner_engine::Dispatch;
use waggoner_store::Store;
use waggoner_types::{BlueprintId, Chain, DeploymentId, TenantName};
use waggoner_wire::{Reason, Refused};

use crate::{
    api::refused,
    executions::{Stage, answers::Unanswered, shapes},
    home::Home,
};

/// How deep capabilities of deployments may refer to one another.
const DEEPEST: u8 = 8;

/// Which node instances SELF, SOURCE and TARGET mean, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Viewpoint {
    pub(crate) own: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) target: Option<String>,
}

/// A deployment as functions see it.
#[derive(Debug)]
struct Deployment {
    store: Store,
    runtime: Handle,
    tenant: TenantName,
    id: DeploymentId,
    blueprint: BlueprintId,
    inputs: Value,
    plan: Arc<Value>,
    instances: HashMap<String, Vec<Value>>,
    depth: u8,
}

// === impl Viewpoint ===

impl Viewpoint {
    /// The viewpoint of an operation.
    pub(crate) fn of(dispatch: &Dispatch) -> Self {
        match &dispatch.relationship {
            None => Self::of_instance(&dispatch.instance),
            Some(of) => Self {
                own: None,
                source: Some(of.source_instance.clone()),
                target: Some(of.target_instance.clone()),
            },
        }
    }

    /// The viewpoint of a node instance.
    pub(crate) fn of_instance(id: &str) -> Self {
        Self { own: Some(id.to_owned()), ..Self::default() }
    }

    fn scope(&self) -> Scope {
        match (&self.own, &self.source, &self.target) {
            (Some(own), _, _) => Scope::Instance(own.clone()),
            (None, Some(source), Some(target)) => {
                Scope::Relationship { source: source.clone(), target: target.clone() }
            }
            _ => Scope::Deployment,
        }
    }
}

/// Evaluates the functions in a value.
pub(crate) async fn value(
    home: &Home,
    stage: &Stage,
    viewpoint: &Viewpoint,
    value: Value,
) -> Result<Value, Unanswered> {
    if !may_have_functions(&value) {
        return Ok(value);
    }
    let failed = |refusal: Refused| Unanswered::invalid(&refusal.message);
    let instances = stage.instances(home).await.map_err(failed)?;
    let deployment = Deployment {
        store: home.store.clone(),
        runtime: Handle::current(),
        tenant: stage.scene.tenant.clone(),
        id: stage.scene.deployment.clone(),
        blueprint: stage.scene.blueprint.clone(),
        inputs: stage.inputs.clone(),
        plan: Arc::clone(&stage.plan_json),
        instances: by_node(&instances),
        depth: 0,
    };
    let scope = viewpoint.scope();
    let evaluated = spawn_blocking(move || evaluate(value, &scope, "value", &deployment)).await;
    match evaluated {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(refusal)) => Err(unanswered(&refusal)),
        Err(error) => Err(Unanswered::invalid(&error.to_string())),
    }
}

/// Evaluates the functions in a value as another deployment of the tenant sees it.
pub(crate) async fn value_of(
    home: &Home,
    tenant: TenantName,
    id: DeploymentId,
    viewpoint: &Viewpoint,
    value: Value,
) -> Result<Value, Unanswered> {
    if !may_have_functions(&value) {
        return Ok(value);
    }
    let deployment = Deployment::load(&home.store, tenant, id, 0).await?;
    let scope = viewpoint.scope();
    let evaluated = spawn_blocking(move || evaluate(value, &scope, "value", &deployment)).await;
    match evaluated {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(refusal)) => Err(unanswered(&refusal)),
        Err(error) => Err(Unanswered::invalid(&error.to_string())),
    }
}

/// Evaluates a deployment's outputs and its capabilities.
pub(crate) async fn outputs(
    home: &Home,
    tenant: TenantName,
    id: DeploymentId,
) -> Result<(Map<String, Value>, Map<String, Value>), Refused> {
    let deployment = Deployment::load(&home.store, tenant, id, 0).await?;
    let evaluated = spawn_blocking(move || Ok((deployment.outputs()?, deployment.capabilities()?)));
    let evaluated =
        evaluated.await.unwrap_or_else(|error| Err(Refusal::new(Kind::Runtime, error.to_string())));
    evaluated.map_err(|refusal: Refusal| {
        let why = format!("failed to evaluate the outputs: {refusal}");
        Refused::new(Reason::InvalidBlueprint, why)
    })
}

/// Says whether there could be a function in a value: each is an object with one key.
fn may_have_functions(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.len() == 1 || object.values().any(may_have_functions),
        Value::Array(items) => items.iter().any(may_have_functions),
        _ => false,
    }
}

fn by_node(instances: &[waggoner_store::instance::NodeInstance]) -> HashMap<String, Vec<Value>> {
    let mut nodes: HashMap<String, Vec<Value>> = HashMap::new();
    for instance in instances {
        let shown = shapes::node_instance(instance);
        nodes.entry(instance.node_id.clone()).or_default().push(shown);
    }
    nodes
}

fn unanswered(refusal: &Refusal) -> Unanswered {
    let error_code = match refusal.kind {
        Kind::UnknownSecret => "unknown_deployment_secret_error",
        _ => "functions_evaluation_error",
    };
    Unanswered { reason: "INVALID", status: 400, error_code, message: refusal.to_string() }
}

// === impl Deployment ===

impl Deployment {
    async fn load(
        store: &Store,
        tenant: TenantName,
        id: DeploymentId,
        depth: u8,
    ) -> Result<Self, Refused> {
        let row = store.deployment(tenant.clone(), id.clone()).await.map_err(refused)?;
        let plan = store.deployment_plan(tenant.clone(), id.clone()).await.map_err(refused)?;
        let instances =
            store.all_node_instances(tenant.clone(), id.clone()).await.map_err(refused)?;
        Ok(Self {
            store: store.clone(),
            runtime: Handle::current(),
            tenant,
            id,
            blueprint: row.blueprint_id,
            inputs: row.inputs,
            plan: Arc::new(plan),
            instances: by_node(&instances),
            depth,
        })
    }

    fn outputs(&self) -> Result<Map<String, Value>, Refusal> {
        evaluate_outputs(&self.plan["outputs"], self)
    }

    fn capabilities(&self) -> Result<Map<String, Value>, Refusal> {
        evaluate_capabilities(&self.plan["capabilities"], self)
    }

    fn missing(kind: &str, name: &str) -> Refusal {
        Refusal::new(Kind::Key, format!("the deployment has no {kind} `{name}`"))
    }
}

impl Storage for Deployment {
    fn input(&self, name: &str) -> Result<Value, Refusal> {
        self.inputs.get(name).cloned().ok_or_else(|| Self::missing("input", name))
    }

    fn node(&self, id: &str) -> Result<Value, Refusal> {
        let nodes = self.plan["nodes"].as_array().into_iter().flatten();
        let found = nodes.into_iter().find(|node| node["id"] == id);
        found.cloned().ok_or_else(|| Self::missing("node", id))
    }

    fn node_instances(&self, node: &str) -> Result<Vec<Value>, Refusal> {
        Ok(self.instances.get(node).cloned().unwrap_or_default())
    }

    fn node_instance(&self, id: &str) -> Result<Value, Refusal> {
        let found = self.instances.values().flatten().find(|instance| instance["id"] == id);
        found.cloned().ok_or_else(|| Self::missing("node instance", id))
    }

    fn secret(&self, name: &str) -> Result<String, Refusal> {
        let found = self.runtime.block_on(self.store.secret(self.tenant.clone(), name.to_owned()));
        match found {
            Ok((_, value)) => Ok(value.expose_secret().to_owned()),
            Err(waggoner_store::Error::Missing(_)) => Err(Refusal::new(
                Kind::UnknownSecret,
                format!("there is no secret `{name}`: put it with `wag secrets put {name}`"),
            )),
            Err(error) => Err(Refusal::new(Kind::Runtime, Chain(&error).to_string())),
        }
    }

    fn capability(&self, path: &[Value]) -> Result<Value, Refusal> {
        let (Some(of), Some(name)) = (path.first(), path.get(1)) else {
            let why = "get_capability takes a deployment and the name of a capability";
            return Err(Refusal::new(Kind::Value, why.to_owned()));
        };
        let of = of.as_str().unwrap_or_default();
        let id: DeploymentId =
            of.parse().map_err(|why| Refusal::new(Kind::Value, format!("{why}")))?;
        if self.depth >= DEEPEST {
            let why = "capabilities of deployments refer to one another too deeply";
            return Err(Refusal::new(Kind::RecursionLimit, why.to_owned()));
        }
        let loaded = Self::load(&self.store, self.tenant.clone(), id, self.depth + 1);
        let loaded = self
            .runtime
            .block_on(loaded)
            .map_err(|refusal| Refusal::new(Kind::Key, refusal.message))?;
        let values = loaded.capabilities()?;
        let name = name.as_str().unwrap_or_default();
        let value = values.get(name).ok_or_else(|| {
            Refusal::new(Kind::Key, format!("deployment `{of}` has no capability `{name}`"))
        })?;
        let found = path[2..].iter().try_fold(value, |value, key| match key {
            Value::String(key) => value.get(key),
            Value::Number(index) => value.get(usize::try_from(index.as_u64()?).ok()?),
            _ => None,
        });
        found.cloned().ok_or_else(|| {
            let why = format!("capability `{name}` of deployment `{of}` has no such key");
            Refusal::new(Kind::Key, why)
        })
    }

    fn system(&self, entity: &str, property: &str) -> Result<Value, Refusal> {
        match (entity, property) {
            ("tenant", "name") => Ok(self.tenant.as_str().into()),
            ("deployment", "id" | "name") => Ok(self.id.as_str().into()),
            ("deployment", "blueprint") => Ok(self.blueprint.as_str().into()),
            ("deployment", "owner") => Ok("admin".into()),
            _ => Err(Refusal::new(
                Kind::UnknownSysProperty,
                format!("get_sys knows no property `{property}` of `{entity}`"),
            )),
        }
    }
}

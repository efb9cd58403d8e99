//! `DeploymentService`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tonic::{Request, Response, Status};
use waggoner_engine::Update;
use waggoner_proto::v1::{
    CreateDeploymentRequest, CreateDeploymentResponse, DeleteDeploymentRequest,
    DeleteDeploymentResponse, Deployment, DeploymentChanges, GetDeploymentOutputsRequest,
    GetDeploymentOutputsResponse, GetDeploymentRequest, GetDeploymentResponse,
    ListDeploymentsRequest, ListDeploymentsResponse, UpdateDeploymentRequest,
    UpdateDeploymentResponse, deployment_service_server::DeploymentService,
};
use waggoner_store::{Deletion, PageRequest, deployment};
use waggoner_types::{BlueprintId, DeploymentId};
use waggoner_wire::{At as _, timestamp};

use crate::{
    api::{
        Api,
        executions::{self as shown, object},
        refused,
    },
    catalog::deployments::{self, Attempt},
    executions::{self, UpdateAsked, Updated, outputs},
};

#[tonic::async_trait]
impl DeploymentService for Api {
    async fn create_deployment(
        &self,
        request: Request<CreateDeploymentRequest>,
    ) -> Result<Response<CreateDeploymentResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        let id: DeploymentId = request.id.parse().at("id")?;
        let blueprint: BlueprintId = request.blueprint_id.parse().at("blueprint_id")?;
        let inputs = object(&request.inputs_json, "inputs_json")?;
        self.once(&tenant, "CreateDeployment", &request.request_id, &request, async {
            let store = &self.home.store;
            let (own, asked) = (tenant.clone(), id.clone());
            let new = deployments::plan(&self.home, Attempt::Create, own, asked, blueprint, inputs)
                .await?;
            store.create_deployment(new).await.map_err(refused)?;
            let created = store.deployment(tenant.clone(), id).await.map_err(refused)?;
            Ok(CreateDeploymentResponse { deployment: Some(message(created)) })
        })
        .await
    }

    async fn list_deployments(
        &self,
        request: Request<ListDeploymentsRequest>,
    ) -> Result<Response<ListDeploymentsResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let ListDeploymentsRequest { tenant: _, page_size, page_token, blueprint_id } =
            request.into_inner();
        let blueprint = match blueprint_id.as_str() {
            "" => None,
            id => Some(id.parse().at("blueprint_id")?),
        };
        let page = PageRequest::new(page_size, page_token);
        let page = self.home.store.deployments(tenant, blueprint, &page).await.map_err(refused)?;
        Ok(Response::new(ListDeploymentsResponse {
            deployments: page.items.into_iter().map(message).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn get_deployment(
        &self,
        request: Request<GetDeploymentRequest>,
    ) -> Result<Response<GetDeploymentResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let id: DeploymentId = request.into_inner().id.parse().at("id")?;
        let deployment = self.home.store.deployment(tenant, id).await.map_err(refused)?;
        Ok(Response::new(GetDeploymentResponse { deployment: Some(message(deployment)) }))
    }

    async fn delete_deployment(
        &self,
        request: Request<DeleteDeploymentRequest>,
    ) -> Result<Response<DeleteDeploymentResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        let id: DeploymentId = request.id.parse().at("id")?;
        let deletion = if request.force { Deletion::Forced } else { Deletion::IfUnused };
        self.once(&tenant, "DeleteDeployment", &request.request_id, &request, async {
            let store = &self.home.store;
            store.delete_deployment(tenant.clone(), id, deletion).await.map_err(refused)?;
            Ok(DeleteDeploymentResponse {})
        })
        .await
    }

    async fn update_deployment(
        &self,
        request: Request<UpdateDeploymentRequest>,
    ) -> Result<Response<UpdateDeploymentResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        let flags = [
            ("skip_install", request.skip_install),
            ("skip_uninstall", request.skip_uninstall),
            ("skip_reinstall", request.skip_reinstall),
            ("skip_drift_check", request.skip_drift_check),
            ("ignore_failure", request.ignore_failure),
            ("install_first", request.install_first),
        ];
        let set = flags.into_iter().filter(|(_, is_set)| *is_set);
        let asked = UpdateAsked {
            tenant: tenant.clone(),
            deployment: request.id.parse().at("id")?,
            blueprint: match request.blueprint_id.as_str() {
                "" => None,
                id => Some(id.parse().at("blueprint_id")?),
            },
            inputs: object(&request.inputs_json, "inputs_json")?,
            reinstall: request.reinstall_node_instances.clone(),
            parameters: set.map(|(name, is_set)| (name.to_owned(), is_set.into())).collect(),
            force: request.force,
            preview: request.preview,
        };
        self.once(&tenant, "UpdateDeployment", &request.request_id, &request, async {
            let Updated { execution, update } =
                Box::pin(executions::update(&self.home, asked)).await?;
            Ok(UpdateDeploymentResponse {
                execution: execution.map(shown::message),
                changes: Some(changes(update)),
            })
        })
        .await
    }

    async fn get_deployment_outputs(
        &self,
        request: Request<GetDeploymentOutputsRequest>,
    ) -> Result<Response<GetDeploymentOutputsResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let id: DeploymentId = request.into_inner().id.parse().at("id")?;
        let (outputs, capabilities) = outputs(&self.home, tenant, id).await?;
        Ok(Response::new(GetDeploymentOutputsResponse {
            outputs_json: Value::Object(outputs).to_string(),
            capabilities_json: Value::Object(capabilities).to_string(),
        }))
    }
}

fn changes(update: Update) -> DeploymentChanges {
    let Update { added, removed, extended, reduced, changed, reinstall } = update;
    let edges = |edges: BTreeMap<String, BTreeSet<String>>| {
        let edge = |(source, targets): (String, BTreeSet<String>)| {
            targets.into_iter().map(move |target| format!("{source}->{target}"))
        };
        edges.into_iter().flat_map(edge).collect()
    };
    DeploymentChanges {
        added,
        removed,
        changed,
        reinstalled: reinstall,
        extended: edges(extended),
        reduced: edges(reduced),
    }
}

fn message(deployment: deployment::Deployment) -> Deployment {
    let deployment::Deployment {
        tenant,
        id,
        blueprint_id,
        created_at,
        inputs,
        workflows,
        node_instances,
        node_instances_started,
    } = deployment;
    Deployment {
        id: id.into(),
        tenant: tenant.into(),
        blueprint_id: blueprint_id.into(),
        created_at: Some(timestamp(created_at)),
        inputs_json: inputs.to_string(),
        workflows,
        node_instances,
        node_instances_started,
    }
}

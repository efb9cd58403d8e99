//! `NodeInstanceService`.

use serde_json::Value;
use tonic::{Request, Response, Status};
use waggoner_proto::v1::{
    GetNodeInstanceRequest, GetNodeInstanceResponse, ListNodeInstancesRequest,
    ListNodeInstancesResponse, NodeInstance, NodeInstanceRelationship,
    node_instance_service_server::NodeInstanceService,
};
use waggoner_store::{PageRequest, instance};
use waggoner_wire::At as _;

use crate::api::{Api, refused};

#[tonic::async_trait]
impl NodeInstanceService for Api {
    async fn list_node_instances(
        &self,
        request: Request<ListNodeInstancesRequest>,
    ) -> Result<Response<ListNodeInstancesResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let ListNodeInstancesRequest { tenant: _, page_size, page_token, deployment_id, node_id } =
            request.into_inner();
        let deployment = match deployment_id.as_str() {
            "" => None,
            id => Some(id.parse().at("deployment_id")?),
        };
        let node = Some(node_id).filter(|id| !id.is_empty());
        let page = PageRequest::new(page_size, page_token);
        let store = &self.home.store;
        let page = store.node_instances(tenant, deployment, node, &page).await.map_err(refused)?;
        Ok(Response::new(ListNodeInstancesResponse {
            node_instances: page.items.into_iter().map(message).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn get_node_instance(
        &self,
        request: Request<GetNodeInstanceRequest>,
    ) -> Result<Response<GetNodeInstanceResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let GetNodeInstanceRequest { tenant: _, id } = request.into_inner();
        let instance = self.home.store.node_instance(tenant, id).await.map_err(refused)?;
        Ok(Response::new(GetNodeInstanceResponse { node_instance: Some(message(instance)) }))
    }
}

fn message(instance: instance::NodeInstance) -> NodeInstance {
    let instance::NodeInstance {
        tenant,
        deployment_id,
        id,
        node_id,
        host_id,
        index,
        state,
        version,
        runtime_properties,
        system_properties: _,
        relationships,
        scaling_groups: _,
    } = instance;
    NodeInstance {
        id,
        tenant: tenant.into(),
        deployment_id: deployment_id.into(),
        node_id,
        host_id: host_id.unwrap_or_default(),
        state: state.as_str().to_owned(),
        runtime_properties_json: Value::Object(runtime_properties).to_string(),
        version,
        index,
        relationships: relationships
            .into_iter()
            .map(|relationship| NodeInstanceRelationship {
                r#type: relationship.type_,
                target_name: relationship.target_name,
                target_id: relationship.target_id,
            })
            .collect(),
    }
}

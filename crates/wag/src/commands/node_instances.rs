//! `wag node-instances`.

use waggoner_proto::v1::{GetNodeInstanceRequest, ListNodeInstancesRequest, NodeInstance};

use super::Context;
use crate::{
    Error,
    cli::NodeInstances,
    client::{ClientError, Manager, all, ask},
};

pub(super) async fn run(context: &mut Context<'_>, command: NodeInstances) -> Result<(), Error> {
    let manager = context.manager().await?;
    match command {
        NodeInstances::List { deployment_id, node } => {
            let deployment_id = deployment_id.unwrap_or_default();
            let found = list(&manager, &deployment_id, &node.unwrap_or_default()).await?;
            context.ui.list(&found)
        }
        NodeInstances::Get { node_instance: id } => {
            let request = GetNodeInstanceRequest { tenant: manager.tenant(), id };
            let call = async |request| manager.node_instances().get_node_instance(request).await;
            let answer = ask(request, call).await?;
            let found = answer.node_instance.ok_or(ClientError::Hollow("node instance"))?;
            context.ui.one(&found)
        }
    }
}

/// The node instances of a deployment and a node, where these are not empty.
pub(crate) async fn list(
    manager: &Manager,
    deployment_id: &str,
    node_id: &str,
) -> Result<Vec<NodeInstance>, ClientError> {
    all(async |page_token| {
        let request = ListNodeInstancesRequest {
            tenant: manager.tenant(),
            page_size: 0,
            page_token,
            deployment_id: deployment_id.to_owned(),
            node_id: node_id.to_owned(),
        };
        let call = async |request| manager.node_instances().list_node_instances(request).await;
        let page = ask(request, call).await?;
        Ok((page.node_instances, page.next_page_token))
    })
    .await
}

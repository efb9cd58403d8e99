//! `wag deployments`.

use waggoner_proto::v1::{
    CreateDeploymentRequest, DeleteDeploymentRequest, Deployment, GetDeploymentOutputsRequest,
    GetDeploymentRequest, ListDeploymentsRequest, UpdateDeploymentRequest,
};

use super::{Context, executions};
use crate::{
    Error,
    cli::{Deployments, Update},
    client::{ClientError, Manager, all, ask, request_id},
    inputs, record,
};

pub(super) async fn run(context: &mut Context<'_>, command: Deployments) -> Result<(), Error> {
    match command {
        Deployments::Create { deployment, blueprint_id, inputs } => {
            let inputs = inputs::read(&inputs.inputs, &inputs.input)?;
            let manager = context.manager().await?;
            let deployment = create(&manager, &deployment, &blueprint_id, &inputs).await?;
            context.ui.one(&deployment)
        }
        Deployments::List { blueprint_id } => {
            let manager = context.manager().await?;
            let deployments = list(&manager, &blueprint_id.unwrap_or_default()).await?;
            context.ui.list(&deployments)
        }
        Deployments::Get { deployment } => {
            let manager = context.manager().await?;
            let deployment = get(&manager, &deployment).await?;
            context.ui.one(&deployment)
        }
        Deployments::Delete { deployment, force } => {
            let manager = context.manager().await?;
            delete(&manager, &deployment, force).await?;
            context.ui.step("Deleted", format!("deployment {deployment}"));
            Ok(())
        }
        Deployments::Update(asked) => update(context, asked).await,
        Deployments::Outputs { deployment } => {
            let manager = context.manager().await?;
            let outputs = outputs(&manager, &deployment).await?;
            context.ui.shape(&outputs)
        }
    }
}

async fn update(context: &mut Context<'_>, asked: Update) -> Result<(), Error> {
    let Update {
        deployment,
        blueprint_id,
        inputs,
        reinstall,
        skip_install,
        skip_uninstall,
        skip_reinstall,
        skip_drift_check,
        ignore_failure,
        install_first,
        preview,
        force,
        detach,
        logs,
    } = asked;
    let inputs_json = inputs::read(&inputs.inputs, &inputs.input)?;
    let manager = context.manager().await?;
    let request = UpdateDeploymentRequest {
        tenant: manager.tenant(),
        id: deployment,
        blueprint_id: blueprint_id.unwrap_or_default(),
        inputs_json,
        reinstall_node_instances: reinstall,
        skip_install,
        skip_uninstall,
        skip_reinstall,
        skip_drift_check,
        ignore_failure,
        install_first,
        preview,
        force,
        request_id: request_id(),
    };
    let call = async |request| manager.deployments().update_deployment(request).await;
    let answer = ask(request, call).await?;
    let Some(execution) = &answer.execution else {
        return context.ui.shape(&record::changes(&answer));
    };
    if detach {
        return context.ui.one(execution);
    }
    for (what, changed) in record::changed(&answer) {
        context.ui.step(what, changed.join(" "));
    }
    executions::follow(context.ui, &manager, execution, true, logs).await
}

pub(crate) async fn create(
    manager: &Manager,
    id: &str,
    blueprint_id: &str,
    inputs_json: &str,
) -> Result<Deployment, ClientError> {
    let request = CreateDeploymentRequest {
        tenant: manager.tenant(),
        id: id.to_owned(),
        blueprint_id: blueprint_id.to_owned(),
        inputs_json: inputs_json.to_owned(),
        request_id: request_id(),
    };
    let call = async |request| manager.deployments().create_deployment(request).await;
    ask(request, call).await?.deployment.ok_or(ClientError::Hollow("deployment"))
}

/// The deployments of a blueprint, where it is not empty.
pub(crate) async fn list(
    manager: &Manager,
    blueprint_id: &str,
) -> Result<Vec<Deployment>, ClientError> {
    all(async |page_token| {
        let request = ListDeploymentsRequest {
            tenant: manager.tenant(),
            page_size: 0,
            page_token,
            blueprint_id: blueprint_id.to_owned(),
        };
        let call = async |request| manager.deployments().list_deployments(request).await;
        let page = ask(request, call).await?;
        Ok((page.deployments, page.next_page_token))
    })
    .await
}

pub(crate) async fn get(manager: &Manager, id: &str) -> Result<Deployment, ClientError> {
    let request = GetDeploymentRequest { tenant: manager.tenant(), id: id.to_owned() };
    let call = async |request| manager.deployments().get_deployment(request).await;
    ask(request, call).await?.deployment.ok_or(ClientError::Hollow("deployment"))
}

pub(crate) async fn delete(manager: &Manager, id: &str, force: bool) -> Result<(), ClientError> {
    let request = DeleteDeploymentRequest {
        tenant: manager.tenant(),
        id: id.to_owned(),
        force,
        request_id: request_id(),
    };
    let call = async |request| manager.deployments().delete_deployment(request).await;
    ask(request, call).await.map(drop)
}

/// The shape of a deployment's outputs and capabilities.
pub(crate) async fn outputs(manager: &Manager, id: &str) -> Result<serde_json::Value, ClientError> {
    let request = GetDeploymentOutputsRequest { tenant: manager.tenant(), id: id.to_owned() };
    let call = async |request| manager.deployments().get_deployment_outputs(request).await;
    Ok(record::outputs(&ask(request, call).await?))
}

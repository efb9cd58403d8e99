//! `wag blueprints`.

use waggoner_proto::v1::{
    Blueprint, BlueprintHeader, DeleteBlueprintRequest, GetBlueprintRequest, ListBlueprintsRequest,
    UploadBlueprintRequest, ValidateBlueprintRequest, upload_blueprint_request,
    validate_blueprint_request,
};

use super::Context;
use crate::{
    Error,
    cli::Blueprints,
    client::{ClientError, Manager, Parcel, all, ask, pieces, request_id},
    source::Source,
};

mod local;

pub(super) async fn run(context: &mut Context<'_>, command: Blueprints) -> Result<(), Error> {
    match command {
        Blueprints::Upload { blueprint, blueprint_id } => {
            let source = Source::open(&blueprint)?;
            let id = blueprint_id.map_or_else(|| source.id(), Ok)?;
            let parcel = source.pack()?;
            let manager = context.manager().await?;
            // The plan is for `blueprints get`.
            let uploaded = upload(&manager, &source, &id, parcel).await?;
            let blueprint = Blueprint { plan_json: String::new(), ..uploaded };
            context.ui.one(&blueprint)
        }
        Blueprints::List => {
            let manager = context.manager().await?;
            let blueprints = all(async |page_token| {
                let tenant = manager.tenant();
                let request = ListBlueprintsRequest { tenant, page_size: 0, page_token };
                let call = async |request| manager.blueprints().list_blueprints(request).await;
                let page = ask(request, call).await?;
                Ok((page.blueprints, page.next_page_token))
            })
            .await?;
            context.ui.list(&blueprints)
        }
        Blueprints::Get { blueprint } => {
            let manager = context.manager().await?;
            let blueprint = get(&manager, &blueprint).await?;
            context.ui.one(&blueprint)
        }
        Blueprints::Delete { blueprint } => {
            let manager = context.manager().await?;
            delete(&manager, &blueprint).await?;
            context.ui.step("Deleted", format!("blueprint {blueprint}"));
            Ok(())
        }
        Blueprints::Validate { local } => local::validate(context, local).await,
        Blueprints::Plan { local, inputs, deployment } => {
            local::plan(context, local, &inputs, deployment).await
        }
        Blueprints::Graph { local, text } => local::graph(context, local, text).await,
    }
}

pub(crate) async fn upload(
    manager: &Manager,
    source: &Source,
    id: &str,
    parcel: Parcel,
) -> Result<Blueprint, ClientError> {
    use upload_blueprint_request::Message;
    let header = header(manager, source, id, &parcel);
    let message = |message| UploadBlueprintRequest { message: Some(message) };
    let header = message(Message::Header(header));
    let answer = parcel.send(async |rest| {
        let messages = pieces(header, rest, |chunk| UploadBlueprintRequest {
            message: Some(Message::Chunk(chunk)),
        });
        Ok(manager.blueprints().upload_blueprint(messages).await?.into_inner())
    });
    answer.await?.blueprint.ok_or(ClientError::Hollow("blueprint"))
}

/// Checks a blueprint as an upload would.
pub(crate) async fn validate(
    manager: &Manager,
    source: &Source,
    parcel: Parcel,
) -> Result<(), ClientError> {
    use validate_blueprint_request::Message;
    // An upload would need an id; any that is well formed will do.
    let id = source.id().unwrap_or_else(|_| "blueprint".to_owned());
    let header = header(manager, source, &id, &parcel);
    let header = ValidateBlueprintRequest { message: Some(Message::Header(header)) };
    let answer = parcel.send(async |rest| {
        let messages = pieces(header, rest, |chunk| ValidateBlueprintRequest {
            message: Some(Message::Chunk(chunk)),
        });
        Ok(manager.blueprints().validate_blueprint(messages).await?.into_inner())
    });
    answer.await.map(drop)
}

pub(crate) async fn get(manager: &Manager, id: &str) -> Result<Blueprint, ClientError> {
    let request = GetBlueprintRequest { tenant: manager.tenant(), id: id.to_owned() };
    let call = async |request| manager.blueprints().get_blueprint(request).await;
    ask(request, call).await?.blueprint.ok_or(ClientError::Hollow("blueprint"))
}

pub(crate) async fn delete(manager: &Manager, id: &str) -> Result<(), ClientError> {
    let request = DeleteBlueprintRequest {
        tenant: manager.tenant(),
        id: id.to_owned(),
        request_id: request_id(),
    };
    let call = async |request| manager.blueprints().delete_blueprint(request).await;
    ask(request, call).await.map(drop)
}

fn header(manager: &Manager, source: &Source, id: &str, parcel: &Parcel) -> BlueprintHeader {
    BlueprintHeader {
        tenant: manager.tenant(),
        id: id.to_owned(),
        main_file: source.main_file.clone(),
        size: parcel.size,
        digest: parcel.digest.to_string(),
        request_id: request_id(),
    }
}

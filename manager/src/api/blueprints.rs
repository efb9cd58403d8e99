//! `BlueprintService`.

use serde_json::Value;
use tonic::{Request, Response, Status, Streaming};
use waggoner_proto::v1::{
    Blueprint, DeleteBlueprintRequest, DeleteBlueprintResponse, GetBlueprintRequest,
    GetBlueprintResponse, ListBlueprintsRequest, ListBlueprintsResponse, UploadBlueprintRequest,
    UploadBlueprintResponse, ValidateBlueprintRequest, ValidateBlueprintResponse,
    blueprint_service_server::BlueprintService,
};
use waggoner_store::{PageRequest, blueprint};
use waggoner_types::BlueprintId;
use waggoner_wire::{At as _, timestamp};

use crate::{
    api::{
        Api,
        refusals::not_taken,
        refused,
        uploads::{self, piece},
    },
    catalog::blueprints::{LARGEST, Sound, check},
};

piece!(UploadBlueprintRequest, upload_blueprint_request, BlueprintHeader);
piece!(ValidateBlueprintRequest, validate_blueprint_request, BlueprintHeader);

#[tonic::async_trait]
impl BlueprintService for Api {
    async fn upload_blueprint(
        &self,
        request: Request<Streaming<UploadBlueprintRequest>>,
    ) -> Result<Response<UploadBlueprintResponse>, Status> {
        let caller = self.caller(request.metadata()).await?;
        let mut stream = request.into_inner();
        let header = uploads::header(&mut stream).await?;
        let tenant = self.meant(caller, &header.tenant).await?;
        let id: BlueprintId = header.id.parse().at("header.id")?;
        self.once(&tenant, "UploadBlueprint", &header.request_id, &header, async {
            let received = self.receive(&mut stream, &header.digest, header.size, LARGEST).await?;
            let sound = check(&self.home, tenant.clone(), id, &header, &received).await?;
            let Sound { blueprint, plan } = sound;
            // Held until the row refers to it, so that no sweep takes it in between.
            let _artifact = received.publish().await.map_err(not_taken)?;
            let stored = self.home.store.create_blueprint(blueprint.clone(), plan.clone()).await;
            stored.map_err(refused)?;
            Ok(UploadBlueprintResponse { blueprint: Some(message(blueprint, Some(&plan))) })
        })
        .await
    }

    async fn list_blueprints(
        &self,
        request: Request<ListBlueprintsRequest>,
    ) -> Result<Response<ListBlueprintsResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let ListBlueprintsRequest { tenant: _, page_size, page_token } = request.into_inner();
        let page = PageRequest::new(page_size, page_token);
        let page = self.home.store.blueprints(tenant, &page).await.map_err(refused)?;
        let blueprints = page.items.into_iter().map(|blueprint| message(blueprint, None));
        Ok(Response::new(ListBlueprintsResponse {
            blueprints: blueprints.collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn get_blueprint(
        &self,
        request: Request<GetBlueprintRequest>,
    ) -> Result<Response<GetBlueprintResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let id: BlueprintId = request.into_inner().id.parse().at("id")?;
        let store = &self.home.store;
        let blueprint = store.blueprint(tenant.clone(), id.clone()).await.map_err(refused)?;
        let plan = store.blueprint_plan(tenant, id).await.map_err(refused)?;
        let blueprint = Some(message(blueprint, Some(&plan)));
        Ok(Response::new(GetBlueprintResponse { blueprint }))
    }

    async fn delete_blueprint(
        &self,
        request: Request<DeleteBlueprintRequest>,
    ) -> Result<Response<DeleteBlueprintResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        let id: BlueprintId = request.id.parse().at("id")?;
        self.once(&tenant, "DeleteBlueprint", &request.request_id, &request, async {
            self.home.store.delete_blueprint(tenant.clone(), id).await.map_err(refused)?;
            Ok(DeleteBlueprintResponse {})
        })
        .await
    }

    async fn validate_blueprint(
        &self,
        request: Request<Streaming<ValidateBlueprintRequest>>,
    ) -> Result<Response<ValidateBlueprintResponse>, Status> {
        let caller = self.caller(request.metadata()).await?;
        let mut stream = request.into_inner();
        let header = uploads::header(&mut stream).await?;
        let tenant = self.meant(caller, &header.tenant).await?;
        // A blueprint that is only judged needs no id.
        let id = if header.id.is_empty() { "validated" } else { &header.id };
        let id: BlueprintId = id.parse().at("header.id")?;
        let received = self.receive(&mut stream, &header.digest, header.size, LARGEST).await?;
        let sound = check(&self.home, tenant, id, &header, &received).await?;
        Ok(Response::new(ValidateBlueprintResponse { plan_json: sound.plan.to_string() }))
    }
}

fn message(blueprint: blueprint::Blueprint, plan: Option<&Value>) -> Blueprint {
    let blueprint::Blueprint { tenant, id, description, main_file, digest, created_at, plugins: _ } =
        blueprint;
    Blueprint {
        id: id.into(),
        tenant: tenant.into(),
        description,
        main_file,
        created_at: Some(timestamp(created_at)),
        digest: digest.to_string(),
        plan_json: plan.map(ToString::to_string).unwrap_or_default(),
    }
}

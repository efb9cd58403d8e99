use blueprint_service_server::BlueprintService;
use plugin_service_server::PluginService;
use secret_service_server::SecretService;

use super::*;

#[tonic::async_trait]
impl PluginService for Fake {
    type DownloadPluginStream = Flow<DownloadPluginResponse>;

    async fn upload_plugin(
        &self,
        request: Request<Streaming<UploadPluginRequest>>,
    ) -> Result<Response<UploadPluginResponse>, Status> {
        use upload_plugin_request::Message;
        let header = taken(self, request, |message| match message.message.unwrap() {
            Message::Header(header) => Ok(header),
            Message::Chunk(chunk) => Err(chunk),
        })
        .await?;
        self.note(|heard| heard.plugin = Some(header));
        Ok(Response::new(UploadPluginResponse { plugin: self.plugins.first().cloned() }))
    }

    async fn list_plugins(
        &self,
        request: Request<ListPluginsRequest>,
    ) -> Result<Response<ListPluginsResponse>, Status> {
        let authorization = request.metadata().get("authorization").unwrap();
        let authorization = authorization.to_str().unwrap().to_owned();
        self.note(|heard| heard.authorization.push(authorization));
        let (plugins, next_page_token) = self.page(&self.plugins, &request.into_inner().page_token);
        Ok(Response::new(ListPluginsResponse { plugins, next_page_token }))
    }

    async fn get_plugin(
        &self,
        request: Request<GetPluginRequest>,
    ) -> Result<Response<GetPluginResponse>, Status> {
        self.judge()?;
        let id = request.into_inner().id;
        let plugin = self.plugins.iter().find(|plugin| plugin.id == id).cloned();
        let missing = || Status::not_found(format!("there is no plugin `{id}`"));
        Ok(Response::new(GetPluginResponse { plugin: Some(plugin.ok_or_else(missing)?) }))
    }

    async fn delete_plugin(
        &self,
        _: Request<DeletePluginRequest>,
    ) -> Result<Response<DeletePluginResponse>, Status> {
        self.judge()?;
        Ok(Response::new(DeletePluginResponse {}))
    }

    async fn download_plugin(
        &self,
        _: Request<DownloadPluginRequest>,
    ) -> Result<Response<Self::DownloadPluginStream>, Status> {
        use download_plugin_response::Message;
        let plugin = self.plugins.first().cloned().unwrap();
        let chunks = self.wagon.chunks(1000).map(|chunk| Message::Chunk(chunk.to_vec()));
        let messages = std::iter::once(Message::Plugin(plugin)).chain(chunks);
        let messages = messages.map(|message| DownloadPluginResponse { message: Some(message) });
        Ok(Response::new(flow(messages.collect())))
    }

    async fn install_plugin(
        &self,
        _: Request<InstallPluginRequest>,
    ) -> Result<Response<InstallPluginResponse>, Status> {
        unknown()
    }

    async fn uninstall_plugin(
        &self,
        _: Request<UninstallPluginRequest>,
    ) -> Result<Response<UninstallPluginResponse>, Status> {
        unknown()
    }

    async fn validate_plugin(
        &self,
        _: Request<Streaming<ValidatePluginRequest>>,
    ) -> Result<Response<ValidatePluginResponse>, Status> {
        unknown()
    }
}

#[tonic::async_trait]
impl BlueprintService for Fake {
    async fn upload_blueprint(
        &self,
        request: Request<Streaming<UploadBlueprintRequest>>,
    ) -> Result<Response<UploadBlueprintResponse>, Status> {
        use upload_blueprint_request::Message;
        let header = taken(self, request, |message| match message.message.unwrap() {
            Message::Header(header) => Ok(header),
            Message::Chunk(chunk) => Err(chunk),
        })
        .await?;
        let (id, digest) = (header.id.clone(), header.digest.clone());
        self.note(|heard| heard.blueprint = Some(header));
        let blueprint = Blueprint { id, digest, ..Blueprint::default() };
        Ok(Response::new(UploadBlueprintResponse { blueprint: Some(blueprint) }))
    }

    async fn list_blueprints(
        &self,
        _: Request<ListBlueprintsRequest>,
    ) -> Result<Response<ListBlueprintsResponse>, Status> {
        unknown()
    }

    async fn get_blueprint(
        &self,
        _: Request<GetBlueprintRequest>,
    ) -> Result<Response<GetBlueprintResponse>, Status> {
        unknown()
    }

    async fn delete_blueprint(
        &self,
        _: Request<DeleteBlueprintRequest>,
    ) -> Result<Response<DeleteBlueprintResponse>, Status> {
        self.judge()?;
        Ok(Response::new(DeleteBlueprintResponse {}))
    }

    async fn validate_blueprint(
        &self,
        request: Request<Streaming<ValidateBlueprintRequest>>,
    ) -> Result<Response<ValidateBlueprintResponse>, Status> {
        use validate_blueprint_request::Message;
        taken(self, request, |message| match message.message.unwrap() {
            Message::Header(header) => Ok(header),
            Message::Chunk(chunk) => Err(chunk),
        })
        .await?;
        Ok(Response::new(ValidateBlueprintResponse { plan_json: "{}".to_owned() }))
    }
}

#[tonic::async_trait]
impl SecretService for Fake {
    async fn list_secrets(
        &self,
        _: Request<ListSecretsRequest>,
    ) -> Result<Response<ListSecretsResponse>, Status> {
        unknown()
    }

    async fn get_secret(
        &self,
        _: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        unknown()
    }

    async fn put_secret(
        &self,
        request: Request<PutSecretRequest>,
    ) -> Result<Response<PutSecretResponse>, Status> {
        let request = request.into_inner();
        let secret = Secret { key: request.key.clone(), ..Secret::default() };
        self.note(|heard| heard.secret = Some(request));
        Ok(Response::new(PutSecretResponse { secret: Some(secret) }))
    }

    async fn delete_secret(
        &self,
        _: Request<DeleteSecretRequest>,
    ) -> Result<Response<DeleteSecretResponse>, Status> {
        unknown()
    }
}

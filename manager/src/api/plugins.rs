//! `PluginService`.

use tokio::io::AsyncReadExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use waggoner_link::settings::MAX_CHUNK;
use waggoner_proto::v1::{
    DeletePluginRequest, DeletePluginResponse, DownloadPluginRequest, DownloadPluginResponse,
    GetPluginRequest, GetPluginResponse, InstallPluginRequest, InstallPluginResponse,
    ListPluginsRequest, ListPluginsResponse, Plugin, PluginYaml, UninstallPluginRequest,
    UninstallPluginResponse, UploadPluginRequest, UploadPluginResponse, ValidatePluginRequest,
    ValidatePluginResponse, download_plugin_response::Message,
    plugin_service_server::PluginService,
};
use waggoner_store::{Deletion, PageRequest, installation::Installation, plugin};
use waggoner_wire::{At as _, timestamp};

use crate::{
    api::{
        Api,
        refusals::not_taken,
        refused,
        uploads::{self, piece},
    },
    catalog::plugins::{LARGEST, check},
    fleet,
};

mod installs;

piece!(UploadPluginRequest, upload_plugin_request, PluginHeader);
piece!(ValidatePluginRequest, validate_plugin_request, PluginHeader);

#[tonic::async_trait]
impl PluginService for Api {
    async fn upload_plugin(
        &self,
        request: Request<Streaming<UploadPluginRequest>>,
    ) -> Result<Response<UploadPluginResponse>, Status> {
        let caller = self.caller(request.metadata()).await?;
        let mut stream = request.into_inner();
        let header = uploads::header(&mut stream).await?;
        let tenant = self.meant(caller, &header.tenant).await?;
        self.once(&tenant, "UploadPlugin", &header.request_id, &header, async {
            let received = self.receive(&mut stream, &header.digest, header.size, LARGEST).await?;
            let plugin = check(tenant.clone(), header.clone(), &received).await?;
            // Held until the row refers to it, so that no sweep takes it in between.
            let _artifact = received.publish().await.map_err(not_taken)?;
            self.home.store.create_plugin(plugin.clone()).await.map_err(refused)?;
            Ok(UploadPluginResponse { plugin: Some(message(plugin, &[])) })
        })
        .await
    }

    async fn list_plugins(
        &self,
        request: Request<ListPluginsRequest>,
    ) -> Result<Response<ListPluginsResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let ListPluginsRequest { tenant: _, page_size, page_token, package_name } =
            request.into_inner();
        let package = Some(package_name).filter(|name| !name.is_empty());
        let page = PageRequest::new(page_size, page_token);
        let page = self.home.store.plugins(tenant.clone(), package, &page).await;
        let page = page.map_err(refused)?;
        let ids = page.items.iter().map(|plugin| plugin.id).collect();
        let standing = self.standing(&tenant, ids).await?;
        Ok(Response::new(ListPluginsResponse {
            plugins: page.items.into_iter().map(|plugin| message(plugin, &standing)).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn get_plugin(
        &self,
        request: Request<GetPluginRequest>,
    ) -> Result<Response<GetPluginResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let id = request.into_inner().id.parse().at("id")?;
        let plugin = self.home.store.plugin(tenant.clone(), id).await.map_err(refused)?;
        let standing = self.standing(&tenant, vec![id]).await?;
        Ok(Response::new(GetPluginResponse { plugin: Some(message(plugin, &standing)) }))
    }

    async fn delete_plugin(
        &self,
        request: Request<DeletePluginRequest>,
    ) -> Result<Response<DeletePluginResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        let id = request.id.parse().at("id")?;
        let deletion = if request.force { Deletion::Forced } else { Deletion::IfUnused };
        self.once(&tenant, "DeletePlugin", &request.request_id, &request, async {
            let (home, tenant) = (&self.home, tenant.clone());
            let deleted = fleet::installs::delete(home, &home.store, tenant, id, deletion).await;
            deleted.map_err(refused)?;
            Ok(DeletePluginResponse {})
        })
        .await
    }

    type DownloadPluginStream = ReceiverStream<Result<DownloadPluginResponse, Status>>;

    async fn download_plugin(
        &self,
        request: Request<DownloadPluginRequest>,
    ) -> Result<Response<Self::DownloadPluginStream>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let id = request.into_inner().id.parse().at("id")?;
        let plugin = self.home.store.plugin(tenant, id).await.map_err(refused)?;
        let opened = self.home.store.artifacts().open_artifact(plugin.digest).await;
        let (mut file, _) = opened.map_err(not_taken)?;
        // Two pieces wait beside the one on the way: reading and sending overlap, memory is bounded.
        let (pieces, stream) = tokio::sync::mpsc::channel(2);
        self.home.tasks.spawn("download", async move {
            let whole = |message| Ok(DownloadPluginResponse { message: Some(message) });
            let mut next = whole(Message::Plugin(message(plugin, &[])));
            while pieces.send(next).await.is_ok() {
                let mut chunk = vec![0; MAX_CHUNK];
                next = match file.read(&mut chunk).await {
                    Ok(0) => return,
                    Ok(length) => {
                        chunk.truncate(length);
                        whole(Message::Chunk(chunk))
                    }
                    Err(error) => Err(Status::data_loss(error.to_string())),
                };
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn install_plugin(
        &self,
        request: Request<InstallPluginRequest>,
    ) -> Result<Response<InstallPluginResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        self.once(&tenant, "InstallPlugin", &request.request_id, &request, async {
            let InstallPluginRequest { plugin, package_version, agents, .. } = &request;
            let begun = self.install_on(&tenant, plugin, package_version, agents).await?;
            Ok(InstallPluginResponse { installations: begun })
        })
        .await
    }

    async fn uninstall_plugin(
        &self,
        request: Request<UninstallPluginRequest>,
    ) -> Result<Response<UninstallPluginResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        self.once(&tenant, "UninstallPlugin", &request.request_id, &request, async {
            let UninstallPluginRequest { plugin, package_version, agents, .. } = &request;
            let left = self.uninstall_from(&tenant, plugin, package_version, agents).await?;
            Ok(UninstallPluginResponse { installations: left })
        })
        .await
    }

    async fn validate_plugin(
        &self,
        request: Request<Streaming<ValidatePluginRequest>>,
    ) -> Result<Response<ValidatePluginResponse>, Status> {
        let caller = self.caller(request.metadata()).await?;
        let mut stream = request.into_inner();
        let header = uploads::header(&mut stream).await?;
        let tenant = self.meant(caller, &header.tenant).await?;
        let received = self.receive(&mut stream, &header.digest, header.size, LARGEST).await?;
        let plugin = check(tenant, header, &received).await?;
        let plugin = Plugin { id: String::new(), ..message(plugin, &[]) };
        Ok(Response::new(ValidatePluginResponse { plugin: Some(plugin) }))
    }
}

fn message(plugin: plugin::Plugin, standing: &[Installation]) -> Plugin {
    let here = standing.iter().filter(|installation| installation.plugin == plugin.id);
    let installations = here.cloned().map(installs::message).collect();
    let plugin::Plugin {
        id,
        tenant,
        title,
        package_name,
        package_version,
        supported_platform,
        distribution,
        distribution_version,
        distribution_release,
        supported_python_versions,
        wheels,
        archive_name,
        digest,
        size,
        uploaded_at,
        yamls,
    } = plugin;
    Plugin {
        id: id.to_string(),
        tenant: tenant.into(),
        title,
        package_name,
        package_version,
        supported_platform,
        distribution,
        distribution_version,
        distribution_release,
        supported_python_versions,
        wheels,
        archive_name,
        digest: digest.to_string(),
        size,
        uploaded_at: Some(timestamp(uploaded_at)),
        yamls: yamls
            .into_iter()
            .map(|yaml| PluginYaml { name: yaml.name, text: yaml.text })
            .collect(),
        installations,
    }
}

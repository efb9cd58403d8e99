//! `SecretService`.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tonic::{Request, Response, Status};
use waggoner_proto::v1::{
    DeleteSecretRequest, DeleteSecretResponse, GetSecretRequest, GetSecretResponse,
    ListSecretsRequest, ListSecretsResponse, PutSecretRequest, PutSecretResponse, Secret,
    secret_service_server::SecretService,
};
use waggoner_store::{
    PageRequest,
    secret::{self, Overwrite},
};
use waggoner_wire::{Refused, timestamp};

use crate::api::{Api, refused};

#[tonic::async_trait]
impl SecretService for Api {
    async fn list_secrets(
        &self,
        request: Request<ListSecretsRequest>,
    ) -> Result<Response<ListSecretsResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let ListSecretsRequest { tenant: _, page_size, page_token } = request.into_inner();
        let page = PageRequest::new(page_size, page_token);
        let page = self.home.store.secrets(tenant, &page).await.map_err(refused)?;
        Ok(Response::new(ListSecretsResponse {
            secrets: page.items.into_iter().map(|secret| message(secret, None)).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let GetSecretRequest { tenant: _, key } = request.into_inner();
        let (secret, value) = self.home.store.secret(tenant, key).await.map_err(refused)?;
        Ok(Response::new(GetSecretResponse { secret: Some(message(secret, Some(&value))) }))
    }

    async fn put_secret(
        &self,
        request: Request<PutSecretRequest>,
    ) -> Result<Response<PutSecretResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        if request.key.is_empty() {
            return Err(Refused::missing("key").into());
        }
        self.once(&tenant, "PutSecret", &request.request_id, &request, async {
            let overwrite = if request.update_if_exists { Overwrite::Yes } else { Overwrite::No };
            let value = SecretString::from(request.value.as_str());
            let (tenant, key, now) = (tenant.clone(), request.key.clone(), Timestamp::now());
            let put = self.home.store.put_secret(tenant, key, &value, overwrite, now).await;
            Ok(PutSecretResponse { secret: Some(message(put.map_err(refused)?, None)) })
        })
        .await
    }

    async fn delete_secret(
        &self,
        request: Request<DeleteSecretRequest>,
    ) -> Result<Response<DeleteSecretResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let request = request.into_inner();
        self.once(&tenant, "DeleteSecret", &request.request_id, &request, async {
            let (tenant, key) = (tenant.clone(), request.key.clone());
            self.home.store.delete_secret(tenant, key).await.map_err(refused)?;
            Ok(DeleteSecretResponse {})
        })
        .await
    }
}

fn message(secret: secret::Secret, value: Option<&SecretString>) -> Secret {
    let secret::Secret { tenant, key, created_at, updated_at } = secret;
    Secret {
        key,
        tenant: tenant.into(),
        value: value.map(|value| value.expose_secret().to_owned()).unwrap_or_default(),
        created_at: Some(timestamp(created_at)),
        updated_at: Some(timestamp(updated_at)),
    }
}

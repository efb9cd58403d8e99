//! `TenantService`.

use jiff::Timestamp;
use tonic::{Request, Response, Status};
use waggoner_proto::v1::{
    CreateTenantRequest, CreateTenantResponse, DeleteTenantRequest, DeleteTenantResponse,
    ListTenantsRequest, ListTenantsResponse, Tenant, tenant_service_server::TenantService,
};
use waggoner_store::{PageRequest, tenant};
use waggoner_types::TenantName;
use waggoner_wire::{At as _, timestamp};

use crate::api::{Api, refused};

#[tonic::async_trait]
impl TenantService for Api {
    async fn list_tenants(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        self.caller(request.metadata()).await?.admin()?;
        let ListTenantsRequest { page_size, page_token } = request.into_inner();
        let page = PageRequest::new(page_size, page_token);
        let page = self.home.store.tenants(&page).await.map_err(refused)?;
        Ok(Response::new(ListTenantsResponse {
            tenants: page.items.into_iter().map(message).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn create_tenant(
        &self,
        request: Request<CreateTenantRequest>,
    ) -> Result<Response<CreateTenantResponse>, Status> {
        let caller = self.caller(request.metadata()).await?.admin()?;
        let request = request.into_inner();
        let name: TenantName = request.name.parse().at("name")?;
        self.once(&caller.tenant, "CreateTenant", &request.request_id, &request, async {
            let tenant = self.home.store.create_tenant(name, Timestamp::now()).await;
            Ok(CreateTenantResponse { tenant: Some(message(tenant.map_err(refused)?)) })
        })
        .await
    }

    async fn delete_tenant(
        &self,
        request: Request<DeleteTenantRequest>,
    ) -> Result<Response<DeleteTenantResponse>, Status> {
        let caller = self.caller(request.metadata()).await?.admin()?;
        let request = request.into_inner();
        let name: TenantName = request.name.parse().at("name")?;
        self.once(&caller.tenant, "DeleteTenant", &request.request_id, &request, async {
            self.home.store.delete_tenant(name).await.map_err(refused)?;
            Ok(DeleteTenantResponse {})
        })
        .await
    }
}

fn message(tenant: tenant::Tenant) -> Tenant {
    let tenant::Tenant { name, created_at } = tenant;
    Tenant { name: name.into(), created_at: Some(timestamp(created_at)) }
}

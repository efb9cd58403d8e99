//! `wag tenants`.

use waggoner_proto::v1::{CreateTenantRequest, DeleteTenantRequest, ListTenantsRequest};

use super::Context;
use crate::{
    Error,
    cli::Tenants,
    client::{ClientError, all, ask, request_id},
};

pub(super) async fn run(context: &mut Context<'_>, command: Tenants) -> Result<(), Error> {
    let manager = context.manager().await?;
    match command {
        Tenants::List => {
            let tenants = all(async |page_token| {
                let request = ListTenantsRequest { page_size: 0, page_token };
                let call = async |request| manager.tenants().list_tenants(request).await;
                let page = ask(request, call).await?;
                Ok((page.tenants, page.next_page_token))
            })
            .await?;
            context.ui.list(&tenants)
        }
        Tenants::Create { name } => {
            let request = CreateTenantRequest { name, request_id: request_id() };
            let call = async |request| manager.tenants().create_tenant(request).await;
            let tenant = ask(request, call).await?.tenant.ok_or(ClientError::Hollow("tenant"))?;
            context.ui.one(&tenant)
        }
        Tenants::Delete { name } => {
            let request = DeleteTenantRequest { name: name.clone(), request_id: request_id() };
            ask(request, async |request| manager.tenants().delete_tenant(request).await).await?;
            context.ui.step("Deleted", format!("tenant {name}"));
            Ok(())
        }
    }
}

//! `TokenService`.

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status};
use uuid::Uuid;
use waggoner_identity::ApiToken;
use waggoner_proto::v1::{
    CreateTokenRequest, CreateTokenResponse, DeleteTokenRequest, DeleteTokenResponse,
    ListTokensRequest, ListTokensResponse, Token, token_service_server::TokenService,
};
use waggoner_store::{PageRequest, token};
use waggoner_types::{Digest, TokenId};
use waggoner_wire::{At as _, timestamp};

use crate::api::{Api, refused};

#[tonic::async_trait]
impl TokenService for Api {
    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let CreateTokenRequest { tenant: _, description } = request.into_inner();
        let token = ApiToken::mint();
        let row = token::ApiToken {
            id: TokenId(Uuid::now_v7()),
            tenant,
            description,
            admin: false,
            created_at: Timestamp::now(),
        };
        let hash = Digest(*token.hash().as_bytes());
        self.home.store.create_api_token(row.clone(), hash).await.map_err(refused)?;
        let value = token.reveal().expose_secret().to_owned();
        Ok(Response::new(CreateTokenResponse { token: Some(message(row)), value }))
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        let tenant = self.tenant(request.metadata(), &request.get_ref().tenant).await?;
        let ListTokensRequest { tenant: _, page_size, page_token } = request.into_inner();
        let page = PageRequest::new(page_size, page_token);
        let page = self.home.store.api_tokens(tenant, &page).await.map_err(refused)?;
        Ok(Response::new(ListTokensResponse {
            tokens: page.items.into_iter().map(message).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn delete_token(
        &self,
        request: Request<DeleteTokenRequest>,
    ) -> Result<Response<DeleteTokenResponse>, Status> {
        let caller = self.caller(request.metadata()).await?;
        let id: TokenId = request.into_inner().id.parse().at("id")?;
        self.home.store.delete_api_token(caller.tenant, id).await.map_err(refused)?;
        Ok(Response::new(DeleteTokenResponse {}))
    }
}

fn message(token: token::ApiToken) -> Token {
    let token::ApiToken { id, tenant, description, admin, created_at } = token;
    Token {
        id: id.to_string(),
        tenant: tenant.into(),
        description,
        created_at: Some(timestamp(created_at)),
        admin,
    }
}

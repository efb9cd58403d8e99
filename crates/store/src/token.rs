//! API tokens: how people's tools prove who they are. Only their hashes are stored.

use jiff::Timestamp;
use rusqlite::{Row, params};
use waggoner_types::{Digest, TenantName, TokenId};

use crate::{
    Error, Kind, Page, PageRequest, Store, Thing,
    column::{Columns as _, OrExists as _, all, micros, one, run},
    error::Stop,
    tenant,
};

/// An API token, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    pub id: TokenId,
    /// The tenant it stands for.
    pub tenant: TenantName,
    /// What it is for, in its maker's words.
    pub description: String,
    /// Whether it may act in every tenant and create tenants.
    pub admin: bool,
    pub created_at: Timestamp,
}

// === impl Store ===

impl Store {
    /// Stores an API token by the SHA-256 of its value.
    pub async fn create_api_token(&self, token: ApiToken, hash: Digest) -> Result<(), Error> {
        self.write("store the API token", move |tx| {
            tenant::require(tx, &token.tenant)?;
            run(
                tx,
                "INSERT INTO api_tokens (id, tenant, hash, admin, description, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    token.id.to_string(),
                    token.tenant.as_str(),
                    hash.0,
                    token.admin,
                    token.description,
                    micros(token.created_at),
                ],
            )
            .or_exists(|| Thing::new(Kind::ApiToken, token.id))?;
            Ok(())
        })
        .await
    }

    /// Finds an API token by the SHA-256 of its value.
    pub async fn find_api_token(&self, hash: Digest) -> Result<Option<ApiToken>, Error> {
        self.read("look for the API token", move |connection| {
            let query = "SELECT * FROM api_tokens WHERE hash = ?1";
            Ok(one(connection, query, [hash.0], api_token)?)
        })
        .await
    }

    /// Lists a tenant's API tokens, oldest first.
    pub async fn api_tokens(
        &self,
        tenant: TenantName,
        page: &PageRequest,
    ) -> Result<Page<ApiToken>, Error> {
        let cut = page.cut("api tokens", [""])?;
        self.read("list API tokens", move |connection| {
            let query = "SELECT * FROM api_tokens WHERE tenant = ?1 AND id > ?2
                         ORDER BY id LIMIT ?3";
            let key = params![tenant.as_str(), cut.after[0], cut.limit()];
            let rows = all(connection, query, key, api_token)?;
            Ok(cut.page(rows, |token| [token.id.to_string()]))
        })
        .await
    }

    /// Deletes an API token: it is refused from now on.
    pub async fn delete_api_token(&self, tenant: TenantName, id: TokenId) -> Result<(), Error> {
        self.write("delete the API token", move |tx| {
            let statement = "DELETE FROM api_tokens WHERE tenant = ?1 AND id = ?2";
            match run(tx, statement, params![tenant.as_str(), id.to_string()])? {
                0 => Err(Stop::missing(Thing::of(&tenant, Kind::ApiToken, id))),
                _ => Ok(()),
            }
        })
        .await
    }
}

fn api_token(row: &Row<'_>) -> rusqlite::Result<ApiToken> {
    Ok(ApiToken {
        id: row.text("id")?,
        tenant: row.text("tenant")?,
        description: row.get("description")?,
        admin: row.get("admin")?,
        created_at: row.time("created_at")?,
    })
}

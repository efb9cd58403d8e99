//! Secrets of a tenant. Their values are sealed before they reach the database.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use secrecy::SecretString;
use waggoner_types::TenantName;

use crate::{
    Error, Kind, Page, PageRequest, Store, Thing,
    column::{Columns as _, all, micros, one, run},
    error::Stop,
    tenant,
};

/// A secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    pub tenant: TenantName,
    pub key: String,
    pub created_at: Timestamp,
    /// When its value was last written.
    pub updated_at: Timestamp,
}

/// Whether a secret that is there already gets a new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    No,
    Yes,
}

// === impl Store ===

impl Store {
    /// Stores a secret.
    pub async fn put_secret(
        &self,
        tenant: TenantName,
        key: String,
        value: &SecretString,
        overwrite: Overwrite,
        now: Timestamp,
    ) -> Result<Secret, Error> {
        let sealed = self.vault().seal(&tenant, &key, value);
        self.write("store the secret", move |tx| {
            tenant::require(tx, &tenant)?;
            let stored = find(tx, &tenant, &key)?;
            if stored.is_some() && overwrite == Overwrite::No {
                return Err(Error::Exists(Thing::of(&tenant, Kind::Secret, &key)).into());
            }
            run(
                tx,
                "INSERT INTO secrets (tenant, key, sealed, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?4)
                 ON CONFLICT DO UPDATE SET sealed = excluded.sealed,
                     updated_at = excluded.updated_at",
                params![tenant.as_str(), key, sealed, micros(now)],
            )?;
            let created_at = stored.map_or(now, |stored| stored.created_at);
            Ok(Secret { tenant, key, created_at, updated_at: now })
        })
        .await
    }

    /// Returns a secret with its value.
    pub async fn secret(
        &self,
        tenant: TenantName,
        key: String,
    ) -> Result<(Secret, SecretString), Error> {
        const READ: &str = "read the secret";

        let read = self.read(READ, move |connection| {
            let query = "SELECT * FROM secrets WHERE tenant = ?1 AND key = ?2";
            let both = |row: &Row<'_>| Ok((secret(row)?, row.get::<_, Vec<u8>>("sealed")?));
            one(connection, query, params![tenant.as_str(), key], both)?
                .ok_or_else(|| missing(&tenant, &key))
        });
        let (secret, sealed) = read.await?;
        let value = self.vault().unseal(&secret.tenant, &secret.key, &sealed);
        let value =
            value.map_err(|foreign| Error::Failed { attempt: READ, source: foreign.into() })?;
        Ok((secret, value))
    }

    /// Lists a tenant's secrets by key, without their values.
    pub async fn secrets(
        &self,
        tenant: TenantName,
        page: &PageRequest,
    ) -> Result<Page<Secret>, Error> {
        let cut = page.cut("secrets", [""])?;
        self.read("list secrets", move |connection| {
            let query =
                "SELECT * FROM secrets WHERE tenant = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
            let key = params![tenant.as_str(), cut.after[0], cut.limit()];
            let rows = all(connection, query, key, secret)?;
            Ok(cut.page(rows, |secret| [secret.key.clone()]))
        })
        .await
    }

    /// Deletes a secret.
    pub async fn delete_secret(&self, tenant: TenantName, key: String) -> Result<(), Error> {
        self.write("delete the secret", move |tx| {
            let statement = "DELETE FROM secrets WHERE tenant = ?1 AND key = ?2";
            match run(tx, statement, params![tenant.as_str(), key])? {
                0 => Err(missing(&tenant, &key)),
                _ => Ok(()),
            }
        })
        .await
    }
}

fn find(
    connection: &Connection,
    tenant: &TenantName,
    key: &str,
) -> rusqlite::Result<Option<Secret>> {
    let query = "SELECT * FROM secrets WHERE tenant = ?1 AND key = ?2";
    one(connection, query, params![tenant.as_str(), key], secret)
}

fn missing(tenant: &TenantName, key: &str) -> Stop {
    Stop::missing(Thing::of(tenant, Kind::Secret, key))
}

fn secret(row: &Row<'_>) -> rusqlite::Result<Secret> {
    Ok(Secret {
        tenant: row.text("tenant")?,
        key: row.get("key")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

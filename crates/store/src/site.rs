//! Sites, and what is noted of deployments: where each is, and its name for people.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use waggoner_types::{DeploymentId, TenantName};

use crate::{
    Deletion, Error, Kind, Store, Thing, Users,
    column::{Columns as _, OrExists as _, all, first, micros, one, run},
    deployment,
    error::Stop,
    label::{self, Labelled},
    tenant,
};

/// A place where deployments are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub tenant: TenantName,
    pub name: String,
    /// Latitude and longitude, as they were given.
    pub location: Option<String>,
    pub created_at: Timestamp,
}

/// What is noted of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentNote {
    /// Its name for people; absent for its id.
    pub display_name: Option<String>,
    /// The site where it is.
    pub site: Option<String>,
}

// === impl Store ===

impl Store {
    /// Stores a site.
    pub async fn create_site(&self, site: Site) -> Result<(), Error> {
        self.write("store the site", move |tx| {
            tenant::require(tx, &site.tenant)?;
            let statement = "INSERT INTO sites (tenant, name, location, created_at)
                             VALUES (?1, ?2, ?3, ?4)";
            let Site { tenant, name, location, created_at } = &site;
            let values = params![tenant.as_str(), name, location, micros(*created_at)];
            run(tx, statement, values).or_exists(|| Thing::of(tenant, Kind::Site, name))?;
            Ok(())
        })
        .await
    }

    /// Gives a site another name or location; what is absent stays. Returns the site.
    pub async fn update_site(
        &self,
        tenant: TenantName,
        name: String,
        new_name: Option<String>,
        location: Option<String>,
    ) -> Result<Site, Error> {
        self.write("change the site", move |tx| {
            require(tx, &tenant, &name)?;
            let new_name = new_name.unwrap_or_else(|| name.clone());
            let statement = "UPDATE sites SET name = ?3, location = coalesce(?4, location)
                             WHERE tenant = ?1 AND name = ?2";
            run(tx, statement, params![tenant.as_str(), name, new_name, location])
                .or_exists(|| Thing::of(&tenant, Kind::Site, &new_name))?;
            require(tx, &tenant, &new_name)
        })
        .await
    }

    /// Returns a site.
    pub async fn site(&self, tenant: TenantName, name: String) -> Result<Site, Error> {
        self.read("read the site", move |connection| require(connection, &tenant, &name)).await
    }

    /// Returns all sites of a tenant by name.
    pub async fn sites(&self, tenant: TenantName) -> Result<Vec<Site>, Error> {
        self.read("list sites", move |connection| {
            let query = "SELECT * FROM sites WHERE tenant = ?1 ORDER BY name";
            Ok(all(connection, query, [tenant.as_str()], site)?)
        })
        .await
    }

    /// Deletes a site. Unless forced, refused while deployments are there.
    pub async fn delete_site(
        &self,
        tenant: TenantName,
        name: String,
        deletion: Deletion,
    ) -> Result<(), Error> {
        self.write("delete the site", move |tx| {
            require(tx, &tenant, &name)?;
            let key = params![tenant.as_str(), name];
            if deletion == Deletion::IfUnused {
                let query = "SELECT deployment FROM deployment_notes
                             WHERE tenant = ?1 AND site = ?2 ORDER BY deployment";
                let users = all(tx, query, key, first)?;
                Users::refuse(|| Thing::of(&tenant, Kind::Site, &name), Kind::Deployment, users)?;
            }
            let statement =
                "UPDATE deployment_notes SET site = NULL WHERE tenant = ?1 AND site = ?2";
            run(tx, statement, key)?;
            run(tx, "DELETE FROM sites WHERE tenant = ?1 AND name = ?2", key)?;
            Ok(())
        })
        .await
    }

    /// Returns what is noted of a deployment.
    pub async fn deployment_note(
        &self,
        tenant: TenantName,
        id: DeploymentId,
    ) -> Result<DeploymentNote, Error> {
        self.read("read what is noted of the deployment", move |connection| {
            Ok(read_note(connection, &tenant, &id)?)
        })
        .await
    }

    /// Changes where a deployment is and its name for people, and, if there are some, lets it have
    /// these labels and no others, in one write.
    pub async fn amend_deployment(
        &self,
        tenant: TenantName,
        id: DeploymentId,
        labels: Option<Vec<(String, String)>>,
        amend: impl FnOnce(&mut DeploymentNote) + Send + 'static,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write("change what is noted of the deployment", move |tx| {
            deployment::require(tx, &tenant, &id)?;
            let mut note = read_note(tx, &tenant, &id)?;
            amend(&mut note);
            put_note(tx, &tenant, &id, &note)?;
            if let Some(labels) = labels {
                label::set(tx, &tenant, &Labelled::Deployment(id), labels, now)?;
            }
            Ok(())
        })
        .await
    }
}

fn read_note(
    connection: &Connection,
    tenant: &TenantName,
    id: &DeploymentId,
) -> rusqlite::Result<DeploymentNote> {
    let query = "SELECT * FROM deployment_notes WHERE tenant = ?1 AND deployment = ?2";
    Ok(one(connection, query, params![tenant.as_str(), id.as_str()], note)?.unwrap_or_default())
}

/// Notes something of a deployment that is there.
pub(crate) fn put_note(
    connection: &Connection,
    tenant: &TenantName,
    id: &DeploymentId,
    note: &DeploymentNote,
) -> Result<(), Stop> {
    let DeploymentNote { display_name, site } = note;
    if let Some(name) = site {
        require(connection, tenant, name)?;
    }
    let statement = "INSERT INTO deployment_notes (tenant, deployment, display_name, site)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET display_name = excluded.display_name, site = excluded.site";
    run(connection, statement, params![tenant.as_str(), id.as_str(), display_name, site])?;
    Ok(())
}

fn require(connection: &Connection, tenant: &TenantName, name: &str) -> Result<Site, Stop> {
    let query = "SELECT * FROM sites WHERE tenant = ?1 AND name = ?2";
    one(connection, query, params![tenant.as_str(), name], site)?
        .ok_or_else(|| Stop::missing(Thing::of(tenant, Kind::Site, name)))
}

fn site(row: &Row<'_>) -> rusqlite::Result<Site> {
    Ok(Site {
        tenant: row.text("tenant")?,
        name: row.get("name")?,
        location: row.get("location")?,
        created_at: row.time("created_at")?,
    })
}

fn note(row: &Row<'_>) -> rusqlite::Result<DeploymentNote> {
    Ok(DeploymentNote { display_name: row.get("display_name")?, site: row.get("site")? })
}

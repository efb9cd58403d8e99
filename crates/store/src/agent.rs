//! Agents, their certificates, and the deny-list of those that were removed.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use waggoner_types::{AgentName, AgentRole, Digest, Host, TenantName};

use crate::{
    Error, Kind, Page, PageRequest, Store, Thing,
    column::{Columns as _, OrExists as _, all, first, json_text, maybe_micros, micros, one, run},
    error::Stop,
    tenant,
};

/// An agent, as the manager remembers it. Whether it has a link now, only its link knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    pub tenant: TenantName,
    pub name: AgentName,
    pub role: AgentRole,
    /// Where the manager dials it: host:port. Absent where the agent dials.
    pub address: Option<String>,
    pub created_at: Timestamp,
    /// When the manager last heard of it.
    pub last_seen_at: Option<Timestamp>,
    /// Its version; empty before its first greeting.
    pub version: String,
    pub host: Host,
    /// Its newest certificate.
    pub certificate: Option<Certificate>,
    /// Since when it takes no new operations; absent while it takes them.
    pub drained_at: Option<Timestamp>,
    /// How many of its attempts have not ended. Not stored with it.
    pub running: u32,
}

/// A certificate that the manager gave to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its serial number, in lower-case hexadecimal.
    pub serial: String,
    pub expires_at: Timestamp,
    /// The SHA-256 of its public key.
    pub key_hash: Digest,
}

/// What an agent says of itself when its link comes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    pub version: String,
    pub host: Host,
    pub at: Timestamp,
}

const SELECT: &str = "SELECT a.*, c.expires_at AS serial_expires_at, c.key_hash,
        (SELECT count(*) FROM attempts t
         WHERE t.tenant = a.tenant AND t.agent = a.name AND t.ended_at IS NULL) AS running
    FROM agents a LEFT JOIN certificates c ON c.serial = a.serial";

// === impl Store ===

impl Store {
    /// Adds an agent.
    pub async fn create_agent(&self, agent: Agent) -> Result<(), Error> {
        self.write("store the agent", move |tx| {
            tenant::require(tx, &agent.tenant)?;
            insert(tx, &agent)
        })
        .await
    }

    /// Returns an agent.
    pub async fn agent(&self, tenant: TenantName, name: AgentName) -> Result<Agent, Error> {
        self.read("read the agent", move |connection| {
            find(connection, &tenant, &name)?.ok_or_else(|| missing(&tenant, &name))
        })
        .await
    }

    /// Lists a tenant's agents by name.
    pub async fn agents(
        &self,
        tenant: TenantName,
        page: &PageRequest,
    ) -> Result<Page<Agent>, Error> {
        let cut = page.cut("agents", [""])?;
        self.read("list agents", move |connection| {
            let query =
                format!("{SELECT} WHERE a.tenant = ?1 AND a.name > ?2 ORDER BY a.name LIMIT ?3");
            let key = params![tenant.as_str(), cut.after[0], cut.limit()];
            let rows = all(connection, &query, key, agent)?;
            Ok(cut.page(rows, |agent| [agent.name.to_string()]))
        })
        .await
    }

    /// Returns every tenant's agents that the manager dials.
    pub async fn listening_agents(&self) -> Result<Vec<Agent>, Error> {
        self.read("list the agents to dial", |connection| {
            let query = format!("{SELECT} WHERE a.address IS NOT NULL ORDER BY a.tenant, a.name");
            Ok(all(connection, &query, [], agent)?)
        })
        .await
    }

    /// Returns a tenant's agents of a role, by name.
    pub async fn agents_of_role(
        &self,
        tenant: TenantName,
        role: AgentRole,
    ) -> Result<Vec<Agent>, Error> {
        self.read("list the agents of a role", move |connection| {
            let query = format!("{SELECT} WHERE a.tenant = ?1 AND a.role = ?2 ORDER BY a.name");
            Ok(all(connection, &query, params![tenant.as_str(), role.as_str()], agent)?)
        })
        .await
    }

    /// Lets an agent have no new attempts from now on, or have them again. Returns the agent.
    pub async fn drain_agent(
        &self,
        tenant: TenantName,
        name: AgentName,
        since: Option<Timestamp>,
    ) -> Result<Agent, Error> {
        self.write("note whether the agent is drained", move |tx| {
            // Who is drained already stays so since then.
            let statement = "UPDATE agents
                             SET drained_at = iif(?3 IS NULL, NULL, coalesce(drained_at, ?3))
                             WHERE tenant = ?1 AND name = ?2";
            let values = params![tenant.as_str(), name.as_str(), maybe_micros(since)];
            changed(run(tx, statement, values)?, &tenant, &name)?;
            find(tx, &tenant, &name)?.ok_or_else(|| missing(&tenant, &name))
        })
        .await
    }

    /// Returns every tenant's agents that are drained.
    pub async fn drained_agents(&self) -> Result<Vec<Agent>, Error> {
        self.read("list the drained agents", |connection| {
            let query = format!("{SELECT} WHERE a.drained_at IS NOT NULL");
            Ok(all(connection, &query, [], agent)?)
        })
        .await
    }

    /// Notes the certificate that an agent was given. Its earlier ones stay good until they end.
    pub async fn certify_agent(
        &self,
        tenant: TenantName,
        name: AgentName,
        certificate: Certificate,
    ) -> Result<(), Error> {
        self.write("note the agent's certificate", move |tx| {
            insert_certificate(tx, &tenant, &name, &certificate)?;
            let statement = "UPDATE agents SET serial = ?3 WHERE tenant = ?1 AND name = ?2";
            let key = params![tenant.as_str(), name.as_str(), certificate.serial];
            changed(run(tx, statement, key)?, &tenant, &name)
        })
        .await
    }

    /// Notes what an agent said of itself. Its earlier certificates that have ended are forgotten.
    pub async fn greet_agent(
        &self,
        tenant: TenantName,
        name: AgentName,
        greeting: Greeting,
    ) -> Result<(), Error> {
        self.write("note the agent's greeting", move |tx| {
            let statement = "UPDATE agents SET version = ?3, host = ?4, last_seen_at = ?5
                             WHERE tenant = ?1 AND name = ?2";
            let host = json_text(&greeting.host);
            let at = micros(greeting.at);
            let values = params![tenant.as_str(), name.as_str(), greeting.version, host, at];
            changed(run(tx, statement, values)?, &tenant, &name)?;
            let forget = "DELETE FROM certificates WHERE tenant = ?1 AND agent = ?2
                 AND expires_at <= ?3 AND serial IS NOT
                     (SELECT serial FROM agents WHERE tenant = ?1 AND name = ?2)";
            run(tx, forget, params![tenant.as_str(), name.as_str(), at])?;
            Ok(())
        })
        .await
    }

    /// Notes when the manager last heard of an agent.
    pub async fn saw_agent(
        &self,
        tenant: TenantName,
        name: AgentName,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.write("note that the agent was seen", move |tx| {
            let statement = "UPDATE agents SET last_seen_at = ?3 WHERE tenant = ?1 AND name = ?2";
            let values = params![tenant.as_str(), name.as_str(), micros(at)];
            changed(run(tx, statement, values)?, &tenant, &name)
        })
        .await
    }

    /// Removes an agent and denies all its certificates from now on. Returns what it was.
    pub async fn remove_agent(
        &self,
        tenant: TenantName,
        name: AgentName,
        now: Timestamp,
    ) -> Result<Agent, Error> {
        self.write("remove the agent", move |tx| {
            let agent = find(tx, &tenant, &name)?.ok_or_else(|| missing(&tenant, &name))?;
            run(tx, "DELETE FROM certificates WHERE expires_at <= ?1", [micros(now)])?;
            let deny = "UPDATE certificates SET denied_at = ?3
                        WHERE tenant = ?1 AND agent = ?2 AND denied_at IS NULL";
            run(tx, deny, params![tenant.as_str(), name.as_str(), micros(now)])?;
            let delete = "DELETE FROM agents WHERE tenant = ?1 AND name = ?2";
            run(tx, delete, params![tenant.as_str(), name.as_str()])?;
            Ok(agent)
        })
        .await
    }

    /// Returns the serial numbers of the certificates that are denied and have not expired.
    pub async fn denied_serials(&self, now: Timestamp) -> Result<Vec<String>, Error> {
        self.read("read the denied certificates", move |connection| {
            let query = "SELECT serial FROM certificates
                         WHERE denied_at IS NOT NULL AND expires_at > ?1";
            Ok(all(connection, query, [micros(now)], first)?)
        })
        .await
    }
}

/// Adds an agent with its certificate.
pub(crate) fn insert(connection: &Connection, agent: &Agent) -> Result<(), Stop> {
    let serial = agent.certificate.as_ref().map(|certificate| certificate.serial.as_str());
    run(
        connection,
        "INSERT INTO agents
            (tenant, name, role, address, created_at, last_seen_at, version, host, serial,
             drained_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            agent.tenant.as_str(),
            agent.name.as_str(),
            agent.role.as_str(),
            agent.address,
            micros(agent.created_at),
            maybe_micros(agent.last_seen_at),
            agent.version,
            json_text(&agent.host),
            serial,
            maybe_micros(agent.drained_at),
        ],
    )
    .or_exists(|| Thing::of(&agent.tenant, Kind::Agent, &agent.name))?;
    match &agent.certificate {
        Some(certificate) => {
            insert_certificate(connection, &agent.tenant, &agent.name, certificate)
        }
        None => Ok(()),
    }
}

/// Says whether an agent is there and takes no new attempts.
pub(crate) fn is_drained(
    connection: &Connection,
    tenant: &TenantName,
    name: &AgentName,
) -> rusqlite::Result<bool> {
    let query = "SELECT 1 FROM agents
                 WHERE tenant = ?1 AND name = ?2 AND drained_at IS NOT NULL";
    let key = params![tenant.as_str(), name.as_str()];
    Ok(one(connection, query, key, |row| row.get::<_, i64>(0))?.is_some())
}

pub(crate) fn find(
    connection: &Connection,
    tenant: &TenantName,
    name: &AgentName,
) -> rusqlite::Result<Option<Agent>> {
    let query = format!("{SELECT} WHERE a.tenant = ?1 AND a.name = ?2");
    one(connection, &query, params![tenant.as_str(), name.as_str()], agent)
}

/// Removes an agent's row to make room for one that takes its place.
pub(crate) fn replace(connection: &Connection, agent: &Agent) -> Result<(), Stop> {
    let delete = "DELETE FROM agents WHERE tenant = ?1 AND name = ?2";
    run(connection, delete, params![agent.tenant.as_str(), agent.name.as_str()])?;
    insert(connection, agent)
}

fn insert_certificate(
    connection: &Connection,
    tenant: &TenantName,
    name: &AgentName,
    certificate: &Certificate,
) -> Result<(), Stop> {
    run(
        connection,
        "INSERT OR IGNORE INTO certificates (serial, tenant, agent, key_hash, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            certificate.serial,
            tenant.as_str(),
            name.as_str(),
            certificate.key_hash.0,
            micros(certificate.expires_at),
        ],
    )?;
    Ok(())
}

fn changed(rows: usize, tenant: &TenantName, name: &AgentName) -> Result<(), Stop> {
    if rows == 0 { Err(missing(tenant, name)) } else { Ok(()) }
}

fn missing(tenant: &TenantName, name: &AgentName) -> Stop {
    Stop::missing(Thing::of(tenant, Kind::Agent, name))
}

fn agent(row: &Row<'_>) -> rusqlite::Result<Agent> {
    let certificate = match row.get::<_, Option<String>>("serial")? {
        // A certificate's row goes once it has expired.
        Some(serial) => match row.maybe_time("serial_expires_at")? {
            Some(expires_at) => {
                Some(Certificate { serial, expires_at, key_hash: row.digest("key_hash")? })
            }
            None => None,
        },
        None => None,
    };
    Ok(Agent {
        tenant: row.text("tenant")?,
        name: row.text("name")?,
        role: row.text("role")?,
        address: row.get("address")?,
        created_at: row.time("created_at")?,
        last_seen_at: row.maybe_time("last_seen_at")?,
        version: row.get("version")?,
        host: row.json("host")?,
        certificate,
        drained_at: row.maybe_time("drained_at")?,
        running: row.get("running")?,
    })
}

//! Agents, tenants, secrets, tokens and the manager itself.

use serde_json::{Value, json};
use waggoner_proto::v1::{
    Agent, CreateJoinTokenResponse, CreateTokenResponse, GetStatusResponse, Limits, Secret, Tenant,
    Token,
};

use super::{Mood, Record, seconds, time, word};
use crate::ui::Clock;

impl Record for Agent {
    const COLUMNS: &'static [&'static str] =
        &["name", "role", "connected", "drained", "running", "platform", "seen", "problem"];

    fn shape(&self) -> Value {
        let Self {
            name,
            tenant,
            role: _,
            connected,
            created_at,
            last_seen_at,
            certificate_expires_at,
            version,
            hostname,
            platform,
            address,
            running,
            python_tags,
            problem,
            clock_offset,
            drained_at,
        } = self;
        json!({
            "name": name,
            "tenant": tenant,
            "role": word(self.role().as_str_name(), "AGENT_ROLE_"),
            "connected": connected,
            "created_at": time(created_at.as_ref()),
            "last_seen_at": time(last_seen_at.as_ref()),
            "certificate_expires_at": time(certificate_expires_at.as_ref()),
            "version": version,
            "hostname": hostname,
            "platform": platform,
            "address": address,
            "running": running,
            "python_tags": python_tags,
            "problem": problem,
            "clock_offset": seconds(clock_offset.as_ref()),
            "drained_at": time(drained_at.as_ref()),
        })
    }

    fn row(&self, clock: &Clock) -> Vec<String> {
        vec![
            self.name.clone(),
            word(self.role().as_str_name(), "AGENT_ROLE_").as_str().unwrap_or("-").to_owned(),
            yes_or_no(self.connected),
            yes_or_no(self.drained_at.is_some()),
            self.running.to_string(),
            self.platform.clone(),
            clock.day(self.last_seen_at.as_ref()),
            self.problem.clone(),
        ]
    }

    fn mood(&self) -> Mood {
        match (self.connected, self.problem.is_empty()) {
            (true, _) => Mood::Plain,
            (false, true) => Mood::Gone,
            (false, false) => Mood::Bad,
        }
    }
}

impl Record for Tenant {
    const COLUMNS: &'static [&'static str] = &["name", "created"];

    fn shape(&self) -> Value {
        let Self { name, created_at } = self;
        json!({ "name": name, "created_at": time(created_at.as_ref()) })
    }

    fn row(&self, clock: &Clock) -> Vec<String> {
        vec![self.name.clone(), clock.day(self.created_at.as_ref())]
    }
}

impl Record for Secret {
    const COLUMNS: &'static [&'static str] = &["key", "created", "changed"];

    /// The value is null where the manager keeps it to itself, as in lists.
    fn shape(&self) -> Value {
        let Self { key, tenant, value, created_at, updated_at } = self;
        json!({
            "key": key,
            "tenant": tenant,
            "value": (!value.is_empty()).then_some(value),
            "created_at": time(created_at.as_ref()),
            "updated_at": time(updated_at.as_ref()),
        })
    }

    fn row(&self, clock: &Clock) -> Vec<String> {
        vec![
            self.key.clone(),
            clock.day(self.created_at.as_ref()),
            clock.day(self.updated_at.as_ref()),
        ]
    }
}

impl Record for Token {
    const COLUMNS: &'static [&'static str] = &["id", "tenant", "admin", "description", "created"];

    fn shape(&self) -> Value {
        let Self { id, tenant, description, created_at, admin } = self;
        json!({
            "id": id,
            "tenant": tenant,
            "description": description,
            "created_at": time(created_at.as_ref()),
            "admin": admin,
        })
    }

    fn row(&self, clock: &Clock) -> Vec<String> {
        vec![
            self.id.clone(),
            self.tenant.clone(),
            yes_or_no(self.admin),
            self.description.clone(),
            clock.day(self.created_at.as_ref()),
        ]
    }
}

/// The shape of an API token that was made: the token's record and its value, this once.
pub(crate) fn token_made(answer: &CreateTokenResponse) -> Value {
    let CreateTokenResponse { token, value } = answer;
    json!({ "token": token.as_ref().map(Record::shape), "value": value })
}

/// The shape of a join token.
pub(crate) fn join_token(answer: &CreateJoinTokenResponse) -> Value {
    let CreateJoinTokenResponse { token, expires_at } = answer;
    json!({ "token": token, "expires_at": time(expires_at.as_ref()) })
}

/// The shape of the manager's condition.
pub(crate) fn status(answer: &GetStatusResponse, address: &str) -> Value {
    let GetStatusResponse {
        version,
        protocol_min,
        protocol_max,
        capabilities,
        now,
        started_at,
        tenant,
        agents_connected,
        executions_running,
        limits,
    } = answer;
    let limits = limits.as_ref().map(|limits| {
        let Limits { message_bytes, plugin_bytes, blueprint_bytes, page_size, request_id_seconds } =
            limits;
        json!({
            "message_bytes": message_bytes,
            "plugin_bytes": plugin_bytes,
            "blueprint_bytes": blueprint_bytes,
            "page_size": page_size,
            "request_id_seconds": request_id_seconds,
        })
    });
    json!({
        "address": address,
        "version": version,
        "protocol_min": protocol_min,
        "protocol_max": protocol_max,
        "capabilities": capabilities,
        "now": time(now.as_ref()),
        "started_at": time(started_at.as_ref()),
        "tenant": tenant,
        "agents_connected": agents_connected,
        "executions_running": executions_running,
        "limits": limits,
    })
}

fn yes_or_no(given: bool) -> String {
    if given { "yes" } else { "no" }.to_owned()
}

//! What is answered to a request.

use jiff::Timestamp;
use serde_json::{Value, json};
use waggoner_types::TenantName;

use crate::executions::answers::Unanswered;

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// A status and a JSON value.
    Value(u16, Value),
    /// A resource, under the name that it is to be kept by.
    File { path: String, name: String },
    /// A thing of the tenant as it is then.
    Thing { status: u16, resource: &'static str, id: String },
    /// What was kept of an answer, as it travels.
    Told(Value),
}

pub(super) type Answered = Result<Reply, Unanswered>;

// === impl Reply ===

#[expect(clippy::unnecessary_wraps, reason = "they end functions that answer")]
impl Reply {
    /// Done, with nothing to say.
    pub(super) const NONE: Self = Self::Value(204, Value::Null);

    pub(super) fn ok(value: Value) -> Answered {
        Ok(Self::Value(200, value))
    }

    /// Done, with nothing to say: what stock clients answer `None` for.
    pub(super) fn none() -> Answered {
        Ok(Self::NONE)
    }

    /// A thing that was changed, as it is then.
    pub(super) fn changed(resource: &'static str, id: impl Into<String>) -> Self {
        Self::Thing { status: 200, resource, id: id.into() }
    }

    /// A thing that was made.
    pub(super) fn made(resource: &'static str, id: impl Into<String>) -> Self {
        Self::Thing { status: 201, resource, id: id.into() }
    }

    /// Returns the thing that an answer means: its status, the resource's name and the id.
    pub(super) fn thing(answer: &Value) -> Option<(u16, &str, &str)> {
        let [resource, id] = answer.get("thing")?.as_array()?.as_slice() else { return None };
        let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        Some((status?, resource.as_str()?, id.as_str()?))
    }

    /// As it travels, and as it is kept.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Value(status, body) => json!({ "status": status, "body": body }),
            Self::File { path, name } => {
                json!({ "status": 200, "file": { "path": path, "name": name } })
            }
            Self::Thing { status, resource, id } => {
                json!({ "status": status, "thing": [resource, id] })
            }
            Self::Told(told) => told.clone(),
        }
    }
}

/// A time as Cloudify shows it.
pub(in crate::executions) fn time(time: Timestamp) -> Value {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string().into()
}

/// The same, where it may be absent.
pub(super) fn maybe_time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, time)
}

/// Adds what everything that belongs to a tenant shows. There is one user here, and nothing is
/// hidden from others of the tenant.
pub(in crate::executions) fn owned(tenant: &TenantName, mut shown: Value) -> Value {
    shown["visibility"] = "tenant".into();
    shown["tenant_name"] = tenant.as_str().into();
    shown["created_by"] = "admin".into();
    shown["resource_availability"] = "tenant".into();
    shown["private_resource"] = false.into();
    shown
}

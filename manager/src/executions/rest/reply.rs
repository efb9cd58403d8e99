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
}

pub(super) type Answered = Result<Reply, Unanswered>;

// === impl Reply ===

#[expect(clippy::unnecessary_wraps, reason = "they end functions that answer")]
impl Reply {
    pub(super) fn ok(value: Value) -> Answered {
        Ok(Self::Value(200, value))
    }

    pub(super) fn created(value: Value) -> Answered {
        Ok(Self::Value(201, value))
    }

    /// Done, with nothing to say: what stock clients answer `None` for.
    pub(super) fn none() -> Answered {
        Ok(Self::Value(204, Value::Null))
    }

    /// As it travels.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Value(status, body) => json!({ "status": status, "body": body }),
            Self::File { path, name } => {
                json!({ "status": 200, "file": { "path": path, "name": name } })
            }
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

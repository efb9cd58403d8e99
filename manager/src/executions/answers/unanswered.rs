//! Why there is no answer, as Cloudify's REST API says it.

use serde_json::{Value, json};
use waggoner_proto::agent::v1::Refusal;
use waggoner_types::Chain;
use waggoner_wire::{Reason, Refused};

/// Why there is no answer, as Cloudify's REST API would say it.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered {
    pub(crate) reason: &'static str,
    pub(crate) status: u32,
    /// One of [`ERROR_CODES`].
    pub(crate) error_code: &'static str,
    pub(crate) message: String,
}

/// The words that a reason may be.
pub(crate) const REASONS: [&str; 4] = ["NOT_FOUND", "VERSION_CONFLICT", "INVALID", "UNAVAILABLE"];

/// The error codes that we say, of those the stock client knows
/// (`cloudify_rest_client/exceptions.py`); the first is for what has none of its own.
pub(crate) const ERROR_CODES: [&str; 19] = [
    "internal_server_error",
    "bad_parameters_error",
    "blueprint_in_use",
    "conflict_error",
    "dependent_exists_error",
    "existing_running_execution_error",
    "functions_evaluation_error",
    "illegal_action_error",
    "illegal_execution_parameters_error",
    "invalid_blueprint_error",
    "invalid_plugin_error",
    "missing_required_deployment_input_error",
    "no_such_include_field_error",
    "nonexistent_workflow_error",
    "not_found_error",
    "plugin_in_use",
    "unavailable_workflow_error",
    "unknown_deployment_secret_error",
    "upload_missing_file",
];

// === impl Unanswered ===

impl Unanswered {
    /// Something is not there, in Cloudify's words: tools look for "not found".
    pub(crate) fn not_found(kind: &str, id: &str) -> Self {
        Self {
            reason: "NOT_FOUND",
            status: 404,
            error_code: "not_found_error",
            message: format!("Requested `{kind}` with ID `{id}` was not found"),
        }
    }

    pub(crate) fn invalid(message: &str) -> Self {
        Self::refused("bad_parameters_error", message)
    }

    /// A refusal with a code of its own, status 400.
    pub(crate) fn refused(error_code: &'static str, message: impl Into<String>) -> Self {
        Self { reason: "INVALID", status: 400, error_code, message: message.into() }
    }

    pub(crate) fn conflict(message: String) -> Self {
        Self { reason: "INVALID", status: 409, error_code: "conflict_error", message }
    }

    pub(crate) fn failed(error: &waggoner_store::Error) -> Self {
        use waggoner_store::{Error, Kind};
        let refused = |status, error_code| Self {
            reason: "INVALID",
            status,
            error_code,
            message: error.to_string(),
        };
        match error {
            // In Cloudify's words: tools look for "not found".
            Error::Missing(thing) => Self::not_found(&named(thing.kind), &thing.name),
            Error::Exists(thing) => Self::conflict(format!("the {thing} exists already")),
            Error::InUse { thing, by } => match (thing.kind, by.kind) {
                (Kind::Plugin, _) => refused(405, "plugin_in_use"),
                (Kind::Blueprint, _) => refused(405, "blueprint_in_use"),
                (_, Kind::Execution) => refused(400, "existing_running_execution_error"),
                _ => refused(400, "dependent_exists_error"),
            },
            Error::InvalidPageToken | Error::RequestReused { .. } => {
                refused(400, "bad_parameters_error")
            }
            error => Self::broken(error),
        }
    }

    pub(crate) fn broken(error: &dyn std::error::Error) -> Self {
        Self {
            reason: "UNAVAILABLE",
            status: 500,
            error_code: "internal_server_error",
            message: Chain(error).to_string(),
        }
    }

    /// The body of an answer of the REST API that says so.
    pub(crate) fn body(&self) -> Value {
        json!({
            "message": self.message,
            "error_code": self.error_code,
            "server_traceback": null,
        })
    }
}

/// A kind as Cloudify names its class.
fn named(kind: waggoner_store::Kind) -> String {
    let words = kind.to_string();
    let capitals = words.split(' ').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{}{rest}", first.to_uppercase())
    });
    capitals.collect()
}

impl From<waggoner_store::Error> for Unanswered {
    fn from(error: waggoner_store::Error) -> Self {
        Self::failed(&error)
    }
}

/// What people's API refuses, Cloudify's refuses as well.
impl From<Refused> for Unanswered {
    fn from(refused: Refused) -> Self {
        let (status, error_code) = match refused.reason {
            Reason::NotFound => (404, "not_found_error"),
            Reason::AlreadyExists | Reason::PluginExists | Reason::SecretExists => {
                (409, "conflict_error")
            }
            Reason::PluginInUse => (405, "plugin_in_use"),
            Reason::BlueprintInUse => (405, "blueprint_in_use"),
            Reason::DeploymentInUse | Reason::TenantInUse => (400, "dependent_exists_error"),
            Reason::ExecutionRunning => (400, "existing_running_execution_error"),
            Reason::ExecutionEnded => (400, "illegal_action_error"),
            Reason::UnknownWorkflow => (400, "nonexistent_workflow_error"),
            Reason::WorkflowUnavailable => (400, "unavailable_workflow_error"),
            Reason::InvalidParameters => (400, "illegal_execution_parameters_error"),
            Reason::InvalidInputs => (400, "missing_required_deployment_input_error"),
            Reason::UnknownSecret => (400, "unknown_deployment_secret_error"),
            Reason::InvalidBlueprint | Reason::InvalidArchive | Reason::PluginNotFound => {
                (400, "invalid_blueprint_error")
            }
            Reason::InvalidWagon | Reason::InvalidPluginYaml => (400, "invalid_plugin_error"),
            Reason::Internal | Reason::Unavailable => (500, "internal_server_error"),
            _ => (400, "bad_parameters_error"),
        };
        let reason = match status {
            404 => "NOT_FOUND",
            500 => "UNAVAILABLE",
            _ => "INVALID",
        };
        Self { reason, status, error_code, message: refused.message }
    }
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Self {
        let Unanswered { reason, status, error_code, message } = unanswered;
        Self { reason: reason.to_owned(), message, status, error_code: error_code.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named_in_cloudifys_words() {
        assert_eq!(named(waggoner_store::Kind::NodeInstance), "NodeInstance");
        assert_eq!(named(waggoner_store::Kind::Secret), "Secret");
    }
}

//! Refusals: what a caller is told when its request cannot be taken.
//!
//! A refusal is a gRPC status with `google.rpc` details: always an `ErrorInfo` with a stable reason
//! (AIP-193), and a violation for each field that is wrong.

use std::fmt;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every reason.
const DOMAIN: &str = "waggoner";

/// Declares the stable reasons, each with its gRPC code.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $text:literal, $code:ident;)*) => {
        /// Why a request was refused: stable words that clients may match on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
        }

        impl Reason {
            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $text,)*
                }
            }

            /// The gRPC code that goes with it.
            pub const fn code(self) -> Code {
                match self {
                    $(Self::$reason => Code::$code,)*
                }
            }
        }
    };
}

reasons! {
    /// A field is missing or wrong.
    InvalidField = "INVALID_FIELD", InvalidArgument;
    /// An upload's bytes do not have the digest or size that was announced.
    DigestMismatch = "DIGEST_MISMATCH", DataLoss;
    /// An archive is not a sound wagon.
    InvalidWagon = "INVALID_WAGON", InvalidArgument;
    /// A plugin.yaml is not sound or does not go with its wagon.
    InvalidPluginYaml = "INVALID_PLUGIN_YAML", InvalidArgument;
    /// An archive is not a sound blueprint archive.
    InvalidArchive = "INVALID_ARCHIVE", InvalidArgument;
    /// A blueprint does not parse.
    InvalidBlueprint = "INVALID_BLUEPRINT", InvalidArgument;
    /// Inputs are missing, unknown or wrong.
    InvalidInputs = "INVALID_INPUTS", InvalidArgument;
    /// A deployment needs a secret that is not there.
    UnknownSecret = "UNKNOWN_SECRET", InvalidArgument;
    /// A workflow's parameters are missing, unknown or wrong.
    InvalidParameters = "INVALID_PARAMETERS", InvalidArgument;
    /// The deployment has no such workflow.
    UnknownWorkflow = "UNKNOWN_WORKFLOW", InvalidArgument;
    /// A page token was not made by this list.
    InvalidPageToken = "INVALID_PAGE_TOKEN", InvalidArgument;
    /// There is no such thing.
    NotFound = "NOT_FOUND", NotFound;
    /// There is such a thing already.
    AlreadyExists = "ALREADY_EXISTS", AlreadyExists;
    /// The same package, version and platform is there already.
    PluginExists = "PLUGIN_EXISTS", AlreadyExists;
    /// A secret of that key is there already.
    SecretExists = "SECRET_EXISTS", AlreadyExists;
    /// The request id was used for another request.
    RequestIdReused = "REQUEST_ID_REUSED", AlreadyExists;
    /// A blueprint needs a plugin that is not there.
    PluginNotFound = "PLUGIN_NOT_FOUND", FailedPrecondition;
    /// A blueprint uses the plugin.
    PluginInUse = "PLUGIN_IN_USE", FailedPrecondition;
    /// A deployment uses the blueprint.
    BlueprintInUse = "BLUEPRINT_IN_USE", FailedPrecondition;
    /// The deployment lives.
    DeploymentInUse = "DEPLOYMENT_IN_USE", FailedPrecondition;
    /// The tenant is not empty.
    TenantInUse = "TENANT_IN_USE", FailedPrecondition;
    /// Another execution changes the deployment.
    ExecutionRunning = "EXECUTION_RUNNING", FailedPrecondition;
    /// The execution has ended.
    ExecutionEnded = "EXECUTION_ENDED", FailedPrecondition;
    /// The workflow does not fit the deployment's state.
    WorkflowUnavailable = "WORKFLOW_UNAVAILABLE", FailedPrecondition;
    /// No protocol version is common.
    ProtocolMismatch = "PROTOCOL_MISMATCH", FailedPrecondition;
    /// The two sides of an attempt hold different records of it.
    HistoryMismatch = "HISTORY_MISMATCH", DataLoss;
    /// The agent's host was started anew while the operation ran, and its journal lost records that
    /// the manager holds.
    HostRebooted = "HOST_REBOOTED", DataLoss;
    /// A stored version is newer than the given one.
    VersionConflict = "VERSION_CONFLICT", Aborted;
    /// No API token was given, or it is unknown.
    Unauthenticated = "UNAUTHENTICATED", Unauthenticated;
    /// The API token does not stand for this.
    Forbidden = "FORBIDDEN", PermissionDenied;
    /// The join token is unknown.
    TokenUnknown = "TOKEN_UNKNOWN", PermissionDenied;
    /// The join token's time is over.
    TokenExpired = "TOKEN_EXPIRED", PermissionDenied;
    /// The join token was used by another key.
    TokenUsed = "TOKEN_USED", PermissionDenied;
    /// The join token is good for another name only.
    NameMismatch = "NAME_MISMATCH", PermissionDenied;
    /// The agent is too busy, or a bound is reached.
    Exhausted = "EXHAUSTED", ResourceExhausted;
    /// Something needed is not there now.
    Unavailable = "UNAVAILABLE", Unavailable;
    /// A bug.
    Internal = "INTERNAL", Internal;
}

/// A refusal: a reason, a sentence, and what it is about.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The stable reason.
    pub reason: Reason,
    /// The sentence for people: what was attempted, why it failed, what to do.
    pub message: String,
    /// The fields or places at fault, each with its own sentence.
    pub violations: Vec<(String, String)>,
}

/// Names the field at fault.
pub trait At<T> {
    /// Turns a failure into a refusal of the field at `path`.
    fn at(self, path: &str) -> Result<T, Refused>;
}

// === impl Refused ===

impl Refused {
    /// A refusal for a reason, in one sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), violations: Vec::new() }
    }

    /// A refusal of the field at `path`.
    pub fn field(path: &str, why: impl fmt::Display) -> Self {
        Self::new(Reason::InvalidField, format!("`{path}` cannot be taken: {why}"))
            .violation(path, why)
    }

    /// A refusal because the field at `path` is missing.
    pub fn missing(path: &str) -> Self {
        Self::field(path, "the field is required")
    }

    /// A refusal because there is no such thing.
    pub fn not_found(kind: &str, name: impl fmt::Display) -> Self {
        Self::new(Reason::NotFound, format!("there is no {kind} `{name}`"))
    }

    /// Adds a field or place at fault.
    pub fn violation(mut self, path: &str, why: impl fmt::Display) -> Self {
        self.violations.push((path.to_owned(), why.to_string()));
        self
    }
}

impl Reason {
    /// Says whether a status has a reason of ours: the peer itself refuses, and not what is between.
    pub fn is_in(status: &Status) -> bool {
        status.get_error_details().error_info().is_some_and(|info| info.domain == DOMAIN)
    }

    /// Says whether this is the reason of a status.
    pub fn is_of(self, status: &Status) -> bool {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        info.is_some_and(|info| info.reason == self.as_str())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(refused.reason.as_str(), DOMAIN, []);
        for (path, why) in &refused.violations {
            details.add_bad_request_violation(path, why);
        }
        Status::with_error_details(refused.reason.code(), refused.message, details)
    }
}

// === impl At ===

impl<T, E: fmt::Display> At<T> for Result<T, E> {
    fn at(self, path: &str) -> Result<T, Refused> {
        self.map_err(|why| Refused::field(path, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_reason_and_field() {
        let status = Status::from(Refused::field("tenant", "it is empty"));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "`tenant` cannot be taken: it is empty");
        assert!(Reason::InvalidField.is_of(&status) && !Reason::Internal.is_of(&status));
        assert!(Reason::is_in(&status) && !Reason::is_in(&Status::unavailable("broken pipe")));
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "INVALID_FIELD");
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!((violations[0].field.as_str(), violations.len()), ("tenant", 1));
    }
}

//! What the store refuses, as a caller is told.

use tracing::error;
use waggoner_store::{Error, Kind, artifact::ArtifactError};
use waggoner_types::Chain;
use waggoner_wire::{Reason, Refused};

/// The refusal of a store's error.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(crate) fn refused(error: Error) -> Refused {
    let reason = match &error {
        Error::Missing(_) => Reason::NotFound,
        Error::Exists(thing) => match thing.kind {
            Kind::Plugin => Reason::PluginExists,
            Kind::Secret => Reason::SecretExists,
            _ => Reason::AlreadyExists,
        },
        Error::InUse { thing, by } => match (thing.kind, by.kind) {
            (Kind::Plugin, _) => Reason::PluginInUse,
            (Kind::Blueprint, _) => Reason::BlueprintInUse,
            (Kind::Deployment | Kind::Execution, Kind::Execution) => Reason::ExecutionRunning,
            (Kind::Tenant, _) => Reason::TenantInUse,
            _ => Reason::DeploymentInUse,
        },
        Error::Drained(_) | Error::Decided => Reason::Unavailable,
        Error::InvalidPageToken => Reason::InvalidPageToken,
        Error::RequestReused { .. } => Reason::RequestIdReused,
        Error::Failed { .. } => {
            error!(error = %Chain(&error), "the store failed");
            Reason::Internal
        }
    };
    Refused::new(reason, Chain(&error).to_string())
}

/// The refusal of an upload's bytes.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(crate) fn not_taken(error: ArtifactError) -> Refused {
    let reason = match &error {
        ArtifactError::Size { .. } | ArtifactError::Digest { .. } => Reason::DigestMismatch,
        ArtifactError::Missing { .. } => Reason::NotFound,
        ArtifactError::Io { .. } => {
            error!(error = %Chain(&error), "failed to keep an artifact");
            Reason::Internal
        }
    };
    Refused::new(reason, Chain(&error).to_string())
}

//! Python environments, from artifacts that the manager has sent.

use waggoner_python::{Environment, EnvironmentError, EnvironmentSpec, Environments, WagonFile};
use waggoner_types::{Chain, Digest, OperationError};
use waggoner_wire::{Reason, Refused};

use crate::{artifacts::Artifacts, start};

/// Why there is no environment for a plugin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error(
        "the wagon {digest} of the plugin `{package}` is not on this agent: the manager has to send \
         it first"
    )]
    NoWagon { package: String, digest: Digest },

    #[error(transparent)]
    Environment(#[from] EnvironmentError),
}

/// Returns the environment, built first if nobody did. Cancel safe: who waits goes on building.
pub(crate) async fn prepare(
    environments: &Environments,
    artifacts: &Artifacts,
    wanted: &start::Environment,
) -> Result<Environment, PrepareError> {
    let wagon = |digest: Digest| match artifacts.find(digest) {
        Some(path) => Ok(WagonFile { path, digest }),
        None => Err(PrepareError::NoWagon { package: wanted.package_name.clone(), digest }),
    };
    let spec = EnvironmentSpec {
        package_name: wanted.package_name.clone(),
        package_version: wanted.package_version.clone(),
        wagon: wagon(wanted.wagon)?,
        extra_wagons: wanted.extra_wagons.iter().copied().map(wagon).collect::<Result<_, _>>()?,
        python_tags: Vec::new(),
        install_arguments: wanted.install_arguments.clone(),
    };
    Ok(environments.ensure(&spec).await?)
}

// === impl PrepareError ===

impl PrepareError {
    /// What it means for an operation that needs the environment.
    pub(crate) fn for_operation(&self) -> OperationError {
        let sentence = Chain(self).to_string();
        if self.is_hosts() {
            OperationError::recoverable(sentence)
        } else {
            OperationError::non_recoverable(sentence)
        }
    }

    /// Says whether the host is at fault, which may be well again later.
    fn is_hosts(&self) -> bool {
        match self {
            Self::NoWagon { .. } | Self::Environment(EnvironmentError::Host { .. }) => true,
            Self::Environment(
                EnvironmentError::NoInterpreter { .. }
                | EnvironmentError::NoTool { .. }
                | EnvironmentError::Wagon { .. }
                | EnvironmentError::OtherWagon { .. }
                | EnvironmentError::NoCommon { .. }
                | EnvironmentError::BrokenWheel { .. }
                | EnvironmentError::Install { .. },
            ) => false,
        }
    }
}

impl From<PrepareError> for Refused {
    fn from(error: PrepareError) -> Self {
        let reason = match &error {
            PrepareError::NoWagon { .. } => Reason::NotFound,
            _ if error.is_hosts() => Reason::Unavailable,
            PrepareError::Environment(_) => Reason::InvalidWagon,
        };
        Self::new(reason, Chain(&error).to_string())
    }
}

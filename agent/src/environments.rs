//! Python environments, from artifacts that the manager has sent.

use std::{pin::pin, time::Duration};

use tokio::time::Instant;
use waggoner_python::{
    Environment, EnvironmentError, EnvironmentSpec, Environments, Progress, WagonFile,
};
use waggoner_types::{Body, Chain, Digest, LogLevel, OperationError};
use waggoner_wire::{Reason, Refused};

use crate::{artifacts::Artifacts, attempt::Attempt, house::House, start};

mod installs;
mod upkeep;

pub(crate) use self::{
    installs::{Installs, State},
    upkeep::{keep, remove},
};

/// Why there is no environment for a plugin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error(
        "the artifact {digest} of the plugin `{package}` is not on this agent: the manager has to \
         send it first"
    )]
    NoArtifact { package: String, digest: Digest },

    #[error(transparent)]
    Environment(#[from] EnvironmentError),
}

/// Who waits for an environment, and hears how far it is: an operation, in its own log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting<'a> {
    pub(crate) attempt: &'a Attempt,
    /// The name of the operation's logger.
    pub(crate) logger: &'a str,
}

/// Returns a plugin's environment, built first if nobody did. Cancel safe: who waits goes on
/// building.
pub(crate) async fn install(
    house: &House,
    wanted: &start::Environment,
    waiting: Option<Waiting<'_>>,
) -> Result<Environment, PrepareError> {
    let (environments, artifacts) = (&house.environments, &house.artifacts);
    if let Some(ready) = held(house, wanted).await {
        return Ok(ready);
    }
    let mut progress = environments.progress(&spec(artifacts, wanted));
    let mut told = house.installs.begin(wanted);
    let begun = Instant::now();
    let mut ready = pin!(prepare(environments, artifacts, wanted));
    let ready = loop {
        tokio::select! {
            biased;
            ready = &mut ready => break ready,
            Ok(()) = progress.changed() => {
                let step = *progress.borrow_and_update();
                if let (Some(step), Some(waiting)) = (step, &waiting) {
                    waiting.tell(wanted, step).await;
                }
            }
        }
    };
    match &ready {
        Ok(environment) => {
            told.settle(State::Installed);
            if let Some(waiting) = &waiting
                && !environment.reused
            {
                waiting.done(wanted, begun.elapsed()).await;
            }
        }
        Err(error) => told.settle(State::Failed(Chain(error).to_string())),
    }
    ready
}

/// Returns a plugin's environment if it is ready, and keeps it and what it was made of.
pub(crate) async fn held(house: &House, wanted: &start::Environment) -> Option<Environment> {
    let ready = house.environments.find(&spec(&house.artifacts, wanted)).await?;
    for digest in wanted.artifacts() {
        house.artifacts.touch(digest);
    }
    house.installs.note(wanted, State::Installed);
    Some(ready)
}

/// Returns the environment, built first if nobody did. Cancel safe: who waits goes on building.
pub(crate) async fn prepare(
    environments: &Environments,
    artifacts: &Artifacts,
    wanted: &start::Environment,
) -> Result<Environment, PrepareError> {
    if let Some(digest) = wanted.artifacts().find(|digest| artifacts.find(*digest).is_none()) {
        return Err(PrepareError::NoArtifact { package: wanted.package_name.clone(), digest });
    }
    Ok(environments.ensure(&spec(artifacts, wanted)).await?)
}

fn spec(artifacts: &Artifacts, wanted: &start::Environment) -> EnvironmentSpec {
    let wagon = |digest: Digest| WagonFile { path: artifacts.path(digest), digest };
    EnvironmentSpec {
        package_name: wanted.package_name.clone(),
        package_version: wanted.package_version.clone(),
        wagon: wagon(wanted.artifact),
        form: wanted.form,
        extra_wagons: wanted.extra_wagons.iter().copied().map(wagon).collect(),
        python_tags: Vec::new(),
        install_arguments: wanted.install_arguments.clone(),
    }
}

// === impl Waiting ===

impl Waiting<'_> {
    async fn tell(&self, wanted: &start::Environment, step: Progress) {
        self.say(format!("Installing plugin {}: {step}", wanted.title())).await;
    }

    async fn done(&self, wanted: &start::Environment, took: Duration) {
        let seconds = took.as_secs_f64();
        self.say(format!("Installed plugin {} in {seconds:.1} seconds", wanted.title())).await;
    }

    /// Says something, once for each text: another life of the daemon may come to say it again.
    async fn say(&self, message: String) {
        let key = self.attempt.once(&message);
        let logger = self.logger.to_owned();
        self.attempt.append(Body::Log { level: LogLevel::Info, logger, message }, key).await;
    }
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
            Self::NoArtifact { .. } | Self::Environment(EnvironmentError::Host { .. }) => true,
            // The tool says it in the words of strerror(3).
            Self::Environment(
                EnvironmentError::Install { source, .. } | EnvironmentError::Build { source, .. },
            ) => source.to_string().contains("No space left on device"),
            Self::Environment(EnvironmentError::Wagon { source, .. }) => {
                source.flaw.is_of_the_host()
            }
            Self::Environment(
                EnvironmentError::NoInterpreter { .. }
                | EnvironmentError::NoTool { .. }
                | EnvironmentError::OtherWagon { .. }
                | EnvironmentError::NoCommon { .. }
                | EnvironmentError::NoCommonForSources { .. }
                | EnvironmentError::NoProject { .. }
                | EnvironmentError::BrokenWheel { .. },
            ) => false,
        }
    }
}

impl From<PrepareError> for Refused {
    fn from(error: PrepareError) -> Self {
        let reason = match &error {
            PrepareError::NoArtifact { .. } => Reason::NotFound,
            _ if error.is_hosts() => Reason::Unavailable,
            PrepareError::Environment(_) => Reason::InvalidWagon,
        };
        Self::new(reason, Chain(&error).to_string())
    }
}

//! One operation run here by an agent of its own, with `wag` in the manager's place.
//!
//! ```text
//!  door    enrols the agent, and takes the link that it opens
//!  talk    start ▶, ◀ records, ◀ questions, answers ▶, cancel ▶
//!  world   the node instances, and what is evaluated against them; rest, the REST API over it
//! ```
//!
//! The contract with the agent is the manager's own; nothing of it outlives the command.

use std::{io, net::SocketAddr, time::Duration};

use secrecy::SecretString;
use tonic::Status;
use waggoner_identity::{CaError, IssueError};
use waggoner_link::LinkError;
use waggoner_proto::agent::v1 as pb;
use waggoner_types::{ErrorKind, OperationError, Outcome, Record, TenantName};

mod bodies;
mod door;
mod files;
mod orders;
mod rest;
mod talk;
mod world;

use self::{door::Door, talk::Link};
pub(crate) use self::{
    orders::Orders,
    world::{Subject, World},
};
use crate::{
    error::Exit,
    site::{LoneAgent, Site, SiteError},
    source::Tree,
};

/// How long the agent may take to be connected.
const CONNECTED: Duration = Duration::from_mins(1);

/// An agent of our own.
pub(crate) struct Trial {
    agent: LoneAgent,
    door: Door,
    link: Option<Link>,
}

/// What the agent listens to.
#[derive(Debug)]
struct Place {
    address: SocketAddr,
    token: SecretString,
}

/// Why an operation could not be run here.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error("failed to make a CA for the agent")]
    Ca(#[source] CaError),
    #[error("failed to make a certificate")]
    Issue(#[source] IssueError),
    #[error("failed to wait for the agent")]
    Listen(#[source] io::Error),
    #[error("failed to speak with the agent")]
    Link(#[source] LinkError),
    #[error("failed to link the agent within {0:?}")]
    Late(Duration),
    #[error("failed to read the wagon")]
    Wagon(#[source] io::Error),
    #[error("failed to bring the plugin to the agent: {}", .0.message())]
    Bring(Box<Status>),
    #[error("failed to run the operation: {}", .0.message())]
    Talk(Box<Status>),
    #[error("failed to run the operation: the agent hung up before it said how it ended")]
    HungUp,
    #[error("failed to understand what the agent says")]
    Unreadable(#[source] waggoner_wire::Refused),
    #[error("failed to evaluate the properties or the inputs: {0}")]
    Evaluate(String),
    #[error(transparent)]
    Site(#[from] SiteError),
    /// It ran, and ended otherwise than well.
    #[error("the operation `{function}` {}: {}", failed(.error), told(.error))]
    Operation { function: String, error: Box<OperationError> },
}

// === impl Trial ===

impl Trial {
    /// Starts the agent. Whatever becomes of it, [`Trial::end`] has to be called.
    pub(crate) async fn begin(site: &Site, tenant: &TenantName) -> Result<Self, TrialError> {
        let door = Door::open(tenant).await?;
        let Place { address, token } = door.place()?;
        let agent = site.lone_agent(tenant, address, &token).await?;
        Ok(Self { agent, door, link: None })
    }

    /// Waits for the agent, and brings it the plugin.
    pub(crate) async fn prepare(&mut self, tree: &Tree) -> Result<(), TrialError> {
        let link = tokio::select! {
            linked = Box::pin(self.door.link()) => linked?,
            ended = self.agent.ended() => return Err(ended.into()),
            () = tokio::time::sleep(CONNECTED) => return Err(TrialError::Late(CONNECTED)),
        };
        let link = self.link.insert(link);
        link.bring(tree).await
    }

    /// Runs an operation to its end. An order cancels it, a second one kills it.
    pub(crate) async fn run(
        &mut self,
        start: pb::Start,
        world: &mut World,
        orders: &mut Orders,
        told: &mut dyn FnMut(Record),
    ) -> Result<Outcome, TrialError> {
        let link = self.link.as_ref().ok_or(TrialError::HungUp)?;
        tokio::select! {
            outcome = link.converse(start, world, orders, told) => outcome,
            ended = self.agent.ended() => Err(ended.into()),
        }
    }

    /// Ends the agent and all it has started.
    pub(crate) async fn end(self, site: &Site) -> Result<(), TrialError> {
        drop(self.link);
        Ok(self.agent.stop(site).await?)
    }
}

/// The environment of a tree, as the agent is told of it.
pub(crate) fn environment(tree: &Tree) -> pb::Environment {
    pb::Environment {
        package_name: tree.package_name.clone(),
        package_version: tree.package_version.clone(),
        wagon_digest: tree.digest.to_string(),
        ..pb::Environment::default()
    }
}

// === impl TrialError ===

impl TrialError {
    /// What the command ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Site(error) => error.exit(),
            Self::Operation { error, .. } if may_pass(error) => Exit::Again,
            _ => Exit::Failed,
        }
    }

    /// The traceback of the operation, or the end of the agent's log.
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::Operation { error, .. } => error.traceback.lines().map(str::to_owned).collect(),
            Self::Site(error) => error.details(),
            _ => Vec::new(),
        }
    }

    /// What the reader can do.
    pub fn hint(&self) -> Option<String> {
        let error = match self {
            Self::Operation { error, .. } if may_pass(error) => error,
            Self::Site(error) => return error.hint(),
            _ => return None,
        };
        let after = error.retry_after.map(|after| format!(" after {} s", after.as_secs_f64()));
        let after = after.unwrap_or_default();
        let here = "`--retries COUNT` does so here";
        Some(if error.kind == ErrorKind::Retry {
            format!("a workflow would run it again{after}; {here}")
        } else {
            format!(
                "the error is recoverable, so a workflow would run it again{after}; {here}; where \
                 that cannot help, raise NonRecoverableError"
            )
        })
    }
}

/// Whether trying again may help.
pub(crate) fn may_pass(error: &OperationError) -> bool {
    matches!(error.kind, ErrorKind::Recoverable | ErrorKind::Retry)
}

fn failed(error: &OperationError) -> &'static str {
    match error.kind {
        ErrorKind::Retry => "asks to be run again",
        ErrorKind::Cancelled => "was cancelled",
        ErrorKind::Recoverable | ErrorKind::NonRecoverable => "failed",
    }
}

fn told(error: &OperationError) -> String {
    let OperationError { exception_type, message, .. } = error;
    match (error.kind, exception_type.as_str()) {
        (ErrorKind::Retry, _) | (_, "") => message.clone(),
        (_, exception_type) => format!("{exception_type}: {message}"),
    }
}

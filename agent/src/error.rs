//! What can stop the agent, who can do something about it, and how the process says so.

use std::{io, net::SocketAddr, process::ExitCode};

use camino::Utf8PathBuf;
use waggoner_identity::{IdentityError, InvalidToken, KeyError};
use waggoner_types::{Chain, Fault};

use crate::{enrol::EnrolError, facade::FacadeError, journal::JournalError, state::StateError};

/// Why the agent did not start, or did not keep running.
///
/// A message names what was attempted and never repeats its source: [`Chain`] prints the causes,
/// each once.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("failed to start the async runtime")]
    Runtime(#[source] io::Error),

    #[error("failed to find the agent's own program, which scripts call as `ctx`")]
    Program(#[source] io::Error),

    #[error(transparent)]
    State(#[from] StateError),

    #[error(transparent)]
    Facade(#[from] FacadeError),

    #[error(transparent)]
    Journal(#[from] JournalError),

    #[error("failed to open the artifacts")]
    Artifacts(#[source] io::Error),

    #[error("failed to load the agent's identity")]
    Identity(#[source] IdentityError),

    #[error("failed to make the agent's key")]
    Key(#[source] KeyError),

    #[error(
        "this agent has no certificate that is still good: make a join token with `wag agents token \
         create`, put it into a file, and name that with --join"
    )]
    NoJoinToken,

    #[error("failed to read the join token")]
    JoinFile(#[source] io::Error),

    #[error("failed to read the join token in `{path}`")]
    JoinToken {
        path: Utf8PathBuf,
        #[source]
        source: InvalidToken,
    },

    #[error(
        "neither a manager to dial nor an address to listen on was given: use --manager or --listen"
    )]
    NoManager,

    #[error("the agent has not joined its manager")]
    NotJoined,

    #[error(transparent)]
    Enrol(#[from] EnrolError),

    #[error("failed to listen on `{address}`")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },

    #[error("the agent stopped on its own")]
    Run(#[source] waggoner_task::Failure),
}

// === impl StartError ===

impl StartError {
    /// Says who can do something about it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::State(StateError::Taken { .. })
            | Self::NoJoinToken
            | Self::JoinFile(_)
            | Self::JoinToken { .. }
            | Self::NoManager
            | Self::Identity(_)
            | Self::Enrol(EnrolError::Refused(_) | EnrolError::Install(_)) => Fault::Config,
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrNotAvailable => {
                Fault::Config
            }
            Self::Runtime(_)
            | Self::Program(_)
            | Self::State(_)
            | Self::Facade(_)
            | Self::Journal(_)
            | Self::Artifacts(_)
            | Self::Key(_)
            | Self::Enrol(_)
            | Self::Listen { .. } => Fault::Environment,
            Self::NotJoined | Self::Run(_) => Fault::Bug,
        }
    }
}

/// Tells the operator what happened, on stderr, and picks the exit code.
#[expect(clippy::print_stderr, reason = "the last words of the process")]
pub fn report(error: &StartError) -> ExitCode {
    eprintln!("error: {}", Chain(error));
    ExitCode::from(error.fault().exit_code())
}

//! What can stop the manager, who can fix it, and how the process says so.

use std::{io, net::SocketAddr, process::ExitCode};

use camino::Utf8PathBuf;
use waggoner_types::{Chain, Fault};

/// Why the manager did not start, or did not keep running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("failed to start the async runtime")]
    Runtime(#[source] io::Error),
    #[error("failed to listen on `{address}`")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("failed to use the data directory `{path}`")]
    DataDir {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to open the database")]
    Store(#[source] waggoner_store::OpenError),
    #[error("failed to prepare the database")]
    Prepare(#[source] waggoner_store::Error),
    #[error("failed to have a CA")]
    Ca(#[source] waggoner_identity::CaError),
    #[error("failed to make the manager's own certificate")]
    Certificate(#[source] waggoner_identity::IssueError),
    #[error("the manager stopped on its own")]
    Run(#[source] waggoner_task::Failure),
}

// === impl StartError ===

impl StartError {
    /// Who can do something about it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrNotAvailable => {
                Fault::Config
            }
            Self::Ca(_) | Self::Store(_) => Fault::Config,
            Self::Runtime(_) | Self::Listen { .. } | Self::DataDir { .. } | Self::Prepare(_) => {
                Fault::Environment
            }
            Self::Certificate(_) | Self::Run(_) => Fault::Bug,
        }
    }

    /// What the reader can do, when we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => Some("another manager may be running on this host"),
                io::ErrorKind::AddrNotAvailable => Some("no interface has this address"),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Tells the operator what happened, on standard error, and picks the exit code.
#[expect(clippy::print_stderr, reason = "the last words of the process")]
pub fn report(error: &StartError) -> ExitCode {
    eprintln!("error: {}", Chain(error));
    if let Some(hint) = error.hint() {
        eprintln!(" hint: {hint}");
    }
    ExitCode::from(error.fault().exit_code())
}

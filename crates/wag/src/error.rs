//! What can go wrong, who can help, and what the command ends with.

use std::io;

use camino::Utf8PathBuf;

use crate::{
    client::ClientError, inputs::InputsError, profile::ProfileError, site::SiteError,
    source::SourceError, trial::TrialError,
};

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The manager said no, or the same check made here.
    Refused = 3,
    /// What was asked for is not there.
    NotFound = 4,
    /// Trying again may help, or was asked for: `EX_TEMPFAIL`.
    Again = 75,
    /// No manager can be reached: `EX_UNAVAILABLE`.
    Unreachable = 69,
    /// Ours: `EX_SOFTWARE`.
    Bug = 70,
    /// Interrupted from the keyboard: 128 and the signal's number.
    Interrupted = 130,
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to start the async runtime")]
    Runtime(#[source] io::Error),
    #[error("failed to write to the standard output")]
    Stdout(#[source] io::Error),
    #[error("failed to read the standard input")]
    Stdin(#[source] io::Error),
    #[error("failed to read the value of the secret")]
    SecretFile(#[source] io::Error),
    #[error("failed to read the value of the secret: it is not UTF-8")]
    SecretText,
    #[error("failed to write `{path}`")]
    Write {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to download the wagon: it arrived with the digest {arrived}, not {announced}")]
    Damaged { arrived: String, announced: String },
    #[error("failed to run `{program}`")]
    Exec {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Inputs(#[from] InputsError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// An agent could not install or remove a plugin.
    #[error("failed on agent `{agent}`: {why}")]
    NotInstalled { agent: String, why: String },
    /// An execution that was followed ended otherwise than well.
    #[error("the execution `{id}` of `{workflow}` {how}")]
    Execution { id: String, workflow: String, how: &'static str, why: Option<String> },
    #[error("failed to draw a picture: `--output svg` is for `blueprints graph` only")]
    NoPicture,
    #[error(
        "failed to wait for agent `{agent}`: it is drained, and {running} of its operations run on"
    )]
    NotIdle { agent: String, running: u32 },
    #[error("interrupted")]
    Interrupted,
    #[error("interrupted; the execution `{0}` goes on")]
    Unwatched(String),
    #[error(
        "failed to use the deployment `{deployment}`: it is one of the blueprint `{blueprint}`"
    )]
    OtherBlueprint { deployment: String, blueprint: String },
    #[error("failed to choose a deployment: `wag up` made several: {0}")]
    WhichDeployment(String),
}

// === impl Error ===

impl Error {
    /// What the command ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) => error.exit(),
            Self::Profile(error) => error.exit(),
            Self::Source(error) => error.exit(),
            Self::Site(error) => error.exit(),
            Self::Trial(error) => error.exit(),
            Self::NoPicture => Exit::Usage,
            Self::Interrupted | Self::Unwatched(_) => Exit::Interrupted,
            Self::OtherBlueprint { .. } => Exit::Refused,
            Self::Runtime(_) | Self::Damaged { .. } => Exit::Bug,
            Self::Stdout(_)
            | Self::Stdin(_)
            | Self::SecretFile(_)
            | Self::SecretText
            | Self::Write { .. }
            | Self::Exec { .. }
            | Self::Inputs(_)
            | Self::Execution { .. }
            | Self::NotInstalled { .. }
            | Self::NotIdle { .. }
            | Self::WhichDeployment(_) => Exit::Failed,
        }
    }

    /// What belongs below the sentence, one a line: the findings of a refusal, the end of a log.
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::Client(error) => error.details(),
            Self::Inputs(error) => error.details(),
            Self::Site(error) => error.details(),
            Self::Trial(error) => error.details(),
            Self::Source(error) => error.details(),
            Self::Execution { why, .. } => why.iter().filter_map(|why| first_line(why)).collect(),
            _ => Vec::new(),
        }
    }

    /// What the reader can do, when we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => error.hint().map(str::to_owned),
            Self::Profile(error) => error.hint().map(str::to_owned),
            Self::Inputs(error) => error.hint().map(str::to_owned),
            Self::Source(error) => error.hint().map(str::to_owned),
            Self::Site(error) => error.hint(),
            Self::Trial(error) => error.hint(),
            Self::Execution { id, workflow, .. } if workflow == "uninstall" => Some(format!(
                "`wag events {id}` shows all it did; `wag down --force` goes on nevertheless"
            )),
            Self::Execution { id, .. } => Some(format!("`wag events {id}` shows all it did")),
            Self::Unwatched(id) => Some(format!(
                "`wag events --follow {id}` follows it, `wag executions cancel {id}` ends it"
            )),
            Self::NotIdle { agent, .. } => Some(format!(
                "`wag executions list` shows what runs, `wag agents drain {agent} --wait` waits on"
            )),
            Self::Damaged { .. } => Some("try again".to_owned()),
            Self::OtherBlueprint { .. } => Some("name another with --deployment-id".to_owned()),
            Self::WhichDeployment(_) => Some("name one, or take back `--all`".to_owned()),
            _ => None,
        }
    }

    /// Whether the reader of our output went away, which is no news to them.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Stdout(source) if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The first line of a text; an ellipsis stands for the others.
fn first_line(text: &str) -> Option<String> {
    let mut lines = text.lines();
    let first = lines.next()?.to_owned();
    Some(if lines.next().is_some() { first + " …" } else { first })
}

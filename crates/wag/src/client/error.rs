//! What a manager's refusal says, from its `google.rpc` details.

use std::fmt;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use waggoner_link::DialError as Dial;

use super::DialError;
use crate::error::Exit;

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("failed to reach the manager")]
    Dial {
        address: String,
        #[source]
        source: DialError,
    },
    #[error("failed to use the profile's token: it holds characters that no token has")]
    Token,
    #[error("{0}")]
    Unavailable(String),
    #[error("failed to get an answer from the manager in time")]
    Late,
    #[error("{0}")]
    Refused(Refusal),
    #[error("the manager failed: {0}")]
    Broken(String),
    #[error("the manager's answer lacks its {0}")]
    Hollow(&'static str),
    #[error("the manager's list does not end: it named the same page twice")]
    Endless,
    #[error("failed to read `{path}` while it was uploaded")]
    Upload {
        path: camino::Utf8PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// A manager's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    /// One sentence.
    pub message: String,
    /// The stable word for it, such as `PLUGIN_NOT_FOUND`.
    pub reason: Option<String>,
    /// What was found wrong, one a line, with its place.
    pub violations: Vec<String>,
}

// === impl ClientError ===

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let message = sentence(&status);
        // A status with a cause was made on this side: the connection broke under the call.
        let is_ours = std::error::Error::source(&status).is_some();
        match status.code() {
            _ if is_ours => Self::Unavailable(format!("failed to reach the manager: {message}")),
            Code::Unavailable => Self::Unavailable(message),
            Code::DeadlineExceeded => Self::Late,
            Code::Internal | Code::Unknown => Self::Broken(message),
            code => Self::Refused(Refusal::new(code, message, &status)),
        }
    }
}

impl ClientError {
    /// What the command ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Dial { source: DialError::Authority(_), .. } | Self::Token => Exit::Failed,
            Self::Dial { .. } | Self::Unavailable(_) | Self::Late => Exit::Unreachable,
            Self::Refused(refusal) if refusal.code == Code::NotFound => Exit::NotFound,
            Self::Refused(_) => Exit::Refused,
            Self::Broken(_) | Self::Hollow(_) | Self::Endless => Exit::Bug,
            Self::Upload { .. } => Exit::Failed,
        }
    }

    /// What was found wrong, one a line.
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::Refused(refusal) => refusal.violations.clone(),
            _ => Vec::new(),
        }
    }

    /// What the reader can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Dial { source: DialError::Dial(Dial::Connect { .. }), .. } => {
                Some("`wag up` starts the manager of this host; --profile names that of another")
            }
            Self::Dial { source: DialError::Dial(Dial::Tls { .. }), .. } => {
                Some("the profile may be another manager's: compare its address with what listens")
            }
            Self::Refused(refusal) => refusal.hint(),
            Self::Broken(_) | Self::Endless => Some("the manager's log says more"),
            _ => None,
        }
    }

    /// Whether the manager says that the thing is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == Code::NotFound)
    }
}

// === impl Refusal ===

impl Refusal {
    fn new(code: Code, message: String, status: &Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.clone());
        let fields = details.bad_request().map(|bad| bad.field_violations.as_slice());
        let fields =
            fields.unwrap_or_default().iter().map(|violation| match violation.field.as_str() {
                "" => violation.description.clone(),
                field => format!("{field}: {}", violation.description),
            });
        let conditions = details.precondition_failure().map(|failure| &failure.violations);
        let conditions =
            conditions.into_iter().flatten().map(|violation| match violation.subject.as_str() {
                "" => violation.description.clone(),
                subject => format!("{subject}: {}", violation.description),
            });
        let mut violations: Vec<_> = fields.chain(conditions).collect();
        // One finding is mostly the sentence itself, in slightly other words.
        if let [only] = violations.as_slice()
            && message.contains(beginning(only))
        {
            violations.clear();
        }
        Self { code, message, reason, violations }
    }

    fn hint(&self) -> Option<&'static str> {
        Some(match self.reason.as_deref().unwrap_or_default() {
            "PLUGIN_NOT_FOUND" => {
                "upload it with `wag plugins upload`, or put it beside the blueprint in `plugins/` \
                 and use `wag up`"
            }
            "PLUGIN_EXISTS" => "`wag plugins list` shows it",
            "PLUGIN_IN_USE" => "add --force to delete it nevertheless",
            "DEPLOYMENT_IN_USE" => "`wag executions start uninstall -d ID` uninstalls it",
            "EXECUTION_RUNNING" => "follow it with `wag events --follow`, or cancel it",
            "SECRET_EXISTS" => "add --update to change it",
            "INVALID_INPUTS" => "name inputs with `-i NAME=VALUE` or --inputs",
            "UNKNOWN_SECRET" => "`wag secrets put KEY` stores a secret",
            _ => match self.code {
                Code::Unauthenticated => "the profile's token may be deleted, or another manager's",
                Code::Unimplemented => "the manager is of another version: see `wag status`",
                _ => return None,
            },
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Enough of a finding, without its place, to know it again.
fn beginning(finding: &str) -> &str {
    let what = finding.split_once(": ").map_or(finding, |(_, what)| what);
    let end = what.char_indices().nth(24).map_or(what.len(), |(at, _)| at);
    &what[..end]
}

/// What the status says, or a word for its code where it says nothing.
fn sentence(status: &Status) -> String {
    match status.message().trim() {
        "" => format!("the manager answered {:?}", status.code()),
        message => message.to_owned(),
    }
}

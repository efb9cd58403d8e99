//! Why the store did not do what was asked.

use std::{error, fmt};

use uuid::Uuid;
use waggoner_types::TenantName;

type BoxError = Box<dyn error::Error + Send + Sync>;

/// Why the store did not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no {0}")]
    Missing(Thing),
    #[error("the {0} exists already")]
    Exists(Thing),
    #[error("the {thing} is in use by {by}: {}", by.advice())]
    InUse { thing: Thing, by: Users },
    #[error("the {0} takes no new operations: it is drained")]
    Drained(Thing),
    #[error("the page token is not one of this list: begin again without one")]
    InvalidPageToken,
    #[error("the request id `{id}` was used for a different request: make a new one")]
    RequestReused { id: Uuid },
    #[error("the question was answered before")]
    Decided,
    /// The database itself: a full disk, a damaged file, or a fault of ours.
    #[error("failed to {attempt}")]
    Failed {
        attempt: &'static str,
        #[source]
        source: BoxError,
    },
}

/// A thing in the store, named for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    pub kind: Kind,
    pub name: String,
    /// Where it belongs; absent for what is in no tenant.
    pub tenant: Option<TenantName>,
}

/// The kinds of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tenant,
    ApiToken,
    JoinToken,
    Agent,
    Plugin,
    Blueprint,
    Deployment,
    NodeInstance,
    Execution,
    Operation,
    Attempt,
    Secret,
    Site,
    DeploymentGroup,
    Dependency,
}

/// Who uses a thing: some of them by name, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    pub kind: Kind,
    pub names: Vec<String>,
    pub more: usize,
}

/// Why a query inside the store ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    Refused(Error),
    Broken(BoxError),
}

/// How many users of a thing are named; enough to act on, and it stays a sentence.
const NAMED: usize = 5;

// === impl Error ===

impl Error {
    pub(crate) fn from_stop(stop: Stop, attempt: &'static str) -> Self {
        match stop {
            Stop::Refused(error) => error,
            Stop::Broken(source) => Self::Failed { attempt, source },
        }
    }
}

// === impl Thing ===

impl Thing {
    pub(crate) fn new(kind: Kind, name: impl fmt::Display) -> Self {
        Self { kind, name: name.to_string(), tenant: None }
    }

    pub(crate) fn of(tenant: &TenantName, kind: Kind, name: impl fmt::Display) -> Self {
        Self { kind, name: name.to_string(), tenant: Some(tenant.clone()) }
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)?;
        match &self.tenant {
            Some(tenant) => write!(f, " in the tenant `{tenant}`"),
            None => Ok(()),
        }
    }
}

// === impl Kind ===

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tenant => "tenant",
            Self::ApiToken => "API token",
            Self::JoinToken => "join token",
            Self::Agent => "agent",
            Self::Plugin => "plugin",
            Self::Blueprint => "blueprint",
            Self::Deployment => "deployment",
            Self::NodeInstance => "node instance",
            Self::Execution => "execution",
            Self::Operation => "operation",
            Self::Attempt => "attempt",
            Self::Secret => "secret",
            Self::Site => "site",
            Self::DeploymentGroup => "deployment group",
            Self::Dependency => "dependency",
        })
    }
}

// === impl Users ===

impl Users {
    /// Refuses to touch `thing` if there is anybody in `names`.
    pub(crate) fn refuse(
        thing: impl FnOnce() -> Thing,
        kind: Kind,
        mut names: Vec<String>,
    ) -> Result<(), Stop> {
        if names.is_empty() {
            return Ok(());
        }
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let by = Self { kind, names, more };
        Err(Error::InUse { thing: thing(), by }.into())
    }

    fn advice(&self) -> &'static str {
        match self.kind {
            Kind::NodeInstance => "uninstall it first",
            Kind::Execution => "wait for the end or cancel it",
            _ => "delete what uses it first",
        }
    }
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.names.len() + self.more == 1 { "" } else { "s" };
        write!(f, "the {}{plural} ", self.kind)?;
        for (at, name) in self.names.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}`{name}`")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

// === impl Stop ===

impl Stop {
    pub(crate) fn missing(thing: Thing) -> Self {
        Self::Refused(Error::Missing(thing))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_thing_its_users_and_the_way_out() {
        let thing = || Thing::of(&"t".parse().unwrap(), Kind::Plugin, "p");
        let names = (0..7).map(|n| format!("b{n}")).collect();
        let Err(Stop::Refused(error)) = Users::refuse(thing, Kind::Blueprint, names) else {
            panic!("seven users are in the way");
        };
        assert_eq!(
            error.to_string(),
            "the plugin `p` in the tenant `t` is in use by the blueprints `b0`, `b1`, `b2`, `b3`, \
             `b4` and 2 more: delete what uses it first"
        );
        assert!(Users::refuse(thing, Kind::Blueprint, vec![]).is_ok());
    }
}

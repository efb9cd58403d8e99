//! Names and ids. Each kind is a type of its own and none turns into another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not a name or an id of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {kind}: {reason}")]
pub struct InvalidName {
    given: String,
    kind: &'static str,
    reason: &'static str,
}

// === impl InvalidName ===

impl InvalidName {
    pub(crate) fn new(given: &str, kind: &'static str, reason: &'static str) -> Self {
        Self { given: excerpt(given), kind, reason }
    }
}

/// Declares a name: letters, digits, `_`, `-` and `.`, a letter, digit or `_` first, 255 at the most.
///
/// Such a name is safe as a path component and as a part of a URI, so that the rest of the code
/// uses it as one without looking again.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(given: &str) -> Result<Self, InvalidName> {
                match flaw(given) {
                    None => Ok(Self(given.into())),
                    Some(reason) => {
                        Err(InvalidName { given: excerpt(given), kind: $kind, reason })
                    }
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(given: String) -> Result<Self, InvalidName> {
                given.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Declares an id: a UUID, version 7 where we make it, so that ids sort by age.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub Uuid);

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(given: &str) -> Result<Self, InvalidName> {
                Uuid::try_parse(given).map(Self).map_err(|_| InvalidName {
                    given: excerpt(given),
                    kind: $kind,
                    reason: "it is not a UUID",
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name!(
    /// The name of a tenant.
    TenantName,
    "a tenant's name"
);
name!(
    /// The name of an agent, unique in its tenant.
    AgentName,
    "an agent's name"
);
name!(
    /// The id of a blueprint, chosen by who uploads it.
    BlueprintId,
    "a blueprint's id"
);
name!(
    /// The id of a deployment, chosen by who creates it.
    DeploymentId,
    "a deployment's id"
);

id!(
    /// The id of a plugin.
    PluginId,
    "a plugin's id"
);
id!(
    /// The id of an execution.
    ExecutionId,
    "an execution's id"
);
id!(
    /// The id of an operation: one task of an execution with one retry number. Cloudify's `task_id`.
    OperationId,
    "an operation's id"
);
id!(
    /// The id of an attempt: one delivery of an operation to an agent. The key under which an agent
    /// runs it at most once.
    AttemptId,
    "an attempt's id"
);
id!(
    /// The id of an API token.
    TokenId,
    "a token's id"
);

fn flaw(name: &str) -> Option<&'static str> {
    let mut characters = name.chars();
    let Some(first) = characters.next() else { return Some("it is empty") };
    if name.len() > 255 {
        return Some("it is longer than 255 characters");
    }
    if !first.is_ascii_alphanumeric() && first != '_' {
        return Some("it has to begin with a letter, a digit or `_`");
    }
    if !characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        return Some("only letters, digits, `_`, `-` and `.` are allowed");
    }
    None
}

/// Bounds what a message repeats of what it was given.
fn excerpt(given: &str) -> String {
    const SHOWN: usize = 80;
    match given.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &given[..end]),
        None => given.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_as_a_path_component() {
        for good in ["a", "default_tenant", "vm-1.example", "_x", "9lives"] {
            assert_eq!(good.parse::<AgentName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "a b", "-x", "é", "a\n", "a\0"] {
            assert!(bad.parse::<AgentName>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(256).parse::<AgentName>().is_err());
    }

    #[test]
    fn a_refusal_names_kind_and_reason() {
        let refusal = "a/b".parse::<TenantName>().unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "`a/b` is not a tenant's name: only letters, digits, `_`, `-` and `.` are allowed"
        );
    }
}

//! Which versions will do.

use std::{convert::Infallible, fmt, str::FromStr};

use pep440_rs::{Version, VersionSpecifiers};

/// Which versions of a package will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VersionSpec {
    /// Every one.
    #[default]
    Any,
    /// This one, compared as text: what a blueprint writes without an operator.
    Exactly(String),
    /// Those within the specifiers of PEP 440. Pre-releases only where one is named.
    Within(VersionSpecifiers),
}

// === impl VersionSpec ===

impl VersionSpec {
    pub(crate) fn admits(&self, text: &str, version: &Version) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => {
                wanted.eq_ignore_ascii_case(text)
                    || wanted.eq_ignore_ascii_case(&version.to_string())
            }
            Self::Within(specifiers) => {
                let names_one = specifiers.iter().any(|one| one.version().any_prerelease());
                specifiers.contains(version) && (names_one || !version.any_prerelease())
            }
        }
    }
}

impl FromStr for VersionSpec {
    type Err = Infallible;

    /// Reads `>=1.0,<2` as specifiers, nothing as any version and the rest as one exact version.
    fn from_str(given: &str) -> Result<Self, Infallible> {
        let given = given.trim();
        if given.is_empty() {
            return Ok(Self::Any);
        }
        if let Some(exact) = given.strip_prefix("===") {
            return Ok(Self::Exactly(exact.trim().to_owned()));
        }
        Ok(match given.parse() {
            Ok(specifiers) => Self::Within(specifiers),
            Err(_) => Self::Exactly(given.to_owned()),
        })
    }
}

impl fmt::Display for VersionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Exactly(version) => f.write_str(&crate::refusal::excerpt(version)),
            Self::Within(specifiers) => specifiers.fmt(f),
        }
    }
}

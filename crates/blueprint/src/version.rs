//! The versions of the language.

use serde_json::{Value as Json, json};

use crate::{Kind, Refusal, code};

/// `tosca_definitions_version`, from `cloudify_dsl_1_0` to `cloudify_dsl_1_5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    minor: u8,
}

const PREFIX: &str = "cloudify_dsl_1_";

// === impl Version ===

impl Version {
    pub(crate) const V1_1: Self = Self { minor: 1 };
    pub(crate) const V1_2: Self = Self { minor: 2 };
    pub(crate) const V1_3: Self = Self { minor: 3 };
    pub(crate) const V1_4: Self = Self { minor: 4 };
    pub(crate) const V1_5: Self = Self { minor: 5 };
    pub(crate) const LATEST: Self = Self::V1_5;

    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        text.strip_prefix(PREFIX)
            .and_then(|minor| minor.parse().ok())
            .map(|minor| Self { minor })
            .filter(|version| *version <= Self::LATEST && version.name() == text)
            .ok_or_else(|| {
                let message = format!(
                    "`{text}` is not a version of the blueprint language: expected \
                     `cloudify_dsl_1_0` to `{}`",
                    Self::LATEST.name()
                );
                Refusal::logic(code::UNSUPPORTED_VERSION, message)
            })
    }

    pub(crate) fn name(self) -> String {
        format!("{PREFIX}{}", self.minor)
    }

    /// `1_4`: as in `types_1_4.yaml`.
    pub(crate) fn suffix(self) -> String {
        format!("1_{}", self.minor)
    }

    pub(crate) fn to_json(self) -> Json {
        json!({
            "raw": self.name(),
            "definitions_name": "cloudify_dsl",
            "definitions_version": [1, self.minor],
        })
    }

    /// The version a plan was made for.
    pub(crate) fn of_plan(plan: &Json) -> Self {
        let minor = plan["version"]["definitions_version"][1].as_u64();
        let minor = minor.and_then(|minor| u8::try_from(minor).ok());
        minor.map_or(Self::LATEST, |minor| Self { minor })
    }

    /// Refuses a word of a later version.
    pub(crate) fn require(self, least: Self, what: &str) -> Result<(), Refusal> {
        if self >= least {
            return Ok(());
        }
        let message = format!("{what} needs `{}`, this is `{}`", least.name(), self.name());
        Err(Refusal { kind: Kind::Logic, code: Some(code::VERSION_MISMATCH), message })
    }
}

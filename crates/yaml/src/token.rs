//! The tokens of YAML 1.1.

use crate::Mark;

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) mark: Mark,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    StreamEnd,
    Directive,
    DocumentStart,
    DocumentEnd,
    BlockListStart,
    BlockMapStart,
    BlockEnd,
    FlowListStart,
    FlowListEnd,
    FlowMapStart,
    FlowMapEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag(Tag),
    Scalar { text: String, is_plain: bool },
}

/// The type that a text claims for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// `!`: whatever the value looks like.
    NonSpecific,
    /// `!!name`, one of YAML's own.
    Core(String),
    /// Any other.
    Other(String),
}

// === impl Kind ===

impl Kind {
    /// Names the token as a user would.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::StreamEnd => "the end of the text",
            Self::Directive => "a directive",
            Self::DocumentStart => "`---`",
            Self::DocumentEnd => "`...`",
            Self::BlockListStart | Self::BlockEntry => "`-`",
            Self::BlockMapStart | Self::Key => "a key",
            Self::BlockEnd => "the end of a block",
            Self::FlowListStart => "`[`",
            Self::FlowListEnd => "`]`",
            Self::FlowMapStart => "`{`",
            Self::FlowMapEnd => "`}`",
            Self::FlowEntry => "`,`",
            Self::Value => "`:`",
            Self::Alias(_) => "an alias",
            Self::Anchor(_) => "an anchor",
            Self::Tag(_) => "a tag",
            Self::Scalar { .. } => "a value",
        }
    }
}

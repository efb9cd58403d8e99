//! Why something was refused, in Cloudify's terms and in a sentence.

use std::fmt;

/// What kind of exception `dsl_parser` raises for the same fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The blueprint contradicts itself: an unknown type, a wrong value, a conflict.
    Logic,
    /// The blueprint does not have the shape of one.
    Format,
    /// A value has no place where it is given.
    InputType,
    /// Something else in the text.
    Parsing,
    FunctionEvaluation,
    FunctionValidation,
    UnknownInput,
    MissingInput,
    InputEvaluation,
    Constraint,
    UnknownSecret,
    UnsupportedSecret,
    RecursionLimit,
    UnknownSysEntity,
    UnknownSysProperty,
    /// A value of the right type that makes no sense (Python's `ValueError`).
    Value,
    /// A name that is not there (Python's `KeyError`).
    Key,
    /// A value of a type that cannot be used (Python's `TypeError`).
    Type,
    /// What `dsl_parser` calls an illegal state.
    Runtime,
    /// A relationship type that neither contains nor connects.
    UnsupportedRelationship,
    /// A `connection_type` that is not one.
    ConnectionType,
    /// A node that is connected to one instance was found connected to several.
    AllToOneState,
    /// A connection to one instance inside of a scaling group.
    AllToOneInGroup,
}

/// A fault without its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub kind: Kind,
    /// Cloudify's number for the fault, where it has one.
    pub code: Option<i32>,
    /// One clear sentence, lowercase and without a period.
    pub message: String,
}

// === impl Kind ===

impl Kind {
    /// The name of the exception in `dsl_parser`.
    pub const fn exception(self) -> &'static str {
        match self {
            Self::Logic => "DSLParsingLogicException",
            Self::Format => "DSLParsingFormatException",
            Self::InputType => "DSLParsingInputTypeException",
            Self::Parsing => "DSLParsingException",
            Self::FunctionEvaluation => "FunctionEvaluationError",
            Self::FunctionValidation => "FunctionValidationError",
            Self::UnknownInput => "UnknownInputError",
            Self::MissingInput => "MissingRequiredInputError",
            Self::InputEvaluation => "InputEvaluationError",
            Self::Constraint => "ConstraintException",
            Self::UnknownSecret => "UnknownSecretError",
            Self::UnsupportedSecret => "UnsupportedGetSecretError",
            Self::RecursionLimit => "EvaluationRecursionLimitReached",
            Self::UnknownSysEntity => "UnknownSysEntityError",
            Self::UnknownSysProperty => "UnknownSysPropertyError",
            Self::Value => "ValueError",
            Self::Key => "KeyError",
            Self::Type => "TypeError",
            Self::Runtime => "RuntimeError",
            Self::UnsupportedRelationship => "UnsupportedRelationship",
            Self::ConnectionType => "IllegalConnectedToConnectionType",
            Self::AllToOneState => "IllegalAllToOneState",
            Self::AllToOneInGroup => "UnsupportedAllToOneInGroup",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.exception())
    }
}

// === impl Refusal ===

impl Refusal {
    /// A fault without a number.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into() }
    }

    pub(crate) fn logic(code: i32, message: impl Into<String>) -> Self {
        Self { kind: Kind::Logic, code: Some(code), message: message.into() }
    }

    pub(crate) fn format(message: impl Into<String>) -> Self {
        Self { kind: Kind::Format, code: Some(1), message: message.into() }
    }

    pub(crate) fn coded(mut self, code: i32) -> Self {
        self.code = Some(code);
        self
    }
}

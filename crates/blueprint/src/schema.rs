//! The shape of a blueprint, as one table.
//!
//! The table is read twice: by [`namespace`](crate::namespace), which must know what is a
//! name, and by [`check`](crate::check), which refuses what does not have the shape.
//! Source: the `schema` of each element in `dsl_parser/elements`.

mod nodes;
mod parts;
mod sections;

pub(crate) use self::sections::{BLUEPRINT, DSL_DEFINITIONS};

use crate::version::Version;

/// What may stand at one place.
#[derive(Debug)]
pub(crate) struct Element {
    /// Any of these; several only where a short form exists.
    pub(crate) shapes: &'static [Shape],
    pub(crate) is_required: bool,
    /// Whether a namespace prefixes the text or the keys that stand here.
    pub(crate) is_named: bool,
    pub(crate) since: Option<Version>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A value that the language does not look into.
    Leaf(Types),
    /// A map of names of the user's choice.
    Dict(&'static Element),
    List(&'static Element),
    /// A map of known keys.
    Fields(&'static [(&'static str, &'static Element)]),
}

/// A set of types. As in Python, a boolean is also an integer and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types(u8);

// === impl Element ===

impl Element {
    pub(super) const fn new(shapes: &'static [Shape]) -> Self {
        Self { shapes, is_required: false, is_named: true, since: None }
    }

    pub(super) const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    pub(super) const fn unnamed(mut self) -> Self {
        self.is_named = false;
        self
    }

    pub(super) const fn since(mut self, version: Version) -> Self {
        self.since = Some(version);
        self
    }
}

// === impl Types ===

impl Types {
    pub(crate) const STR: Self = Self(1);
    pub(crate) const BOOL: Self = Self(2);
    pub(crate) const INT: Self = Self(4 | 2);
    pub(crate) const NUMBER: Self = Self(8 | 4 | 2);
    pub(crate) const LIST: Self = Self(16);
    pub(crate) const DICT: Self = Self(32);
    pub(crate) const ANY: Self = Self(63);

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn has(self, type_name: &str) -> bool {
        let bit = match type_name {
            "string" => 1,
            "boolean" => 2,
            "integer" => 4,
            "float" => 8,
            "list" => 16,
            "dict" => 32,
            _ => 0,
        };
        self.0 & bit != 0
    }

    /// Names the types as a user would.
    pub(crate) fn describe(self) -> String {
        let names: Vec<&str> = match self {
            Self::INT => vec!["an integer"],
            Self::NUMBER => vec!["a number"],
            _ => [
                (1, "a string"),
                (2, "a boolean"),
                (4, "an integer"),
                (8, "a float"),
                (16, "a list"),
                (32, "a dict"),
            ]
            .into_iter()
            .filter(|(bit, _)| self.0 & bit != 0)
            .map(|(_, name)| name)
            .collect(),
        };
        names.join(" or ")
    }
}

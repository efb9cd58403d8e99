//! The tree of values.

use std::hash::{Hash, Hasher};

use indexmap::{Equivalent, IndexMap};

use crate::python_float;

/// One value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub value: Value,
    pub mark: Mark,
}

/// A place in a text. Both count from one; columns count characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    pub line: u32,
    pub column: u32,
}

/// What PyYAML's safe loader would make of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(String),
    /// A date or a time, written as Python's `str()` writes it.
    Timestamp(String),
    List(Vec<Node>),
    Map(Map),
}

/// A map in the order of the text. A repeated key keeps its first place and its last value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(IndexMap<Key, Entry>);

/// A value of a map, and where its key stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key_mark: Mark,
    pub node: Node,
}

/// A key of a map. As in Python `1`, `1.0` and `true` are one key.
#[derive(Clone, Debug)]
pub enum Key {
    Null,
    Bool(bool),
    Int(i128),
    /// The bits of a float.
    Float(u64),
    Str(String),
    Timestamp(String),
}

// === impl Node ===

impl Node {
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Returns the value of `key`, when this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }
}

// === impl Value ===

impl Value {
    /// Names the type as a user would: string, integer, float, boolean, list, dict…
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Float(_) => "float",
            Self::Str(_) => "string",
            Self::Timestamp(_) => "timestamp",
            Self::List(_) => "list",
            Self::Map(_) => "dict",
        }
    }
}

// === impl Map ===

impl Map {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.0.get(key).map(|entry| &entry.node)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.0.get(key)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &Entry)> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn insert(&mut self, key: Key, entry: Entry) {
        match self.0.entry(key) {
            indexmap::map::Entry::Occupied(mut there) => there.get_mut().node = entry.node,
            indexmap::map::Entry::Vacant(free) => {
                free.insert(entry);
            }
        }
    }
}

impl IntoIterator for Map {
    type Item = (Key, Entry);
    type IntoIter = indexmap::map::IntoIter<Key, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

// === impl Key ===

impl Key {
    /// The key a scalar makes; a list or a map makes none.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(given) => Self::Bool(*given),
            Value::Int(given) => Self::Int(*given),
            Value::Float(given) => Self::Float(given.to_bits()),
            Value::Str(given) => Self::Str(given.clone()),
            Value::Timestamp(given) => Self::Timestamp(given.clone()),
            Value::List(_) | Value::Map(_) => return None,
        })
    }

    /// The integer that this key equals, if it equals one.
    fn integer(&self) -> Option<i128> {
        match self {
            Self::Bool(given) => Some(i128::from(*given)),
            Self::Int(given) => Some(*given),
            Self::Float(bits) => {
                let given = f64::from_bits(*bits);
                #[expect(clippy::cast_possible_truncation, reason = "compared with the original")]
                let whole = given as i128;
                #[expect(clippy::cast_precision_loss, reason = "compared with the original")]
                #[expect(clippy::float_cmp, reason = "a key is equal or it is not")]
                (whole as f64 == given).then_some(whole)
            }
            Self::Null | Self::Str(_) | Self::Timestamp(_) => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Names the type as a user would.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Float(_) => "float",
            Self::Str(_) => "string",
            Self::Timestamp(_) => "timestamp",
        }
    }

    /// The text of the key in JSON, as Python's `json.dumps` writes it.
    pub fn to_text(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(given) => given.to_string(),
            Self::Int(given) => given.to_string(),
            Self::Float(bits) => python_float(f64::from_bits(*bits)),
            Self::Str(text) | Self::Timestamp(text) => text.clone(),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Str(one), Self::Str(two)) | (Self::Timestamp(one), Self::Timestamp(two)) => {
                one == two
            }
            (Self::Float(one), Self::Float(two)) => one == two,
            _ => self.integer().is_some() && self.integer() == other.integer(),
        }
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Str(text) => text.as_str().hash(state),
            Self::Timestamp(text) => (1_u8, text).hash(state),
            Self::Null => 2_u8.hash(state),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) => match (self.integer(), self) {
                (None, Self::Float(bits)) => bits.hash(state),
                (whole, _) => whole.hash(state),
            },
        }
    }
}

impl Equivalent<Key> for str {
    fn equivalent(&self, key: &Key) -> bool {
        key.as_str() == Some(self)
    }
}

//! The blueprint as a tree: values with their places, and what namespaces need to know.

use std::rc::Rc;

use indexmap::IndexMap;
use serde_json::{Map as Object, Value as Json};
use waggoner_yaml::{Node, Value};

use crate::{Kind, Refusal, code, diagnostic::Place};

/// One value of a blueprint text.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) value: Content,
    pub(crate) place: Place,
    /// The namespace its import was given.
    pub(crate) namespace: Option<Rc<str>>,
    /// Part of Cloudify's own types, which no namespace touches.
    pub(crate) is_core: bool,
    /// Its key was prefixed when it was merged; only what it holds is still to be.
    pub(crate) is_prefixed: bool,
    /// Already namespaced.
    pub(crate) is_done: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Null, a boolean or a number.
    Plain(Json),
    Timestamp(String),
    Str(String),
    List(Vec<Tree>),
    Map(Fields),
}

pub(crate) type Fields = IndexMap<String, Field>;

/// An entry of a map.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) key_place: Place,
    /// What the key was, unless text.
    pub(crate) key_type: Option<&'static str>,
    pub(crate) value: Tree,
}

// === impl Tree ===

impl Tree {
    /// Takes over what a YAML text says.
    ///
    /// # Errors
    ///
    /// `dsl_parser` accepts ASCII text only; the first other text is refused.
    pub(crate) fn read(node: Node, file: u16) -> Result<Self, (Place, Refusal)> {
        let place = Place { file, mark: Some(node.mark) };
        let value = match node.value {
            Value::Str(text) => Content::Str(ascii(text, place)?),
            Value::Timestamp(text) => Content::Timestamp(text),
            Value::List(items) => Content::List(
                items.into_iter().map(|item| Self::read(item, file)).collect::<Result<_, _>>()?,
            ),
            Value::Map(map) => {
                let mut fields = Fields::with_capacity(map.len());
                for (key, entry) in map {
                    let key_place = Place { file, mark: Some(entry.key_mark) };
                    let key_type = key.as_str().is_none().then(|| key.type_name());
                    let value = Self::read(entry.node, file)?;
                    let name = ascii(key.to_text(), key_place)?;
                    fields.insert(name, Field { key_place, key_type, value });
                }
                Content::Map(fields)
            }
            value => Content::Plain(Node { value, mark: node.mark }.to_json()),
        };
        Ok(Self::new(value, place))
    }

    pub(crate) fn new(value: Content, place: Place) -> Self {
        Self { value, place, namespace: None, is_core: false, is_prefixed: false, is_done: false }
    }

    /// Makes a tree that no text holds.
    pub(crate) fn of_json(json: Json, place: Place) -> Self {
        let value = match json {
            Json::String(text) => Content::Str(text),
            Json::Array(items) => {
                Content::List(items.into_iter().map(|item| Self::of_json(item, place)).collect())
            }
            Json::Object(object) => Content::Map(
                object
                    .into_iter()
                    .map(|(key, value)| (key, Field::new(Self::of_json(value, place))))
                    .collect(),
            ),
            plain => Content::Plain(plain),
        };
        Self::new(value, place)
    }

    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Content::Plain(json) => json.clone(),
            Content::Str(text) | Content::Timestamp(text) => Json::String(text.clone()),
            Content::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Content::Map(fields) => Json::Object(object(fields)),
        }
    }

    /// The JSON of a map, nothing for anything else.
    pub(crate) fn to_object(&self) -> Object<String, Json> {
        self.as_map().map(object).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Content::Str(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match &self.value {
            Content::Plain(json) => json.as_bool(),
            _ => None,
        }
    }

    pub(crate) fn as_map(&self) -> Option<&Fields> {
        match &self.value {
            Content::Map(fields) => Some(fields),
            _ => None,
        }
    }

    pub(crate) fn as_map_mut(&mut self) -> Option<&mut Fields> {
        match &mut self.value {
            Content::Map(fields) => Some(fields),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Content::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Content::Plain(Json::Null))
    }

    /// Returns the value of `key`, when this is a map that has it and it is not null.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key).map(|field| &field.value).filter(|value| !value.is_null())
    }

    /// The entries of a map; none for anything else.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.as_map().into_iter().flatten().map(|(key, field)| (key.as_str(), field))
    }

    /// The items of a list; none for anything else.
    pub(crate) fn items(&self) -> &[Self] {
        self.as_list().unwrap_or_default()
    }

    /// Names the type as a user would.
    pub(crate) fn type_name(&self) -> &'static str {
        match &self.value {
            Content::Plain(Json::Null) => "null",
            Content::Plain(Json::Bool(_)) => "boolean",
            Content::Plain(Json::Number(number)) if number.is_f64() => "float",
            Content::Plain(_) => "integer",
            Content::Timestamp(_) => "timestamp",
            Content::Str(_) => "string",
            Content::List(_) => "list",
            Content::Map(_) => "dict",
        }
    }

    /// The place of what `path` leads to, or of the last step that is there.
    pub(crate) fn place_at<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Place {
        let (mut here, mut place) = (self, self.place);
        for step in path {
            let Some(field) = here.as_map().and_then(|fields| fields.get(step)) else { break };
            (here, place) = (&field.value, field.key_place);
        }
        place
    }
}

// === impl Field ===

impl Field {
    pub(crate) fn new(value: Tree) -> Self {
        Self { key_place: value.place, key_type: None, value }
    }
}

fn object(fields: &Fields) -> Object<String, Json> {
    fields.iter().map(|(key, field)| (key.clone(), field.value.to_json())).collect()
}

fn ascii(text: String, place: Place) -> Result<String, (Place, Refusal)> {
    match text.chars().find(|letter| !letter.is_ascii()) {
        None => Ok(text),
        Some(letter) => {
            let message = format!("only ASCII text is allowed, found `{letter}`");
            Err((place, Refusal::new(Kind::InputType, message).coded(code::INVALID_CHARS)))
        }
    }
}

//! Lists and maps, in blocks and in brackets.

use super::{Composer, Place};
use crate::{
    Entry, Error, Key, Map, Mark, Node, Value,
    budget::Cost,
    token::{Kind, Token},
};

/// A key before merging: `<<` stands for itself.
enum Label {
    Merge,
    Key(Key),
}

/// The pairs of a map as they come.
#[derive(Default)]
struct Pairs {
    merged: Map,
    own: Vec<(Key, Entry)>,
}

// === impl Composer ===

impl Composer<'_> {
    pub(super) fn block_list(&mut self, depth: usize) -> Result<Value, Error> {
        self.tokens.take_token()?;
        let mut items = vec![];
        while self.next_is(|kind| *kind == Kind::BlockEntry)? {
            let entry = self.tokens.take_token()?;
            let ends = |kind: &Kind| matches!(kind, Kind::BlockEntry | Kind::BlockEnd);
            items.push(self.node_or_null(&entry, ends, Place::Block, depth)?);
        }
        self.expect(|kind| *kind == Kind::BlockEnd, "another `-` or the end of the list")?;
        Ok(Value::List(items))
    }

    /// A list that stands at the column of its key.
    pub(super) fn bare_list(&mut self, depth: usize) -> Result<Value, Error> {
        let mut items = vec![];
        while self.next_is(|kind| *kind == Kind::BlockEntry)? {
            let entry = self.tokens.take_token()?;
            let ends = |kind: &Kind| {
                matches!(kind, Kind::BlockEntry | Kind::Key | Kind::Value | Kind::BlockEnd)
            };
            items.push(self.node_or_null(&entry, ends, Place::Block, depth)?);
        }
        Ok(Value::List(items))
    }

    pub(super) fn flow_list(&mut self, depth: usize) -> Result<Value, Error> {
        self.tokens.take_token()?;
        let mut items = vec![];
        while !self.next_is(|kind| *kind == Kind::FlowListEnd)? {
            if !items.is_empty() {
                self.expect(|kind| *kind == Kind::FlowEntry, "`,` or `]`")?;
                if self.next_is(|kind| *kind == Kind::FlowListEnd)? {
                    break;
                }
            }
            if self.next_is(|kind| *kind == Kind::Key)? {
                items.push(self.single_pair(depth)?);
            } else {
                items.push(self.node(Place::Flow, depth + 1)?);
            }
        }
        self.tokens.take_token()?;
        Ok(Value::List(items))
    }

    /// `[a: b]` is a list of a map.
    fn single_pair(&mut self, depth: usize) -> Result<Node, Error> {
        let key = self.tokens.take_token()?;
        let mark = key.mark;
        self.spend(mark, Cost { nodes: 1, bytes: 0 })?;
        let mut pairs = Pairs::default();
        let ends = |kind: &Kind| matches!(kind, Kind::Value | Kind::FlowEntry | Kind::FlowListEnd);
        let label = self.label(&key, ends, Place::Flow, depth + 1)?;
        let ends = |kind: &Kind| matches!(kind, Kind::FlowEntry | Kind::FlowListEnd);
        self.pair(label, ends, Place::Flow, depth + 1, &mut pairs)?;
        Ok(Node { value: Value::Map(pairs.into_map()), mark })
    }

    pub(super) fn block_map(&mut self, depth: usize) -> Result<Value, Error> {
        self.tokens.take_token()?;
        let mut pairs = Pairs::default();
        while self.next_is(|kind| *kind == Kind::Key)? {
            let key = self.tokens.take_token()?;
            let ends = |kind: &Kind| matches!(kind, Kind::Key | Kind::Value | Kind::BlockEnd);
            let label = self.label(&key, ends, Place::BlockValue, depth)?;
            self.pair(label, ends, Place::BlockValue, depth, &mut pairs)?;
        }
        self.expect(|kind| *kind == Kind::BlockEnd, "another key or the end of the map")?;
        Ok(Value::Map(pairs.into_map()))
    }

    pub(super) fn flow_map(&mut self, depth: usize) -> Result<Value, Error> {
        self.tokens.take_token()?;
        let mut pairs = Pairs::default();
        let mut is_first = true;
        while !self.next_is(|kind| *kind == Kind::FlowMapEnd)? {
            if !is_first {
                self.expect(|kind| *kind == Kind::FlowEntry, "`,` or `}`")?;
                if self.next_is(|kind| *kind == Kind::FlowMapEnd)? {
                    break;
                }
            }
            is_first = false;
            if self.next_is(|kind| *kind == Kind::Key)? {
                let key = self.tokens.take_token()?;
                let ends =
                    |kind: &Kind| matches!(kind, Kind::Value | Kind::FlowEntry | Kind::FlowMapEnd);
                let label = self.label(&key, ends, Place::Flow, depth)?;
                let ends = |kind: &Kind| matches!(kind, Kind::FlowEntry | Kind::FlowMapEnd);
                self.pair(label, ends, Place::Flow, depth, &mut pairs)?;
            } else {
                // A key without `:` has no value.
                let at = self.tokens.peek_token()?.clone();
                let (label, key_mark) = self.label(&at, |_| false, Place::Flow, depth)?;
                let node = Node { value: Value::Null, mark: key_mark };
                self.add(label, key_mark, node, &mut pairs)?;
            }
        }
        self.tokens.take_token()?;
        Ok(Value::Map(pairs.into_map()))
    }

    /// Reads a key, an empty one when what follows ends it.
    fn label(
        &mut self,
        at: &Token,
        ends: impl Fn(&Kind) -> bool,
        place: Place,
        depth: usize,
    ) -> Result<(Label, Mark), Error> {
        if let Kind::Scalar { text, is_plain: true } = &self.tokens.peek_token()?.kind {
            let label = match text.as_str() {
                "<<" => Some(Label::Merge),
                // As a key, `=` is text like any other.
                "=" => Some(Label::Key(Key::Str("=".to_owned()))),
                _ => None,
            };
            if let Some(label) = label {
                let mark = self.tokens.take_token()?.mark;
                return Ok((label, mark));
            }
        }
        let node = self.node_or_null(at, ends, place, depth)?;
        let mark = node.mark;
        let key = Key::of(&node.value)
            .ok_or_else(|| self.tokens.error(mark, "a list or a map cannot be a key"))?;
        Ok((Label::Key(key), mark))
    }

    /// Reads the value of a key, an empty one when what follows ends it.
    fn pair(
        &mut self,
        (label, key_mark): (Label, Mark),
        ends: impl Fn(&Kind) -> bool,
        place: Place,
        depth: usize,
        pairs: &mut Pairs,
    ) -> Result<(), Error> {
        let node = if self.next_is(|kind| *kind == Kind::Value)? {
            let value = self.tokens.take_token()?;
            self.node_or_null(&value, ends, place, depth)?
        } else {
            Node { value: Value::Null, mark: key_mark }
        };
        self.add(label, key_mark, node, pairs)
    }

    fn add(
        &self,
        label: Label,
        key_mark: Mark,
        node: Node,
        pairs: &mut Pairs,
    ) -> Result<(), Error> {
        match label {
            Label::Key(key) => pairs.own.push((key, Entry { key_mark, node })),
            Label::Merge => self.merge(node, &mut pairs.merged)?,
        }
        Ok(())
    }

    fn merge(&self, node: Node, into: &mut Map) -> Result<(), Error> {
        let wrong = |mark| self.tokens.error(mark, "`<<` expects a map or a list of maps");
        let maps = match node.value {
            Value::Map(map) => vec![map],
            // The first of a list wins, so it is laid down last.
            Value::List(items) => {
                let maps = items.into_iter().rev().map(|item| match item.value {
                    Value::Map(map) => Ok(map),
                    _ => Err(wrong(item.mark)),
                });
                maps.collect::<Result<_, _>>()?
            }
            _ => return Err(wrong(node.mark)),
        };
        for (key, entry) in maps.into_iter().flatten() {
            into.insert(key, entry);
        }
        Ok(())
    }

    fn node_or_null(
        &mut self,
        at: &Token,
        ends: impl Fn(&Kind) -> bool,
        place: Place,
        depth: usize,
    ) -> Result<Node, Error> {
        if self.next_is(ends)? {
            return Ok(Node { value: Value::Null, mark: at.mark });
        }
        self.node(place, depth + 1)
    }
}

// === impl Pairs ===

impl Pairs {
    /// Merged pairs come first and are overridden by the map's own, wherever `<<` stands.
    fn into_map(self) -> Map {
        let mut map = self.merged;
        for (key, entry) in self.own {
            map.insert(key, entry);
        }
        map
    }
}

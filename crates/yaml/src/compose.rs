//! From tokens to a tree: structure, anchors, merge keys, repeated keys, and the budget.

mod collections;
mod values;

use std::collections::HashMap;

use crate::{
    Budget, Error, Map, Mark, Node, Value,
    budget::Cost,
    scanner::Scanner,
    token::{Kind, Tag},
};

/// Reads the one document of `text`; an empty text is an empty map, as for `dsl_parser`.
///
/// # Errors
///
/// What `PyYAML`'s safe loader refuses, and what exceeds `budget`.
pub fn parse(text: &str, budget: Budget) -> Result<Node, Error> {
    if text.len() > budget.bytes {
        let message = format!("the text has {} bytes, at most {}", text.len(), budget.bytes);
        return Err(Error { message, mark: Mark { line: 1, column: 1 }, snippet: String::new() });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    printable(text)?;
    let composer = Composer {
        tokens: Scanner::new(text),
        anchors: HashMap::new(),
        budget,
        used: Cost::default(),
        repeated: 0,
    };
    composer.document()
}

struct Composer<'t> {
    tokens: Scanner<'t>,
    /// What each finished anchor stands for, and what one more copy costs; nothing while it is
    /// not finished.
    anchors: HashMap<String, Option<(Node, Cost)>>,
    budget: Budget,
    used: Cost,
    repeated: usize,
}

/// What may stand at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Flow,
    Block,
    /// The value of a key, whose list may stand no deeper than the key.
    BlockValue,
}

// === impl Composer ===

impl Composer<'_> {
    fn document(mut self) -> Result<Node, Error> {
        let empty = Node { value: Value::Map(Map::default()), mark: Mark { line: 1, column: 1 } };
        let mut is_directed = false;
        while self.next_is(|kind| *kind == Kind::Directive)? {
            self.tokens.take_token()?;
            is_directed = true;
        }
        let is_explicit = self.next_is(|kind| *kind == Kind::DocumentStart)?;
        if is_explicit {
            self.tokens.take_token()?;
        } else if is_directed {
            return Err(self.unexpected("`---` after a directive"));
        }
        let ends = |kind: &Kind| match kind {
            Kind::StreamEnd => true,
            Kind::Directive | Kind::DocumentStart | Kind::DocumentEnd => is_explicit,
            _ => false,
        };
        let root = if self.next_is(ends)? { empty.clone() } else { self.node(Place::Block, 0)? };
        while self.next_is(|kind| *kind == Kind::DocumentEnd)? {
            self.tokens.take_token()?;
        }
        if !self.next_is(|kind| *kind == Kind::StreamEnd)? {
            return Err(self.unexpected("the end of the text, as one document is allowed"));
        }
        Ok(if root.is_null() { empty } else { root })
    }

    pub(super) fn node(&mut self, place: Place, depth: usize) -> Result<Node, Error> {
        let mark = self.tokens.peek_token()?.mark;
        if depth > self.budget.depth {
            let message = format!("values are nested deeper than {} levels", self.budget.depth);
            return Err(self.tokens.error(mark, message));
        }
        let before = self.used;
        self.spend(mark, Cost { nodes: 1, bytes: 0 })?;
        if let Kind::Alias(_) = self.tokens.peek_token()?.kind {
            return self.alias();
        }
        let (anchor, tag) = self.properties()?;
        let value = self.value(place, depth, tag.as_ref(), anchor.is_some())?;
        let node = Node { value, mark };
        if let Some(anchor) = anchor {
            let cost = self.used.since(before);
            self.anchors.insert(anchor, Some((node.clone(), cost)));
        }
        Ok(node)
    }

    /// Takes an anchor and a tag, in either order.
    fn properties(&mut self) -> Result<(Option<String>, Option<Tag>), Error> {
        let (mut anchor, mut tag) = (None, None);
        loop {
            let token = self.tokens.peek_token()?.clone();
            match token.kind {
                Kind::Anchor(name) if anchor.is_none() => {
                    if self.anchors.insert(name.clone(), None).is_some() {
                        let message = format!("the anchor `{name}` is there already");
                        return Err(self.tokens.error(token.mark, message));
                    }
                    anchor = Some(name);
                }
                Kind::Tag(given) if tag.is_none() => tag = Some(given),
                _ => return Ok((anchor, tag)),
            }
            self.tokens.take_token()?;
        }
    }

    fn value(
        &mut self,
        place: Place,
        depth: usize,
        tag: Option<&Tag>,
        has_anchor: bool,
    ) -> Result<Value, Error> {
        let token = self.tokens.peek_token()?.clone();
        let is_block = place != Place::Flow;
        match &token.kind {
            Kind::Scalar { text, is_plain } => {
                self.spend(token.mark, Cost { nodes: 0, bytes: text.len() })?;
                let value = self.scalar(text, *is_plain, tag, token.mark)?;
                self.tokens.take_token()?;
                Ok(value)
            }
            Kind::BlockEntry if place == Place::BlockValue => {
                self.collection(tag, "seq", token.mark)?;
                self.bare_list(depth)
            }
            Kind::BlockListStart if is_block => {
                self.collection(tag, "seq", token.mark)?;
                self.block_list(depth)
            }
            Kind::BlockMapStart if is_block => {
                self.collection(tag, "map", token.mark)?;
                self.block_map(depth)
            }
            Kind::FlowListStart => {
                self.collection(tag, "seq", token.mark)?;
                self.flow_list(depth)
            }
            Kind::FlowMapStart => {
                self.collection(tag, "map", token.mark)?;
                self.flow_map(depth)
            }
            _ if has_anchor || tag.is_some() => self.scalar("", true, tag, token.mark),
            _ => Err(self.unexpected("a value")),
        }
    }

    pub(super) fn next_is(&mut self, wanted: impl Fn(&Kind) -> bool) -> Result<bool, Error> {
        Ok(wanted(&self.tokens.peek_token()?.kind))
    }

    pub(super) fn expect(
        &mut self,
        wanted: impl Fn(&Kind) -> bool,
        expected: &str,
    ) -> Result<(), Error> {
        if !self.next_is(wanted)? {
            return Err(self.unexpected(expected));
        }
        self.tokens.take_token().map(drop)
    }

    pub(super) fn unexpected(&mut self, expected: &str) -> Error {
        match self.tokens.peek_token() {
            Ok(token) => {
                let (mark, found) = (token.mark, token.kind.describe());
                self.tokens.error(mark, format!("expected {expected}, found {found}"))
            }
            Err(error) => error,
        }
    }

    pub(super) fn spend(&mut self, mark: Mark, cost: Cost) -> Result<(), Error> {
        self.used.nodes += cost.nodes;
        self.used.bytes += cost.bytes;
        if self.used.nodes > self.budget.nodes {
            let most = self.budget.nodes;
            let message = format!("the text stands for more than {most} values (aliases count)");
            return Err(self.tokens.error(mark, message));
        }
        Ok(())
    }
}

/// Refuses the characters that `PyYAML`'s reader refuses.
fn printable(text: &str) -> Result<(), Error> {
    let allowed = |character: char| {
        matches!(character,
            '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
    };
    let Some((at, found)) = text.char_indices().find(|(_, character)| !allowed(*character)) else {
        return Ok(());
    };
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mark = Mark { line: count(line), column: count(column) };
    let message = format!("the character U+{:04X} is not allowed in YAML", u32::from(found));
    Err(Error::new(text, mark, message))
}

//! From events to a tree: anchors, merge keys, repeated keys, and the budget.

use std::{borrow::Cow, collections::HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::{Budget, Entry, Error, Key, Map, Mark, Node, Value, budget::Cost, scalar};

/// Reads the one document of `text`; an empty text is an empty map, as for `dsl_parser`.
///
/// # Errors
///
/// What PyYAML's safe loader refuses, and what exceeds `budget`.
pub fn parse(text: &str, budget: Budget) -> Result<Node, Error> {
    if text.len() > budget.bytes {
        let message = format!("the text has {} bytes, at most {}", text.len(), budget.bytes);
        return Err(Error { message, mark: Mark { line: 1, column: 1 }, snippet: String::new() });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    printable(text)?;
    let composer = Composer {
        text,
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        budget,
        used: Cost::default(),
        repeated: 0,
    };
    composer.document()
}

struct Composer<'t> {
    text: &'t str,
    events: Parser<'t, StrInput<'t>>,
    /// What each finished anchor stands for, and what one more copy costs.
    anchors: HashMap<usize, (Node, Cost)>,
    budget: Budget,
    used: Cost,
    repeated: usize,
}

/// A key before merging: `<<` stands for itself.
enum Label {
    Merge,
    Key(Key),
}

// === impl Composer ===

impl<'t> Composer<'t> {
    fn document(mut self) -> Result<Node, Error> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) => {
                    if root.is_some() {
                        let message = "a second document begins here, one is expected";
                        return Err(self.error(&span, message));
                    }
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, &span, 0)?);
                }
                _ => return Err(self.error(&span, "a document is expected")),
            }
        }
        let empty = Node { value: Value::Map(Map::default()), mark: Mark { line: 1, column: 1 } };
        Ok(root.filter(|root| !root.is_null()).unwrap_or(empty))
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Error> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.scan_error(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Node, Error> {
        if depth > self.budget.depth {
            let message = format!("values are nested deeper than {} levels", self.budget.depth);
            return Err(self.error(span, message));
        }
        let before = self.used;
        self.spend(span, Cost { nodes: 1, bytes: 0 })?;
        let mark = mark(span);
        let (anchor, value) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(span, Cost { nodes: 0, bytes: text.len() })?;
                (anchor, self.scalar(text, style, tag.as_deref(), span)?)
            }
            Event::SequenceStart(anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", span)?;
                (anchor, self.list(depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", span)?;
                (anchor, Value::Map(self.map(depth)?))
            }
            _ => return Err(self.error(span, "a value is expected")),
        };
        let node = Node { value, mark };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.used.since(before)));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Error> {
        let mut items = vec![];
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(items));
            }
            items.push(self.node(event, &span, depth + 1)?);
        }
    }

    /// Merged pairs come first and are overridden by the map's own, wherever `<<` stands.
    fn map(&mut self, depth: usize) -> Result<Map, Error> {
        let mut merged = Map::default();
        let mut own = vec![];
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let (label, key_mark) = self.key(event, &span, depth)?;
            let (event, span) = self.next()?;
            let node = self.node(event, &span, depth + 1)?;
            match label {
                Label::Merge => self.merge(node, &span, &mut merged)?,
                Label::Key(key) => own.push((key, Entry { key_mark, node })),
            }
        }
        for (key, entry) in own {
            merged.insert(key, entry);
        }
        Ok(merged)
    }

    fn key(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<(Label, Mark), Error> {
        if let Event::Scalar(text, ScalarStyle::Plain, 0, None) = &event {
            if text == "<<" {
                return Ok((Label::Merge, mark(span)));
            }
            // In PyYAML `=` alone is a key like any other.
            if text == "=" {
                return Ok((Label::Key(Key::Str("=".to_owned())), mark(span)));
            }
        }
        let node = self.node(event, span, depth + 1)?;
        let key = Key::of(&node.value)
            .ok_or_else(|| self.error(span, "a list or a map cannot be a key"))?;
        Ok((Label::Key(key), node.mark))
    }

    fn merge(&mut self, node: Node, span: &Span, into: &mut Map) -> Result<(), Error> {
        let wrong = "`<<` expects a map or a list of maps";
        let maps = match node.value {
            Value::Map(map) => vec![map],
            // The first of a list wins, so it is laid down last.
            Value::List(items) => items
                .into_iter()
                .rev()
                .map(|item| match item.value {
                    Value::Map(map) => Ok(map),
                    _ => Err(self.error(span, wrong)),
                })
                .collect::<Result<_, _>>()?,
            _ => return Err(self.error(span, wrong)),
        };
        for (key, entry) in maps.into_iter().flatten() {
            into.insert(key, entry);
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<Node, Error> {
        let Some((_, cost)) = self.anchors.get(&anchor) else {
            return Err(self.error(span, "an alias stands inside of what it stands for"));
        };
        let cost = *cost;
        self.spend(span, cost)?;
        self.repeated += cost.bytes;
        if self.repeated > self.budget.repeated_bytes {
            let most = self.budget.repeated_bytes;
            return Err(self.error(span, format!("aliases repeat more than {most} bytes")));
        }
        Ok(self.anchors[&anchor].0.clone())
    }

    fn scalar(
        &self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Result<Value, Error> {
        let value = match tag {
            None if style == ScalarStyle::Plain => scalar::resolve(&text),
            None => Ok(Value::Str(text.into_owned())),
            Some(tag) if is_non_specific(tag) => scalar::resolve(&text),
            Some(tag) if tag.is_yaml_core_schema() => scalar::tagged(&tag.suffix, &text),
            Some(tag) => Err(format!("the tag `{tag}` is not known")),
        };
        value.map_err(|message| self.error(span, message))
    }

    fn collection_tag(&self, tag: Option<&Tag>, expected: &str, span: &Span) -> Result<(), Error> {
        match tag {
            None => Ok(()),
            Some(tag) if is_non_specific(tag) => Ok(()),
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == expected => Ok(()),
            Some(tag) => Err(self.error(span, format!("the tag `{tag}` is not known here"))),
        }
    }

    fn spend(&mut self, span: &Span, cost: Cost) -> Result<(), Error> {
        self.used.nodes += cost.nodes;
        self.used.bytes += cost.bytes;
        if self.used.nodes > self.budget.nodes {
            let most = self.budget.nodes;
            let message = format!("the text stands for more than {most} values (aliases count)");
            return Err(self.error(span, message));
        }
        Ok(())
    }

    fn error(&self, span: &Span, message: impl Into<String>) -> Error {
        Error::new(self.text, mark(span), message)
    }

    fn scan_error(&self, error: &ScanError) -> Error {
        let place = *error.marker();
        Error::new(self.text, mark(&Span::empty(place)), error.info())
    }
}

fn is_non_specific(tag: &Tag) -> bool {
    tag.handle.is_empty() && tag.suffix == "!" || tag.handle == "!" && tag.suffix.is_empty()
}

fn mark(span: &Span) -> Mark {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Mark { line: count(span.start.line()), column: count(span.start.col() + 1) }
}

/// Refuses the characters that PyYAML's reader refuses.
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

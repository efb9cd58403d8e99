//! From characters to tokens, by the rules of YAML 1.1 as `PyYAML`'s scanner keeps them.
//!
//! Indentation becomes `Block…Start` and `BlockEnd`. A key is known only by the `:` after it,
//! so where a key may be is remembered until the line ends.
//!
//! YAML 1.2 scanners refuse what old blueprints do, above all a `]` or `}` that stands no
//! deeper than its key; that is why this one is written here.

mod keys;
mod quoted;
mod scalars;
mod structure;
mod words;

use std::collections::{HashMap, VecDeque};

use crate::{
    Error, Mark,
    token::{Kind, Token},
};

pub(crate) struct Scanner<'t> {
    text: &'t str,
    characters: Vec<char>,
    index: usize,
    line: usize,
    column: usize,
    /// How many `[` and `{` are open.
    flow_level: usize,
    /// The column of the block at hand; -1 outside of all.
    indent: isize,
    indents: Vec<isize>,
    tokens: VecDeque<Token>,
    tokens_taken: usize,
    /// Whether a key may begin here.
    allows_key: bool,
    /// Where a key may have begun, by flow level.
    keys: HashMap<usize, PossibleKey>,
    is_done: bool,
}

struct PossibleKey {
    token_number: usize,
    /// A key must be here: nothing else stands at the column of a block map.
    is_required: bool,
    index: usize,
    line: usize,
    column: usize,
}

// === impl Scanner ===

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            characters: text.chars().collect(),
            index: 0,
            line: 0,
            column: 0,
            flow_level: 0,
            indent: -1,
            indents: vec![],
            tokens: VecDeque::new(),
            tokens_taken: 0,
            allows_key: true,
            keys: HashMap::new(),
            is_done: false,
        }
    }

    /// Returns the next token without taking it.
    pub(crate) fn peek_token(&mut self) -> Result<&Token, Error> {
        while self.needs_more()? {
            self.fetch()?;
        }
        let end = Token { kind: Kind::StreamEnd, mark: self.mark() };
        if self.tokens.is_empty() {
            self.tokens.push_back(end);
        }
        Ok(&self.tokens[0])
    }

    /// Takes the next token; the end of the text again and again.
    pub(crate) fn take_token(&mut self) -> Result<Token, Error> {
        self.peek_token()?;
        self.tokens_taken += 1;
        let end = Token { kind: Kind::StreamEnd, mark: self.mark() };
        Ok(self.tokens.pop_front().unwrap_or(end))
    }

    pub(crate) fn error(&self, mark: Mark, message: impl Into<String>) -> Error {
        Error::new(self.text, mark, message)
    }

    fn here(&self, message: impl Into<String>) -> Error {
        self.error(self.mark(), message)
    }

    fn needs_more(&mut self) -> Result<bool, Error> {
        if self.is_done {
            return Ok(false);
        }
        if self.tokens.is_empty() {
            return Ok(true);
        }
        self.forget_stale_keys()?;
        Ok(self.keys.values().any(|key| key.token_number == self.tokens_taken))
    }

    fn fetch(&mut self) -> Result<(), Error> {
        self.skip_to_token();
        self.forget_stale_keys()?;
        self.unwind(self.column_signed());
        let next_is_space = is_space_or_end(self.at(1));
        match self.at(0) {
            '\0' => self.stream_end(),
            '%' if self.column == 0 => self.directive(),
            '-' if self.is_document_mark("---") => self.document(Kind::DocumentStart),
            '.' if self.is_document_mark("...") => self.document(Kind::DocumentEnd),
            '[' => self.flow_start(Kind::FlowListStart),
            '{' => self.flow_start(Kind::FlowMapStart),
            ']' => self.flow_end(Kind::FlowListEnd),
            '}' => self.flow_end(Kind::FlowMapEnd),
            ',' => self.flow_entry(),
            '-' if next_is_space => self.block_entry(),
            '?' if self.flow_level > 0 || next_is_space => self.explicit_key(),
            ':' if self.flow_level > 0 || next_is_space => self.value(),
            '*' | '&' => self.anchor(),
            '!' => self.tag(),
            '|' | '>' if self.flow_level == 0 => self.block_scalar(),
            '\'' | '"' => self.quoted_scalar(),
            _ if self.begins_plain() => self.plain_scalar(),
            '\t' => Err(self.here("a tab cannot begin anything: use spaces")),
            found => Err(self.here(format!("`{found}` cannot begin a value: use quotes"))),
        }
    }

    fn at(&self, ahead: usize) -> char {
        self.characters.get(self.index + ahead).copied().unwrap_or('\0')
    }

    fn forward(&mut self, count: usize) {
        for _ in 0..count {
            let passed = self.at(0);
            self.index += 1;
            let is_crlf = passed == '\r' && self.at(0) == '\n';
            if is_break(passed) && !is_crlf {
                self.line += 1;
                self.column = 0;
            } else {
                self.column += 1;
            }
        }
    }

    fn column_signed(&self) -> isize {
        isize::try_from(self.column).unwrap_or(isize::MAX)
    }

    fn mark(&self) -> Mark {
        mark(self.line, self.column)
    }

    fn push(&mut self, kind: Kind, mark: Mark) {
        self.tokens.push_back(Token { kind, mark });
    }

    fn symbol(&mut self, kind: Kind, length: usize) {
        let mark = self.mark();
        self.forward(length);
        self.push(kind, mark);
    }

    fn is_document_mark(&self, wanted: &str) -> bool {
        self.column == 0 && self.is_mark_ahead(wanted)
    }

    fn is_mark_ahead(&self, wanted: &str) -> bool {
        wanted.chars().enumerate().all(|(ahead, wanted)| self.at(ahead) == wanted)
            && is_space_or_end(self.at(3))
    }

    /// Skips spaces, comments and line breaks. Tabs are not skipped.
    fn skip_to_token(&mut self) {
        loop {
            while self.at(0) == ' ' {
                self.forward(1);
            }
            if self.at(0) == '#' {
                while !is_break_or_end(self.at(0)) {
                    self.forward(1);
                }
            }
            if self.take_break().is_none() {
                return;
            }
            if self.flow_level == 0 {
                self.allows_key = true;
            }
        }
    }

    /// Takes a line break, whatever its form.
    fn take_break(&mut self) -> Option<char> {
        match self.at(0) {
            '\r' if self.at(1) == '\n' => {
                self.forward(2);
                Some('\n')
            }
            '\r' | '\n' | '\u{85}' => {
                self.forward(1);
                Some('\n')
            }
            other @ ('\u{2028}' | '\u{2029}') => {
                self.forward(1);
                Some(other)
            }
            _ => None,
        }
    }
}

fn mark(line: usize, column: usize) -> Mark {
    let count = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
    Mark { line: count(line), column: count(column) }
}

fn is_break(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_break_or_end(character: char) -> bool {
    character == '\0' || is_break(character)
}

fn is_space_or_end(character: char) -> bool {
    matches!(character, ' ' | '\t') || is_break_or_end(character)
}

//! The signs that give a text its structure: brackets, commas, dashes, colons.

use super::{Scanner, is_break_or_end, mark};
use crate::{
    Error,
    token::{Kind, Token},
};

// === impl Scanner ===

impl Scanner<'_> {
    pub(super) fn stream_end(&mut self) -> Result<(), Error> {
        self.reset_block()?;
        self.keys.clear();
        self.is_done = true;
        self.push(Kind::StreamEnd, self.mark());
        Ok(())
    }

    pub(super) fn document(&mut self, kind: Kind) -> Result<(), Error> {
        self.reset_block()?;
        self.symbol(kind, 3);
        Ok(())
    }

    pub(super) fn directive(&mut self) -> Result<(), Error> {
        self.reset_block()?;
        let mark = self.mark();
        let start = self.index;
        while !is_break_or_end(self.at(0)) {
            self.forward(1);
        }
        let line: String = self.characters[start..self.index].iter().collect();
        let line = &line[1..];
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        let (name, rest) =
            line.split_at(line.find(|letter| !is_name(letter)).unwrap_or(line.len()));
        if name.is_empty() || !(rest.is_empty() || rest.starts_with(' ')) {
            return Err(self.error(mark, "a directive is `%`, a name and a space"));
        }
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let version = rest.trim_start_matches(' ').split(' ').next().unwrap_or_default();
        let is_one = version.split_once('.').is_some_and(|(major, minor)| {
            is_digits(major) && is_digits(minor) && major.trim_start_matches('0') == "1"
        });
        if name == "YAML" && !is_one {
            return Err(self.error(mark, "the text is not of YAML 1"));
        }
        self.push(Kind::Directive, mark);
        Ok(())
    }

    pub(super) fn flow_start(&mut self, kind: Kind) -> Result<(), Error> {
        self.remember_key()?;
        self.flow_level += 1;
        self.allows_key = true;
        self.symbol(kind, 1);
        Ok(())
    }

    pub(super) fn flow_end(&mut self, kind: Kind) -> Result<(), Error> {
        self.forget_key()?;
        let Some(level) = self.flow_level.checked_sub(1) else {
            return Err(self.here(format!("{} has no beginning", kind.describe())));
        };
        self.flow_level = level;
        self.allows_key = false;
        self.symbol(kind, 1);
        Ok(())
    }

    pub(super) fn flow_entry(&mut self) -> Result<(), Error> {
        self.allows_key = true;
        self.forget_key()?;
        self.symbol(Kind::FlowEntry, 1);
        Ok(())
    }

    pub(super) fn block_entry(&mut self) -> Result<(), Error> {
        if self.flow_level == 0 {
            if !self.allows_key {
                return Err(self.here("an item of a list cannot stand here"));
            }
            if self.deepen(self.column_signed()) {
                self.push(Kind::BlockListStart, self.mark());
            }
        }
        self.allows_key = true;
        self.forget_key()?;
        self.symbol(Kind::BlockEntry, 1);
        Ok(())
    }

    pub(super) fn explicit_key(&mut self) -> Result<(), Error> {
        if self.flow_level == 0 {
            if !self.allows_key {
                return Err(self.here("a key cannot stand here"));
            }
            if self.deepen(self.column_signed()) {
                self.push(Kind::BlockMapStart, self.mark());
            }
        }
        self.allows_key = self.flow_level == 0;
        self.forget_key()?;
        self.symbol(Kind::Key, 1);
        Ok(())
    }

    pub(super) fn value(&mut self) -> Result<(), Error> {
        if let Some(key) = self.keys.remove(&self.flow_level) {
            let at = key.token_number - self.tokens_taken;
            let mark = mark(key.line, key.column);
            self.tokens.insert(at, Token { kind: Kind::Key, mark });
            let column = isize::try_from(key.column).unwrap_or(isize::MAX);
            if self.flow_level == 0 && self.deepen(column) {
                self.tokens.insert(at, Token { kind: Kind::BlockMapStart, mark });
            }
            self.allows_key = false;
        } else {
            if self.flow_level == 0 {
                if !self.allows_key {
                    return Err(self.here("a second `:` cannot stand here: use quotes"));
                }
                if self.deepen(self.column_signed()) {
                    self.push(Kind::BlockMapStart, self.mark());
                }
            }
            self.allows_key = self.flow_level == 0;
            self.forget_key()?;
        }
        self.symbol(Kind::Value, 1);
        Ok(())
    }

    /// Ends every block and every hope for a key.
    fn reset_block(&mut self) -> Result<(), Error> {
        self.unwind(-1);
        self.forget_key()?;
        self.allows_key = false;
        Ok(())
    }
}

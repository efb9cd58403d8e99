//! Where a key may have begun, and how deep the block is.

use super::{PossibleKey, Scanner, mark};
use crate::{Error, token::Kind};

/// How far a `:` may be from the beginning of its key, in characters.
const LONGEST_KEY: usize = 1024;

// === impl Scanner ===

impl Scanner<'_> {
    pub(super) fn remember_key(&mut self) -> Result<(), Error> {
        if self.allows_key {
            let is_required = self.flow_level == 0 && self.indent == self.column_signed();
            self.forget_key()?;
            let token_number = self.tokens_taken + self.tokens.len();
            let (index, line, column) = (self.index, self.line, self.column);
            let key = PossibleKey { token_number, is_required, index, line, column };
            self.keys.insert(self.flow_level, key);
        }
        Ok(())
    }

    pub(super) fn forget_key(&mut self) -> Result<(), Error> {
        match self.keys.remove(&self.flow_level) {
            Some(key) if key.is_required => Err(self.missing_colon(&key)),
            _ => Ok(()),
        }
    }

    /// A key ends with its line.
    pub(super) fn forget_stale_keys(&mut self) -> Result<(), Error> {
        let (line, index) = (self.line, self.index);
        let is_stale = |key: &PossibleKey| key.line != line || index - key.index > LONGEST_KEY;
        if let Some(key) = self.keys.values().find(|key| key.is_required && is_stale(key)) {
            return Err(self.missing_colon(key));
        }
        self.keys.retain(|_, key| !is_stale(key));
        Ok(())
    }

    pub(super) fn missing_colon(&self, key: &PossibleKey) -> Error {
        self.error(mark(key.line, key.column), "a key stands here, but no `:` comes after it")
    }

    pub(super) fn unwind(&mut self, column: isize) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            self.indent = self.indents.pop().unwrap_or(-1);
            self.push(Kind::BlockEnd, self.mark());
        }
    }

    pub(super) fn deepen(&mut self, column: isize) -> bool {
        if self.indent >= column {
            return false;
        }
        self.indents.push(self.indent);
        self.indent = column;
        true
    }
}

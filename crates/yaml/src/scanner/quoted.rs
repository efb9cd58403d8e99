//! Text in single and double quotes.

use super::{Scanner, is_break, scalars::folded};
use crate::{Error, Mark, token::Kind};

// === impl Scanner ===

impl Scanner<'_> {
    pub(super) fn quoted_scalar(&mut self) -> Result<(), Error> {
        self.remember_key()?;
        self.allows_key = false;
        let mark = self.mark();
        let quote = self.at(0);
        self.forward(1);
        let mut text = String::new();
        loop {
            self.quoted_word(quote, mark, &mut text)?;
            if self.at(0) == quote {
                break;
            }
            self.quoted_spaces(mark, &mut text)?;
        }
        self.forward(1);
        self.push(Kind::Scalar { text, is_plain: false }, mark);
        Ok(())
    }

    /// Takes everything up to a space, a line break or the closing quote.
    fn quoted_word(&mut self, quote: char, start: Mark, text: &mut String) -> Result<(), Error> {
        loop {
            match self.at(0) {
                '\0' | ' ' | '\t' => return Ok(()),
                letter if is_break(letter) => return Ok(()),
                '\'' if quote == '\'' && self.at(1) == '\'' => {
                    text.push('\'');
                    self.forward(2);
                }
                letter if letter == quote => return Ok(()),
                '\\' if quote == '"' => self.escape(start, text)?,
                letter => {
                    text.push(letter);
                    self.forward(1);
                }
            }
        }
    }

    fn quoted_spaces(&mut self, start: Mark, text: &mut String) -> Result<(), Error> {
        let mut spaces = String::new();
        while matches!(self.at(0), ' ' | '\t') {
            spaces.push(self.at(0));
            self.forward(1);
        }
        if self.at(0) == '\0' {
            return Err(self.error(start, "a quote is opened here and never closed"));
        }
        match self.take_break() {
            Some(first) => {
                let more = self.quoted_breaks(start)?;
                *text += &folded(first, &more);
            }
            None => *text += &spaces,
        }
        Ok(())
    }

    fn quoted_breaks(&mut self, start: Mark) -> Result<String, Error> {
        let mut breaks = String::new();
        loop {
            if self.column == 0 && (self.is_mark_ahead("---") || self.is_mark_ahead("...")) {
                return Err(self.error(start, "a document ends inside of quotes"));
            }
            while matches!(self.at(0), ' ' | '\t') {
                self.forward(1);
            }
            match self.take_break() {
                Some(line_break) => breaks.push(line_break),
                None => return Ok(breaks),
            }
        }
    }

    fn escape(&mut self, start: Mark, text: &mut String) -> Result<(), Error> {
        let letter = self.at(1);
        let simple = match letter {
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            ' ' | '"' | '\\' | '/' => letter,
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            'x' => return self.code_point(2, text),
            'u' => return self.code_point(4, text),
            'U' => return self.code_point(8, text),
            letter if is_break(letter) => {
                self.forward(1);
                self.take_break();
                *text += &self.quoted_breaks(start)?;
                return Ok(());
            }
            _ => return Err(self.here(format!("`\\{letter}` is not an escape that YAML knows"))),
        };
        text.push(simple);
        self.forward(2);
        Ok(())
    }

    fn code_point(&mut self, digits: usize, text: &mut String) -> Result<(), Error> {
        let code: String = (0..digits).map(|ahead| self.at(2 + ahead)).collect();
        let letter = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
        let all_hex = code.chars().all(|digit| digit.is_ascii_hexdigit());
        let Some(letter) = letter.filter(|_| all_hex) else {
            return Err(self.here(format!("`{code}` is not the number of a character")));
        };
        text.push(letter);
        self.forward(2 + digits);
        Ok(())
    }
}

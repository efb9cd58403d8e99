//! Plain text, and the blocks after `|` and `>`.

use super::{Scanner, is_break, is_break_or_end, is_space_or_end};
use crate::{Error, token::Kind};

/// What becomes of the line breaks at the end of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomp {
    Strip,
    Clip,
    Keep,
}

// === impl Scanner ===

impl Scanner<'_> {
    pub(super) fn begins_plain(&self) -> bool {
        let first = self.at(0);
        let is_plain = !is_space_or_end(first) && !"-?:,[]{}#&*!|>'\"%@`".contains(first);
        is_plain
            || !is_space_or_end(self.at(1))
                && (first == '-' || self.flow_level == 0 && matches!(first, '?' | ':'))
    }

    pub(super) fn plain_scalar(&mut self) -> Result<(), Error> {
        self.remember_key()?;
        self.allows_key = false;
        let mark = self.mark();
        let indent = self.indent + 1;
        let mut text = String::new();
        let mut spaces = String::new();
        while self.at(0) != '#' {
            let length = self.plain_length();
            if length == 0 {
                break;
            }
            self.allows_key = false;
            text += &spaces;
            text.extend(&self.characters[self.index..self.index + length]);
            self.forward(length);
            spaces = self.plain_spaces();
            let is_outside = self.flow_level == 0 && self.column_signed() < indent;
            if spaces.is_empty() || self.at(0) == '#' || is_outside {
                break;
            }
        }
        self.push(Kind::Scalar { text, is_plain: true }, mark);
        Ok(())
    }

    fn plain_length(&self) -> usize {
        let in_flow = self.flow_level > 0;
        let mut length = 0;
        loop {
            let (letter, next) = (self.at(length), self.at(length + 1));
            let ends_key =
                letter == ':' && (is_space_or_end(next) || in_flow && ",[]{}".contains(next));
            if is_space_or_end(letter) || ends_key || in_flow && ",?[]{}".contains(letter) {
                return length;
            }
            length += 1;
        }
    }

    /// Takes the spaces between two words; nothing when a document begins or ends there.
    fn plain_spaces(&mut self) -> String {
        let mut spaces = String::new();
        while self.at(0) == ' ' {
            spaces.push(' ');
            self.forward(1);
        }
        let Some(first) = self.take_break() else { return spaces };
        self.allows_key = true;
        let mut breaks = String::new();
        loop {
            if self.column == 0 && (self.is_mark_ahead("---") || self.is_mark_ahead("...")) {
                return String::new();
            }
            if self.at(0) == ' ' {
                self.forward(1);
            } else if let Some(line_break) = self.take_break() {
                breaks.push(line_break);
            } else {
                return folded(first, &breaks);
            }
        }
    }

    pub(super) fn block_scalar(&mut self) -> Result<(), Error> {
        self.allows_key = true;
        self.forget_key()?;
        let mark = self.mark();
        let is_folded = self.at(0) == '>';
        self.forward(1);
        let (chomp, increment) = self.block_header()?;
        let at_least = usize::try_from(self.indent + 1).unwrap_or(0).max(1);
        let (mut breaks, indent) = if let Some(increment) = increment {
            let indent = at_least + increment - 1;
            (self.block_breaks(indent), indent)
        } else {
            let (breaks, deepest) = self.block_indentation();
            (breaks, at_least.max(deepest))
        };
        let mut text = String::new();
        let mut last = None;
        while self.column == indent && self.at(0) != '\0' {
            text += &breaks;
            let is_word = !matches!(self.at(0), ' ' | '\t');
            while !is_break_or_end(self.at(0)) {
                text.push(self.at(0));
                self.forward(1);
            }
            last = self.take_break();
            breaks = self.block_breaks(indent);
            if self.column != indent || self.at(0) == '\0' {
                break;
            }
            let joins =
                is_folded && last == Some('\n') && is_word && !matches!(self.at(0), ' ' | '\t');
            match last {
                Some(_) if joins && breaks.is_empty() => text.push(' '),
                Some(line_break) if !joins => text.push(line_break),
                _ => {}
            }
        }
        if chomp != Chomp::Strip {
            text.extend(last);
        }
        if chomp == Chomp::Keep {
            text += &breaks;
        }
        self.push(Kind::Scalar { text, is_plain: false }, mark);
        Ok(())
    }

    /// Reads what stands after `|` or `>`: what to do with the last breaks, and the indentation.
    fn block_header(&mut self) -> Result<(Chomp, Option<usize>), Error> {
        let mut chomp = Chomp::Clip;
        let mut increment = None;
        for _ in 0..2 {
            match self.at(0) {
                '+' => chomp = Chomp::Keep,
                '-' => chomp = Chomp::Strip,
                digit @ '0'..='9' => {
                    let number = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
                    increment = number.filter(|number| *number > 0);
                    if increment.is_none() {
                        return Err(self.here("the indentation of a block is 1 to 9"));
                    }
                }
                _ => break,
            }
            self.forward(1);
        }
        if self.at(0) == ' ' {
            while self.at(0) == ' ' {
                self.forward(1);
            }
            if self.at(0) == '#' {
                while !is_break_or_end(self.at(0)) {
                    self.forward(1);
                }
            }
        }
        if !is_break_or_end(self.at(0)) {
            let found = self.at(0);
            return Err(self.here(format!("after `|` or `>` the line must end, found `{found}`")));
        }
        self.take_break();
        Ok((chomp, increment))
    }

    /// Finds the indentation of a block by its first line.
    fn block_indentation(&mut self) -> (String, usize) {
        let (mut breaks, mut deepest) = (String::new(), 0);
        while self.at(0) == ' ' || is_break(self.at(0)) {
            if let Some(line_break) = self.take_break() {
                breaks.push(line_break);
            } else {
                self.forward(1);
                deepest = deepest.max(self.column);
            }
        }
        (breaks, deepest)
    }

    fn block_breaks(&mut self, indent: usize) -> String {
        let mut breaks = String::new();
        loop {
            while self.column < indent && self.at(0) == ' ' {
                self.forward(1);
            }
            match self.take_break() {
                Some(line_break) => breaks.push(line_break),
                None => return breaks,
            }
        }
    }
}

/// Folds line breaks: one is a space, several are one less.
pub(super) fn folded(first: char, more: &str) -> String {
    match first {
        '\n' if more.is_empty() => " ".to_owned(),
        '\n' => more.to_owned(),
        first => format!("{first}{more}"),
    }
}

//! Where a text could not be read, and the lines around.

use std::fmt::Write;

use crate::Mark;

/// How many lines before and after the place are shown.
const AROUND: usize = 2;

/// The longest line shown whole, in characters.
const WIDTH: usize = 120;

/// A text that PyYAML would refuse too, or that costs more than its budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the YAML at line {}, column {}: {message}", mark.line, mark.column)]
pub struct Error {
    /// One clause: what is wrong, and what was expected.
    pub message: String,
    /// Where.
    pub mark: Mark,
    /// The lines around, with a caret under the place.
    pub snippet: String,
}

// === impl Error ===

impl Error {
    pub(crate) fn new(text: &str, mark: Mark, message: impl Into<String>) -> Self {
        Self { message: message.into(), mark, snippet: snippet(text, mark) }
    }
}

/// Shows the lines around `mark` in `text`, numbered, with a caret under the column.
pub fn snippet(text: &str, mark: Mark) -> String {
    let line = mark.line as usize;
    let first = line.saturating_sub(AROUND).max(1);
    let width = (line + AROUND).to_string().len();
    let mut shown = String::new();
    for (number, content) in (1..).zip(text.lines()).skip(first - 1).take(line + AROUND + 1 - first)
    {
        let cut: String = content.chars().take(WIDTH).collect();
        let _ = writeln!(shown, "{number:>width$} | {cut}");
        if number == line {
            let column = (mark.column.max(1) as usize).min(WIDTH + 1);
            let _ = writeln!(shown, "{:>width$} | {:>column$}", "", "^");
        }
    }
    shown
}

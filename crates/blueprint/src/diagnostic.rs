//! Faults with their places, as a person and a program want to read them.

use std::fmt;

use waggoner_yaml::{Mark, snippet};

use crate::{Kind, Refusal};

/// One fault in a blueprint or in what it imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub kind: Kind,
    /// Cloudify's number for the fault, where it has one.
    pub code: Option<i32>,
    /// One clear sentence, lowercase and without a period.
    pub message: String,
    /// What to do, when we know: mostly the nearest known name.
    pub hint: Option<String>,
    /// The file as its import names it.
    pub file: String,
    /// Where in the file, when the fault has one place.
    pub mark: Option<Mark>,
    /// The way from the root: `node_templates.web.properties.port`.
    pub path: String,
    /// The lines around, with a caret; empty when there is no one place.
    pub snippet: String,
}

/// Every fault that was found, the first one first. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Diagnostics(pub Vec<Diagnostic>);

/// Where something stands: which file, and where in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: u16,
    /// `None` for what no text says: a merged section, the blueprint as a whole.
    pub(crate) mark: Option<Mark>,
}

/// The texts that were read, and what was found wrong in them.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    files: Vec<(String, String)>,
    found: Vec<Diagnostic>,
}

// === impl Diagnostic ===

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(mark) = self.mark {
            write!(f, ":{}:{}", mark.line, mark.column)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.path.is_empty() {
            write!(f, " (at `{}`)", self.path)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

// === impl Diagnostics ===

impl fmt::Display for Diagnostics {
    /// One line a fault, without the snippets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{diagnostic}")?;
        }
        Ok(())
    }
}

// === impl Findings ===

impl Findings {
    /// How many faults are told at once; more would bury the first.
    const MOST: usize = 50;

    /// Remembers a text and returns the number of its file.
    pub(crate) fn add_file(&mut self, name: &str, text: &str) -> u16 {
        self.files.push((name.to_owned(), text.to_owned()));
        u16::try_from(self.files.len() - 1).unwrap_or(u16::MAX)
    }

    /// How many bytes all texts have.
    pub(crate) fn bytes(&self) -> usize {
        self.files.iter().map(|(_, text)| text.len()).sum()
    }

    pub(crate) fn report(&mut self, place: Place, path: &str, refusal: Refusal) {
        self.report_with_hint(place, path, refusal, None);
    }

    pub(crate) fn report_with_hint(
        &mut self,
        place: Place,
        path: &str,
        refusal: Refusal,
        hint: Option<String>,
    ) {
        if self.found.len() >= Self::MOST {
            return;
        }
        let (file, text) = self
            .files
            .get(usize::from(place.file))
            .map_or(("blueprint", ""), |(name, text)| (name, text));
        self.found.push(Diagnostic {
            kind: refusal.kind,
            code: refusal.code,
            message: refusal.message,
            hint,
            file: file.to_owned(),
            snippet: place.mark.map(|mark| snippet(text, mark)).unwrap_or_default(),
            mark: place.mark,
            path: path.to_owned(),
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn into_found(self) -> Vec<Diagnostic> {
        self.found
    }
}

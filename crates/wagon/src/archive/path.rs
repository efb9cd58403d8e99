//! The names of entries.

use super::Kind;
use crate::Flaw;

/// The longest path and the longest part of one, as Linux has them (`PATH_MAX`, `NAME_MAX`).
const PATH: usize = 4096;
const PART: usize = 255;

/// Returns the path without `.` and empty parts; `None` for the root of the archive.
pub(super) fn clean(name: &[u8], kind: &Kind) -> Result<Option<String>, Flaw> {
    let Ok(text) = str::from_utf8(name) else {
        return Err(Flaw::entry(&String::from_utf8_lossy(name), "has a name that is not UTF-8"));
    };
    let refuse = |reason: &'static str| Err(Flaw::entry(text, reason));
    if text.len() > PATH {
        return refuse("has a name of more than 4096 bytes");
    }
    if text.starts_with('/') {
        return refuse("has an absolute path");
    }
    if text.contains(|c: char| c.is_control() || c == '\\') {
        return refuse("has a control character or a backslash in its name");
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return refuse("leads out of the archive with `..`"),
            _ if part.len() > PART => return refuse("has a name of more than 255 bytes"),
            _ => parts.push(part),
        }
    }
    if *kind != Kind::Directory && (parts.is_empty() || text.ends_with('/')) {
        return refuse("is a file with the name of a directory");
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}
